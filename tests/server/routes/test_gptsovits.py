"""GPT-SoVITS's API over a real socket."""

import io
import wave
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pytest

from tests.clips import WORDS, spoken_wav
from tests.server.raw import asked
from tests.server.running import Running, running
from tests.server.tone import ToneEngine
from voxcli.audio.decode import decode
from voxcli.audio.format import AudioFormat
from voxcli.audio.pcm import to_int16
from voxcli.errors import ModelError
from voxcli.protocols.dialect import ClientOptions
from voxcli.protocols.gptsovits.messages import error_message, to_call
from voxcli.synthesis.request import Clip, Prompt, Sampling, SynthesisRequest, Voice

LENA = Voice(prompt=Prompt(Clip(spoken_wav(), "prompt.wav"), WORDS))
ASKED: dict[str, Any] = {"text": "Hello dear world.", "text_lang": "en", "prompt_lang": "en", "ref_audio_path": "lena"}


@pytest.fixture(scope="module")
def engine() -> ToneEngine:
    return ToneEngine()


@pytest.fixture(scope="module")
def server(engine: ToneEngine) -> Iterator[Running]:
    with running(engine, max_characters=200, knows_voice=lambda name: name == "known/to the engine") as server:
        server.service.voices.save("lena", LENA)
        yield server


@pytest.fixture(scope="module")
def client(server: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=20) as client:
        yield client


def spoken(engine: ToneEngine) -> bytes:
    """Return the samples of what the engine was asked for last."""
    return to_int16(engine.sound(engine.requests[-1]))


@pytest.mark.parametrize("mode", [0, 1, 2, 3, True, False, "true"])
def test_every_mode_sounds_the_same(client: httpx.Client, engine: ToneEngine, mode: object) -> None:
    answer = client.post("/tts", json={**ASKED, "streaming_mode": mode})

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "audio/wav"
    assert ("content-length" in answer.headers) == (mode in (0, False))
    sound = decode(answer.content)
    assert sound.sample_rate == 16000
    assert to_int16(sound.samples) == spoken(engine)
    assert engine.requests[-1] == SynthesisRequest(text="Hello dear world.", voice=LENA, language="en")


@pytest.mark.parametrize("mode", [1, 2, 3])
def test_the_first_chunk_of_a_stream_is_the_header_alone(server: Running, mode: int) -> None:
    with asked(server.url, path="/tts", streaming_mode=mode) as client:
        client.read(10**7)
    head, _, body = client.received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    size, _, rest = body.partition(b"\r\n")
    assert int(size, 16) == 44
    assert (rest[:4], rest[36:40], rest[44:46]) == (b"RIFF", b"data", b"\r\n")


def test_a_stream_without_sound_has_no_header_either() -> None:
    with running(ToneEngine(chunks=0)) as server:
        answer = httpx.post(server.url + "/tts", json={**ASKED, "ref_audio_path": "default", "streaming_mode": 1})
    assert answer.status_code == 500


def test_the_length_in_the_header_is_true_where_all_is_sent_at_once(client: httpx.Client, engine: ToneEngine) -> None:
    answer = client.post("/tts", json=ASKED)
    with wave.open(io.BytesIO(answer.content)) as file:
        assert file.readframes(file.getnframes()) == spoken(engine)


@pytest.mark.parametrize("mode", [0, 3])
@pytest.mark.parametrize("media_type", ["ogg", "aac"])
def test_other_media_can_be_heard(client: httpx.Client, media_type: str, mode: int) -> None:
    answer = client.post("/tts", json={**ASKED, "media_type": media_type, "streaming_mode": mode})
    assert answer.headers["content-type"] == f"audio/{media_type}"
    assert decode(answer.content).seconds == pytest.approx(0.4, abs=0.15)


@pytest.mark.parametrize("mode", [0, 3])
def test_raw_sound_has_the_rate_that_every_client_takes_it_for(client: httpx.Client, mode: int) -> None:
    answer = client.post("/tts", json={**ASKED, "media_type": "raw", "streaming_mode": mode})
    assert answer.headers["content-type"] == "audio/raw"
    assert len(answer.content) / 2 == pytest.approx(0.4 * 32000, abs=100)
    assert np.abs(np.frombuffer(answer.content, "<i2")).max() > 8000


def test_a_query_does_as_well(client: httpx.Client, engine: ToneEngine) -> None:
    query = {**ASKED, "text_lang": "EN", "streaming_mode": "2", "seed": "7", "aux_ref_audio_paths": "x.wav"}
    assert client.get("/tts", params=query).status_code == 200
    expected = SynthesisRequest(text="Hello dear world.", voice=LENA, language="en", sampling=Sampling(seed=7))
    assert engine.requests[-1] == expected


def test_silly_tavern_is_served(client: httpx.Client, engine: ToneEngine) -> None:
    assert {"name": "lena", "voice_id": "lena"} in client.get("/speakers").json()
    fields = {
        "text": "Hello, dear world.",
        "prompt_text": "lena",
        "ref_audio_path": "./参考音频/lena.wav",
        "text_lang": "en",
        "prompt_lang": "en",
        "text_split_method": "cut5",
        "batch_size": 1,
        "media_type": "ogg",
        "streaming_mode": "true",
        "fragment_interval": 0.3,
        "speed_factor": 1.5,
        "top_k": 5,
        "top_p": 0.8,
        "temperature": 0.7,
        "repetition_penalty": 1.2,
    }
    answer = client.post("/", json=fields)
    assert answer.headers["content-type"] == "audio/ogg"
    assert answer.content[:4] == b"OggS"
    said = engine.requests[-2:]
    assert [(request.voice, request.speed, request.text) for request in said] == [
        (LENA, 1.5, "Hello,"),
        (LENA, 1.5, "dear world."),
    ]
    assert decode(answer.content).seconds == pytest.approx(2 * 0.4 / 1.5 + 0.3, abs=0.05)


def test_between_the_pieces_there_is_as_much_silence_as_was_asked_for(client: httpx.Client, engine: ToneEngine) -> None:
    fields = {**ASKED, "text": "Hello, dear world.", "text_split_method": "cut5", "fragment_interval": 0.5}
    sound = decode(client.post("/tts", json=fields).content)
    first, second = (engine.sound(request) for request in engine.requests[-2:])
    gap = np.zeros(8000, np.float32)
    assert to_int16(sound.samples) == to_int16(np.concatenate([first, gap, second]))


@pytest.mark.parametrize(
    "request_",
    [
        SynthesisRequest(text="第一句。\n第二句！", voice=Voice(name="known/to the engine"), language="zh", speed=0.5),
        SynthesisRequest(text="x", voice=Voice(name="known/to the engine"), sampling=Sampling(steps=3, seed=2**32 - 1)),
    ],
)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_the_engine_is_asked_for_exactly_what_our_client_was(
    client: httpx.Client, engine: ToneEngine, request_: SynthesisRequest, stream: bool
) -> None:
    call = to_call(request_, ClientOptions(stream=stream, format=AudioFormat.WAV))
    before = len(engine.requests)
    assert client.request(call.method, call.path, json=call.json).status_code == 200
    asked = engine.requests[before:]
    assert "\n".join(request.text for request in asked) == request_.text
    assert {replace(request, text=request_.text) for request in asked} == {request_}


@pytest.mark.parametrize(
    ("changes", "body"),
    [
        ({"ref_audio_path": ""}, {"message": "ref_audio_path is required"}),
        ({"text": ""}, {"message": "text is required"}),
        ({"text_lang": "tlh"}, {"message": "text_lang: tlh is not supported in version v2Pro"}),
        ({"prompt_lang": ""}, {"message": "prompt_lang is required"}),
        ({"media_type": "mp3"}, {"message": "media_type: mp3 is not supported"}),
        ({"text_split_method": "cut6"}, {"message": "text_split_method:cut6 is not supported"}),
        ({"text": "…"}, {"message": "tts failed", "Exception": "Please enter valid text."}),
        (
            {"ref_audio_path": "/etc/passwd"},
            {
                "message": "tts failed",
                "Exception": "/etc/passwd not exists. The voices here, without a path: default, lena",
            },
        ),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_wrong_is_said_in_the_words_of_the_original(
    client: httpx.Client, method: str, changes: dict[str, str], body: dict[str, str]
) -> None:
    fields = {**ASKED, **changes, "streaming_mode": 3}
    answer = client.get("/tts", params=fields) if method == "GET" else client.post("/tts", json=fields)
    assert (answer.status_code, answer.json()) == (400, body)


def test_a_query_without_languages_is_no_fault_of_the_server(client: httpx.Client) -> None:
    answer = client.get("/tts", params={"text": "x", "ref_audio_path": "lena"})
    assert (answer.status_code, answer.json()) == (400, {"message": "text_lang is required"})


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b'{"text": null}', ["body", "text"]),
        (b'{"streaming_mode": "fast"}', ["body", "streaming_mode"]),
        (b'{"text": ', None),
        (b"[]", None),
        (b"", None),
    ],
)
def test_what_is_malformed_is_unprocessable(client: httpx.Client, content: bytes, place: list[str] | None) -> None:
    answer = client.post("/tts", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    detail = answer.json()["detail"]
    assert place is None or detail[0]["loc"] == place
    assert error_message(422, answer.content)


def test_a_text_that_is_too_long_is_refused(client: httpx.Client) -> None:
    answer = client.post("/tts", json={**ASKED, "text": "x" * 201})
    assert answer.status_code == 422
    assert "200" in error_message(422, answer.content)


def test_a_failure_before_the_first_sound_is_an_error() -> None:
    with running(ToneEngine(fail_at=0, error=ModelError("secret"))) as server:
        answer = httpx.post(server.url + "/tts", json={**ASKED, "ref_audio_path": "default", "streaming_mode": 3})
    assert answer.status_code == 500
    assert answer.json()["message"] == "tts failed"
    assert "secret" not in answer.text


@pytest.mark.parametrize("path", ["/control?command=exit"])
def test_nobody_changes_the_server_over_http(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 403
    assert "operator" in answer.json()["message"]
    assert client.get("/livez").status_code == 200


@pytest.mark.parametrize(
    ("path", "status"), [("lena", 200), ("./voices/lena.wav", 200), ("/etc/passwd", 400), ("default.wav", 200)]
)
def test_a_voice_can_be_asked_for_beforehand(client: httpx.Client, path: str, status: int) -> None:
    answer = client.get("/set_refer_audio", params={"refer_audio_path": path})
    assert answer.status_code == status
    assert answer.json()["message"] == ("success" if status == 200 else "set refer audio failed")


def test_its_own_description_gives_it_away_as_the_second_version(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    assert "/change_refer" not in document["paths"]
    schema = document["paths"]["/tts"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert set(schema["properties"]) == set(
        to_call(SynthesisRequest(text="x", voice=Voice(name="x")), ClientOptions()).json or {}
    )
    assert {kind["type"] for kind in schema["properties"]["streaming_mode"]["anyOf"]} == {"boolean", "integer"}
    named = {parameter["name"] for parameter in document["paths"]["/tts"]["get"]["parameters"]}
    assert named == set(schema["properties"]) - {"aux_ref_audio_paths"}
