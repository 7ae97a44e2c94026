"""What goes wrong at OpenAI's speech API, as OpenAI's own package reads it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest
from openai import DefaultHttpxClient, OpenAI

from tests.server.openai_client import client_of, going_on, say
from tests.server.running import Running, running, serving
from tests.server.tone import ToneEngine, until
from voxcli.errors import RequestError
from voxcli.protocols.openai.events import EventFailure, EventReader


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(ToneEngine()) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Running) -> Iterator[OpenAI]:
    with client_of(server.url) as client:
        yield client


BAD: list[tuple[dict[str, Any], str, str | None, str]] = [
    ({"input": None}, "'input' is missing", "input", "missing_required_parameter"),
    ({"input": ""}, "empty", "input", "invalid_value"),
    ({"input": "\n"}, "empty", "input", "invalid_value"),
    ({"input": 5}, "must be a string", "input", "invalid_type"),
    ({"input": {"text": "Hello."}}, "not an object", "input", "invalid_type"),
    ({"input": "好" * 4097}, "4097 characters", "input", "string_above_max_length"),
    ({"model": 5}, "must be a string", "model", "invalid_type"),
    ({"voice": "nobody"}, "no voice 'nobody'. GET /v1/audio/voices", "voice", "voice_not_found"),
    ({"voice": "../../etc/passwd"}, "no voice", "voice", "voice_not_found"),
    ({"voice": "C:\\voices\\me.wav"}, "no voice", "voice", "voice_not_found"),
    ({"voice": {"id": "voice_1"}}, "no voice 'voice_1'", "voice", "voice_not_found"),
    ({"voice": {"name": "alloy"}}, "'voice.id' is missing", "voice.id", "missing_required_parameter"),
    ({"voice": ["alloy"]}, "not an array", "voice", "invalid_type"),
    ({"response_format": "ogg"}, "mp3", "response_format", "invalid_value"),
    ({"stream_format": "ws"}, "sse, audio", "stream_format", "invalid_value"),
    ({"speed": 0.1}, "0.25 and 4", "speed", "invalid_value"),
    ({"speed": 5}, "0.25 and 4", "speed", "invalid_value"),
    ({"speed": "fast"}, "must be a number", "speed", "invalid_type"),
    ({"instructions": "x" * 4097}, "4097 characters", "instructions", "string_above_max_length"),
    ({"instructions": 5}, "must be a string", "instructions", "invalid_type"),
    ({"sample_rate": 500}, "8000 and 48000", "sample_rate", "invalid_value"),
]


@pytest.mark.parametrize(("fields", "message", "param", "code"), BAD, ids=lambda value: str(value)[:40])
def test_openais_package_can_read_what_is_wrong(
    client: OpenAI, fields: dict[str, Any], message: str, param: str, code: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.audio.speech.create(model="tts-1", voice="alloy", input="Hello.", extra_body=fields)

    error = caught.value
    assert message in error.body["message"]  # type: ignore[index]
    assert (error.param, error.code, error.type) == (param, code, "invalid_request_error")
    assert error.request_id
    assert error.request_id.startswith("req_")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b"", "application/json"),
        (b'{"input": ' + b"[" * 100_000, "application/json"),
        (b'{"input": "Hello.", "speed": ' + b"9" * 5000 + b"}", "application/json"),
        (b'{"input": "\\ud800"}', "application/json"),
        (b'{"input": "Hello.", "voice": "\\ud800"}', "application/json"),
        (b"input=Hello.", "application/x-www-form-urlencoded"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_body_that_is_not_sound_json_is_refused_in_the_same_envelope(
    server: Running, body: bytes, content_type: str
) -> None:
    answer = httpx.post(f"{server.url}/v1/audio/speech", content=body, headers={"content-type": content_type})

    assert answer.status_code == 400
    assert sorted(answer.json()["error"]) == ["code", "message", "param", "type"]
    assert answer.json()["error"]["message"]


def test_a_path_that_is_not_there_and_a_wrong_method_have_the_envelope_too(server: Running) -> None:
    for answer in (httpx.get(f"{server.url}/v1/nothing"), httpx.get(f"{server.url}/v1/audio/speech")):
        assert answer.status_code in (404, 405)
        assert sorted(answer.json()["error"]) == ["code", "message", "param", "type"]


def test_what_the_engine_refuses_is_a_bad_request() -> None:
    refusal = RequestError("The built-in voice cannot follow a description.")
    with (
        serving(ToneEngine(fail_at=0, error=refusal)) as url,
        client_of(url) as client,
        pytest.raises(openai.BadRequestError) as caught,
    ):
        client.audio.speech.create(model="x", voice="alloy", input="Hello.", instructions="Calm.")

    assert str(refusal) in caught.value.message


def test_a_failure_before_the_first_sound_is_a_status_and_not_tried_again() -> None:
    engine = ToneEngine(fail_at=0)
    with (
        serving(engine) as url,
        client_of(url, max_retries=2) as client,
        pytest.raises(openai.InternalServerError) as caught,
    ):
        client.audio.speech.create(model="x", voice="alloy", input="Hello.")

    assert (caught.value.status_code, caught.value.type) == (500, "server_error")
    assert "tone" not in caught.value.message
    assert len(engine.requests) == 1


def test_a_failure_after_it_breaks_the_connection() -> None:
    with (
        serving(ToneEngine(fail_at=3)) as url,
        client_of(url) as client,
        pytest.raises(openai.APIConnectionError),
    ):
        client.audio.speech.create(model="x", voice="alloy", input="Hello.", response_format="wav")


def test_a_failure_after_it_is_an_event_among_events() -> None:
    reader = EventReader()
    with serving(ToneEngine(fail_at=3)) as url, client_of(url) as client:
        speech = client.audio.speech.with_streaming_response
        with speech.create(
            model="x", voice="alloy", input="Hello.", response_format="wav", stream_format="sse"
        ) as answer:
            body = []
            with pytest.raises(EventFailure, match="The model failed"):
                body += [sound for piece in answer.iter_bytes() for sound in reader.feed(piece)]
    assert not reader.ended


def test_a_client_comes_again_when_it_is_told_to() -> None:
    engine = ToneEngine(slots=1, hold_at=2)
    statuses: list[int] = []

    def note(answer: Any) -> None:
        statuses.append(answer.status_code)
        engine.go.set()

    with running(engine, queue=1) as server, ThreadPoolExecutor(1) as pool, client_of(server.url) as client:
        engine.go.set()
        for _ in range(15):  # so that the server knows how quick it is
            say(client, "Hello.")
        engine.go.clear()
        speech = client.audio.speech.with_streaming_response
        with speech.create(model="x", voice="alloy", input="First.") as first, going_on(engine):
            pieces = first.iter_bytes()  # kept: if it went, so would its connection
            next(pieces)
            second = pool.submit(say, client, "Second.")
            until(lambda: server.service.admission.depth == 1)
            with pytest.raises(openai.RateLimitError) as caught:
                say(client, "Third.")
            assert (caught.value.type, caught.value.code) == ("rate_limit_error", "rate_limit_exceeded")
            assert 1 <= int(caught.value.response.headers["retry-after"]) <= 5

            hooks = DefaultHttpxClient(event_hooks={"response": [note]})
            with client_of(server.url, max_retries=2, http_client=hooks) as patient:
                assert say(patient, "Fourth.")
            assert second.result()
    assert statuses == [429, 200]


def test_a_server_whose_queue_is_full_says_when_to_come_again() -> None:
    engine = ToneEngine(slots=1, hold_at=2)
    with (
        serving(engine, queue=0) as url,
        client_of(url) as client,
        client.audio.speech.with_streaming_response.create(model="x", voice="alloy", input="First.") as first,
        going_on(engine),
    ):
        pieces = first.iter_bytes()
        next(pieces)
        with pytest.raises(openai.InternalServerError) as caught:
            say(client, "Second.")

    assert (caught.value.status_code, caught.value.type, caught.value.code) == (503, "server_error", "busy")
    assert 1 <= int(caught.value.response.headers["retry-after"]) <= 120
    assert "x-should-retry" not in caught.value.response.headers


def test_a_key_is_asked_for_where_one_is_set() -> None:
    with serving(ToneEngine(), keys=frozenset({"secret"})) as url:
        with client_of(url, api_key="wrong") as client, pytest.raises(openai.AuthenticationError) as caught:
            client.audio.speech.create(model="x", voice="alloy", input="Hello.")
        assert (caught.value.code, caught.value.type) == ("invalid_api_key", "invalid_request_error")
        assert caught.value.response.headers["www-authenticate"] == "Bearer"
        for path in ("/audio/voices", "/audio/models", "/models", "/voices"):
            assert httpx.get(f"{url}/v1{path}").status_code == 401

        with client_of(url, api_key="secret") as client:
            assert client.audio.speech.create(model="x", voice="alloy", input="Hello.").read()
