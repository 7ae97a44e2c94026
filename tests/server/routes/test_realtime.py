"""OpenAI's Realtime API: what its own package, and clients by the names of the beta, get spoken."""

import asyncio
import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np
import pytest
from openai import AsyncOpenAI, OpenAI
from websockets.sync.client import ClientConnection, connect

from tests.server.running import Running, running
from tests.server.tone import ToneEngine

TEXT = "Hello there, you.  The “second” one, 你好。 "
PARTS: Any = [{"type": "input_text", "text": TEXT}]
BETA = {"OpenAI-Beta": "realtime=v1"}


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(ToneEngine(slots=4), knows_voice=lambda name: name == "tone") as server:
        yield server


class Client:
    """One socket."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    def send(self, kind: str, **fields: Any) -> None:
        self.socket.send(json.dumps({"type": kind, **fields}))

    def receive(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.socket.recv(10))
        return event

    def until(self, *kinds: str) -> list[dict[str, Any]]:
        got = [self.receive()]
        while got[-1]["type"] not in kinds:
            got.append(self.receive())
        return got

    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = self.until("error")[-1]["error"]
        return error

    def speak(self, text: str = TEXT, **fields: Any) -> list[dict[str, Any]]:
        self.send("response.create", response={"input": [message(text)], **fields})
        return self.until("response.done")


def message(text: str, role: str = "user", **fields: Any) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": [{"type": "input_text", "text": text}], **fields}


@contextmanager
def talking(server: Running, query: str = "", **options: Any) -> Iterator[Client]:
    with connect(server.url.replace("http", "ws") + "/v1/realtime" + query, proxy=None, **options) as socket:
        client = Client(socket)
        assert client.receive()["type"] == "session.created"
        yield client


def audio_of(events: list[dict[str, Any]], kind: str = "response.output_audio.delta", **of: Any) -> bytes:
    ours = [event for event in events if event["type"] == kind and of.items() <= event.items()]
    return b"".join(base64.b64decode(event["delta"]) for event in ours)


def transcript_of(events: list[dict[str, Any]], kind: str = "response.output_audio_transcript.delta") -> str:
    return "".join(event["delta"] for event in events if event["type"] == kind)


def over_http(server: Running, text: str = TEXT, **more: Any) -> bytes:
    fields = {"input": text, "model": "tts-1-hd", "voice": "default", "response_format": "pcm", **more}
    return httpx.post(f"{server.url}/v1/audio/speech", json=fields).content


def test_openais_package_speaks_a_text_and_its_transcript_is_the_text(server: Running) -> None:
    async def speak() -> tuple[list[str], bytes, str, Any]:
        kinds, audio, transcript = [], b"", ""
        client = AsyncOpenAI(base_url=f"{server.url}/v1", api_key="any")
        async with client.realtime.connect(model="gpt-realtime") as connection:
            output: Any = {"voice": "marin", "format": {"type": "audio/pcm", "rate": 24000}, "speed": 1.0}
            await connection.session.update(session={"type": "realtime", "audio": {"output": output}})
            item: Any = message(TEXT)
            await connection.conversation.item.create(item=item)
            await connection.response.create()
            async for event in connection:
                kinds.append(event.type)
                if event.type == "response.output_audio.delta":
                    audio += base64.b64decode(event.delta)
                elif event.type == "response.output_audio_transcript.delta":
                    transcript += event.delta
                elif event.type in ("response.done", "error"):
                    return kinds, audio, transcript, event
        raise AssertionError

    kinds, audio, transcript, last = asyncio.run(speak())
    assert list(dict.fromkeys(kinds)) == [
        *("session.created", "session.updated", "conversation.item.added", "conversation.item.done"),
        *("response.created", "response.output_item.added", "response.content_part.added"),
        *("response.output_audio_transcript.delta", "response.output_audio.delta", "response.output_audio.done"),
        *("response.output_audio_transcript.done", "response.content_part.done", "response.output_item.done"),
        "response.done",
    ]
    assert audio == over_http(server, voice="marin")
    assert transcript == TEXT == last.response.output[0].content[0].transcript
    assert last.response.status == "completed"
    assert last.response.usage.output_token_details.audio_tokens == round(len(audio) / 48000 * 20)


def test_clients_of_the_beta_get_its_names(server: Running) -> None:
    with talking(server, additional_headers=BETA) as client:
        client.send("session.update", session={"modalities": ["text", "audio"], "voice": "alloy"})
        session = client.receive()["session"]
        assert (session["voice"], session["output_audio_format"]) == ("alloy", "pcm16")
        client.send("conversation.item.create", item=message(TEXT))
        assert client.receive()["type"] == "conversation.item.created"
        client.send("response.create")
        got = client.until("response.done")
    assert audio_of(got, "response.audio.delta") == over_http(server, voice="alloy")
    assert transcript_of(got, "response.audio_transcript.delta") == TEXT
    assert not any("output_audio" in event["type"] for event in got)


def test_a_page_in_a_browser_asks_for_the_beta_by_a_subprotocol(server: Running) -> None:
    offered: Any = ["realtime", "openai-insecure-api-key.any", "openai-beta.realtime-v1"]
    with talking(server, subprotocols=offered) as client:
        assert client.socket.subprotocol == "realtime"
        assert audio_of(client.speak(), "response.audio.delta") == over_http(server)


def test_a_cancellation_without_an_id_stops_all_responses_outside_the_conversation() -> None:
    with running(ToneEngine(slots=1, chunks=500, pace=1.0)) as server, talking(server) as client:
        for _ in range(3):
            response = {"conversation": "none", "input": [message("One two three four.")]}
            client.send("response.create", response=response)
        client.until("response.output_audio.delta")
        client.send("response.cancel")
        done = [client.until("response.done")[-1]["response"] for _ in range(3)]
        assert [one["status"] for one in done] == ["cancelled"] * 3
        assert [bool(one["output"]) for one in done] == [False, False, True]
        assert (server.service.admission.used, server.service.admission.depth) == (0, 0)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_client_of_the_beta_in_openais_package_speaks(server: Running) -> None:
    client = OpenAI(
        base_url=f"{server.url}/v1", websocket_base_url=f"{server.url.replace('http', 'ws')}/v1", api_key="any"
    )
    audio = b""
    with client.beta.realtime.connect(model="gpt-4o-realtime-preview") as connection:
        connection.conversation.item.create(item={"type": "message", "role": "user", "content": PARTS})
        connection.response.create()
        for event in connection:
            if event.type == "response.audio.delta":
                audio += base64.b64decode(event.delta)
            elif event.type in ("response.done", "error"):
                break
    assert audio == over_http(server)


@pytest.mark.parametrize(("format", "beta"), [("audio/pcmu", "g711_ulaw"), ("audio/pcma", "g711_alaw")])
def test_telephone_formats_have_one_byte_a_sample_under_both_names(server: Running, format: str, beta: str) -> None:
    with talking(server) as client:
        client.send("session.update", session={"audio": {"output": {"format": {"type": format}}}})
        assert client.receive()["session"]["audio"]["output"]["format"] == {"type": format, "rate": 8000}
        data = audio_of(client.speak())
        client.send("session.update", session={"input_audio_format": "pcm16", "output_audio_format": beta})
        assert client.receive()["session"]["output_audio_format"] == beta
        assert audio_of(client.speak(), "response.audio.delta") == data
    assert len(data) == len(over_http(server)) / 2 / 3
    assert len(np.unique(np.frombuffer(data, np.uint8))) > 16


def test_responses_outside_the_conversation_run_at_once_and_each_keeps_its_metadata(server: Running) -> None:
    texts = {str(place): "One. " * place for place in range(1, 7)}
    with talking(server) as client:
        for name, text in texts.items():
            response = {"conversation": "none", "metadata": {"n": name}, "input": [message(text)]}
            client.send("response.create", response=response)
        got: list[dict[str, Any]] = []
        for _ in texts:
            got += client.until("response.done")
    done = {event["response"]["metadata"]["n"]: event["response"] for event in got if event["type"] == "response.done"}
    for name, text in texts.items():
        assert done[name]["conversation_id"] is None
        assert done[name]["output"][0]["content"][0]["transcript"] == text
        assert audio_of(got, response_id=done[name]["id"]) == over_http(server, text)


@pytest.mark.parametrize(
    ("items", "response", "spoken"),
    [
        ([], {"instructions": 'Say exactly: "Hello, you."'}, "Hello, you."),
        ([], {"instructions": "Read “this one” aloud."}, "this one"),
        (["One.", "Two."], {}, "One.\nTwo."),
        (["One."], {"instructions": "Read the user's text."}, "One."),
        (["One."], {"input": [message("Be quick.", "system"), message("Three.")]}, "Three."),
        (["One."], {"input": [{"type": "item_reference", "id": "i0"}]}, "One."),
    ],
)
def test_what_is_spoken(server: Running, items: list[str], response: dict[str, Any], spoken: str) -> None:
    with talking(server) as client:
        for place, text in enumerate(items):
            client.send("conversation.item.create", item=message(text, id=f"i{place}"))
        client.send("response.create", response=response)
        assert transcript_of(client.until("response.done")) == spoken


def test_an_item_is_spoken_again_if_nothing_new_is_there(server: Running) -> None:
    with talking(server) as client:
        client.send("conversation.item.create", item=message("One."))
        for _ in range(2):
            client.send("response.create")
            assert transcript_of(client.until("response.done")) == "One."


def test_a_cancelled_response_ends_and_truncation_tells_what_was_heard() -> None:
    engine = ToneEngine(slots=1, chunks=500, pace=1.0)
    with running(engine) as server, talking(server) as client:
        client.send("response.create", response={"input": [message("One two three four. " * 30)]})
        client.until("response.output_audio.delta")
        client.send("response.create", response={"input": [message("More.")]})
        assert client.error()["code"] == "conversation_already_has_active_response"
        client.send("response.cancel")
        done = client.until("response.done")[-1]["response"]
        assert (done["status"], done["status_details"]["reason"]) == ("cancelled", "client_cancelled")
        assert done["output"][0]["status"] == "incomplete"
        place = {"item_id": done["output"][0]["id"], "content_index": 0}
        client.send("conversation.item.truncate", **place, audio_end_ms=40)
        told = client.until("conversation.item.truncated")[-1]
        assert told["audio_end_ms"] == 40
        assert "One two three four.".startswith(told["transcript"])
        client.send("conversation.item.truncate", **place, audio_end_ms=10**9)
        assert client.error()["param"] == "audio_end_ms"
        client.send("response.cancel")
        assert client.error()["code"] == "response_cancel_not_active"
        assert server.service.admission.used == 0


def test_truncation_stops_what_is_being_spoken() -> None:
    engine = ToneEngine(slots=1, chunks=500, pace=1.0)
    with running(engine) as server, talking(server) as client:
        client.send("response.create", response={"input": [message("One two three four.")]})
        item = client.until("response.output_audio.delta")[-1]["item_id"]
        client.send("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=0)
        got = client.until("conversation.item.truncated")
        assert next(event for event in got if event["type"] == "response.done")["response"]["status"] == "cancelled"
        assert got[-1]["transcript"] == ""


AUDIO = {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": ""}]}


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ("{", "not valid JSON"),
        ("[]", "not a JSON object"),
        (b"\0", "Binary messages have no meaning here"),
        ({"type": "dance"}, "There is no event 'dance' here"),
        ({"type": "input_audio_buffer.append", "audio": ""}, "Audio input is not taken here"),
        ({"type": "conversation.item.create", "item": AUDIO}, "Audio input is not taken here"),
        ({"type": "conversation.item.create", "item": message("a" * 200_000)}, "too long"),
        ({"type": "conversation.item.create", "item": {"type": "function_call"}}, "'function_call'"),
        ({"type": "response.create"}, "There is no text to speak"),
        ({"type": "response.create", "response": {"input": [message(" ")]}}, "There is no text to speak"),
        ({"type": "response.create", "response": {"instructions": 'Say "a" or "b".'}}, "not clear which text"),
        ({"type": "response.create", "response": {"output_modalities": ["text"]}}, "Text alone is not answered"),
        ({"type": "session.update", "session": {"voice": "nobody"}}, "There is no voice 'nobody'"),
        ({"type": "session.update", "session": {"audio": {"output": {"speed": 2}}}}, "'session.audio.output.speed'"),
        ({"type": "session.update", "session": {"output_audio_format": "mp3"}}, "There is no audio format 'mp3'"),
        ({"type": "session.update", "session": {"type": "transcription"}}, "cannot be 'transcription'"),
        ({"type": "conversation.item.truncate", "item_id": "x", "audio_end_ms": 1}, "no speech of an item 'x'"),
        ({"type": "conversation.item.delete", "item_id": "x"}, "no item 'x'"),
    ],
)
def test_a_wrong_event_is_told_and_the_session_goes_on(server: Running, sent: Any, says: str) -> None:
    if isinstance(sent, dict):
        sent = json.dumps({**sent, "event_id": "mine"})
    with talking(server) as client:
        client.socket.send(sent)
        error = client.error()
        assert says in error["message"]
        assert error["type"] == "invalid_request_error"
        assert error["event_id"] == ("mine" if "mine" in str(sent) else None)
        assert audio_of(client.speak()) == over_http(server)


def test_an_engine_that_fails_fails_its_response_alone() -> None:
    with running(ToneEngine(slots=1, fail_at=1)) as server, talking(server) as client:
        for _ in range(2):
            done = client.speak()[-1]["response"]
            assert done["status"] == "failed"
            assert done["status_details"]["error"]["code"] == "model_failed"


def test_long_chunks_fit_into_the_messages_that_clients_take() -> None:
    with running(ToneEngine(chunks=1, chunk_seconds=60)) as server, talking(server, max_size=2**16) as client:
        got = client.speak("One.")
    assert len(audio_of(got)) == 60 * 24000 * 2
