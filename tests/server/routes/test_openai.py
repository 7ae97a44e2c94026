"""OpenAI's speech API over a real socket, with OpenAI's own package as the client."""

import asyncio
import base64
import io
import json
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
import soundfile
from openai import AsyncOpenAI, OpenAI

from tests.clips import spoken_wav
from tests.server.openai_client import client_of, going_on
from tests.server.running import Running, running, serving
from tests.server.tone import ToneEngine
from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.audio.decode import decode
from voxcli.audio.tags.reading import read_tagged
from voxcli.protocols.openai.events import EventReader
from voxcli.protocols.openai.fields import VOICES
from voxcli.synthesis.identity import TRAINED
from voxcli.synthesis.marking import read_marking
from voxcli.synthesis.request import Clip, Prompt, Sampling, SynthesisRequest, Voice
from voxcli.voices import VoiceLibrary

FORMATS = ["mp3", "opus", "aac", "flac", "wav", "pcm"]
CONTENT_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg; codecs=opus",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}


@pytest.fixture(scope="module")
def engine() -> ToneEngine:
    return ToneEngine()


@pytest.fixture(scope="module")
def server(engine: ToneEngine) -> Iterator[Running]:
    with running(engine) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Running) -> Iterator[OpenAI]:
    with client_of(server.url) as client:
        yield client


def heard(data: bytes, format: str) -> AudioChunk:
    if format == "pcm":
        return AudioChunk((np.frombuffer(data, "<i2") / 32768).astype(np.float32), 24000)
    return decode(data, name=format)


def pitch_of(samples: Samples, sample_rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 1 << 16))
    return float(np.argmax(spectrum)) * sample_rate / (1 << 16)


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_sounds_as_the_engine_speaks(client: OpenAI, format: Any) -> None:
    answer = client.audio.speech.create(model="voxcpm-2", voice="alloy", input=f"In {format}.", response_format=format)

    sound = heard(answer.read(), format)
    original = ToneEngine().sound(SynthesisRequest(text=f"In {format}."))
    padding = 0.15 if format in ("mp3", "aac") else 0.0
    assert 0.399 <= sound.seconds <= 0.401 + padding
    assert pitch_of(sound.samples, sound.sample_rate) == pytest.approx(pitch_of(original, 16000), abs=3)
    assert answer.response.headers["content-type"] == CONTENT_TYPES[format]


def test_pcm_is_sample_for_sample_what_a_resampler_makes_of_the_whole(client: OpenAI) -> None:
    native, at_16k = (
        client.audio.speech.create(
            model="x", voice="alloy", input="Hi.", response_format="pcm", extra_body=extra
        ).read()
        for extra in ({}, {"sample_rate": 16000})
    )

    assert (len(native), len(at_16k)) == (2 * 9600, 2 * 6400)
    original = ToneEngine().sound(SynthesisRequest(text="Hi."))
    assert np.abs(np.frombuffer(at_16k, "<i2") / 32768 - original).max() < 1e-4


def test_a_client_that_names_no_format_gets_mp3(client: OpenAI) -> None:
    answer = client.audio.speech.create(model="tts-1", voice="alloy", input="Hello.")

    assert answer.response.headers["content-type"] == "audio/mpeg"
    assert answer.read().startswith(b"ID3")


@pytest.mark.parametrize("stream_format", ["audio", "sse"])
@pytest.mark.parametrize("format", FORMATS)
def test_sound_arrives_while_the_engine_still_works(format: Any, stream_format: Any) -> None:
    engine = ToneEngine(hold_at=3)
    with (
        serving(engine) as url,
        client_of(url) as client,
        client.audio.speech.with_streaming_response.create(
            model="tts-1", voice="alloy", input="Hello.", response_format=format, stream_format=stream_format
        ) as answer,
        going_on(engine),
    ):
        pieces = answer.iter_bytes()
        first = next(pieces)
        assert first
        assert not engine.idle.is_set()

        engine.go.set()
        body = first + b"".join(pieces)
        data = b"".join(EventReader().feed(body)) if stream_format == "sse" else body
        assert heard(data, format).seconds == pytest.approx(0.4, abs=0.15)


def test_events_carry_the_same_bytes_and_end_with_the_usage(client: OpenAI) -> None:
    plain, events = (
        client.audio.speech.create(
            model="tts-1", voice="alloy", input="Hello.", response_format="wav", stream_format=stream_format
        )
        for stream_format in ("audio", "sse")
    )

    reader = EventReader()
    assert b"".join(reader.feed(events.read())) == plain.read()
    assert reader.ended
    assert events.response.headers["content-type"] == "text/event-stream"
    last = json.loads(events.read().strip().rpartition(b"data: ")[2])
    assert last["type"] == "speech.audio.done"
    assert last["usage"] == {"input_tokens": 2, "output_tokens": 8, "total_tokens": 10}


@pytest.mark.anyio
async def test_asynchronous_clients_are_answered_side_by_side(server: Running) -> None:
    async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client:
        answers = [
            client.audio.speech.create(model="x", voice="alloy", input=f"{n}.", response_format="wav") for n in range(4)
        ]
        sounds = [answer.read() for answer in await asyncio.gather(*answers)]

    for number, data in enumerate(sounds):
        original = ToneEngine().sound(SynthesisRequest(text=f"{number}."))
        assert np.abs(heard(data, "wav").samples - original).max() < 1e-4


def test_a_file_is_written_as_in_openais_own_example(client: OpenAI, tmp_path: Path) -> None:
    with client.audio.speech.with_streaming_response.create(model="tts-1", voice="alloy", input="Hello.") as answer:
        answer.stream_to_file(tmp_path / "speech.mp3")

    assert heard((tmp_path / "speech.mp3").read_bytes(), "mp3").seconds > 0.39


def test_the_speed_reaches_the_engine(client: OpenAI) -> None:
    answer = client.audio.speech.create(model="x", voice="alloy", input="Hello.", speed=2, response_format="wav")

    assert heard(answer.read(), "wav").seconds == pytest.approx(0.2, abs=0.001)


@pytest.mark.parametrize(("model", "steps"), [("tts-1", 5), ("tts-1-hd", 10), ("gpt-4o-mini-tts", 7), ("whisper", 10)])
def test_the_model_chooses_the_steps(client: OpenAI, engine: ToneEngine, model: str, steps: int) -> None:
    client.audio.speech.create(model=model, voice="alloy", input="Hello.", response_format="pcm")

    assert engine.requests[-1] == SynthesisRequest(text="Hello.", sampling=Sampling(steps=steps))


def test_an_engine_without_steps_is_asked_for_none() -> None:
    engine = ToneEngine()
    with running(engine) as server, client_of(server.url) as client:
        server.service.models.samples = False
        client.audio.speech.create(model="tts-1", voice="alloy", input="Hello.")

    assert engine.requests == [SynthesisRequest(text="Hello.")]


def test_home_assistants_lack_of_instructions_is_none(client: OpenAI, engine: ToneEngine) -> None:
    for instructions, style in (("None", None), ("Calm.", "Calm.")):
        client.audio.speech.create(model="x", voice="nova", input="Hello.", instructions=instructions)
        assert engine.requests[-1].voice == Voice(style=style)


def test_fields_of_other_servers_are_passed_over_and_ours_taken(client: OpenAI, engine: ToneEngine) -> None:
    extra = {"lang_code": "e", "stream": True, "seed": 5, "language": "zh", "normalize": True}
    client.audio.speech.create(model="x", voice="nova", input="Hello.", extra_body=extra)

    assert engine.requests[-1] == SynthesisRequest(
        text="Hello.", sampling=Sampling(seed=5), language="zh", normalize=True
    )


def test_the_library_comes_before_openais_voices(tmp_path: Path) -> None:
    own = Voice(prompt=Prompt(Clip(spoken_wav(), "prompt.wav"), "It was a bright cold day."))
    VoiceLibrary(tmp_path).save("alloy", own)
    engine = ToneEngine()
    with serving(engine, voices=tmp_path, knows_voice=lambda name: name == "en-gb") as url, client_of(url) as client:
        speech = client.audio.speech
        for voice in ("alloy", {"id": "alloy"}, "echo", "en-gb"):
            speech.create(model="x", voice=voice, input="Hello.")  # type: ignore[arg-type]

    assert [request.voice for request in engine.requests] == [own, own, Voice(), Voice(name="en-gb")]


def test_an_empty_bearer_is_no_key(server: Running) -> None:
    """As SillyTavern sends it. httpx would refuse to."""
    connection = HTTPConnection(server.url.removeprefix("http://"))
    body = json.dumps({"model": "x", "input": "Hello.", "voice": "alloy", "response_format": "mp3", "speed": 1})
    headers = {"authorization": "Bearer ", "content-type": "application/json"}
    connection.request("POST", "/v1/audio/speech", body, headers)

    answer = connection.getresponse()
    assert (answer.status, answer.headers["content-type"]) == (200, "audio/mpeg")
    assert answer.read()
    connection.close()


def test_models_are_listed_and_found(client: OpenAI) -> None:
    names = [model.id for model in client.models.list()]

    assert names == ["tone", "tts-1", "tts-1-hd", "gpt-4o-mini-tts"]
    assert client.models.retrieve("tone").owned_by == "voxcli"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("openbmb/unknown")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_a_strict_server_knows_one_model_only() -> None:
    with serving(ToneEngine(), model="voxcpm-2", strict_models=True) as url, client_of(url) as client:
        assert [model.id for model in client.models.list()] == ["voxcpm-2"]
        assert client.audio.speech.create(model="voxcpm-2", voice="alloy", input="Hello.").read()
        with pytest.raises(openai.NotFoundError) as caught:
            client.audio.speech.create(model="tts-1", voice="alloy", input="Hello.")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_other_peoples_clients_find_what_they_ask_for(server: Running) -> None:
    def ask(path: str) -> Any:
        return httpx.get(f"{server.url}/v1{path}").raise_for_status().json()

    assert ask("/test") == {"status": "ok"}
    assert ask("/audio/models") == {
        "models": [{"id": name} for name in ("tone", "tts-1", "tts-1-hd", "gpt-4o-mini-tts")]
    }
    assert ask("/audio/voices") == {"voices": [{"id": name, "name": name} for name in VOICES]}
    assert ask("/audio/voices?legacy=true") == {"voices": [*VOICES]}


@pytest.mark.parametrize("path", ["/v1/audio/speech", "/api/tts"])
def test_flac_has_its_length_at_its_start(server: Running, path: str) -> None:
    fields = {"input": "Hello.", "text": "Hello.", "response_format": "flac", "format": "flac"}
    answer = httpx.post(server.url + path, **{"data" if path == "/api/tts" else "json": fields})  # type: ignore[arg-type]
    assert int(answer.headers["content-length"]) == len(answer.content)
    sound, rate = soundfile.read(io.BytesIO(answer.content))
    assert len(sound) == pytest.approx(0.4 * rate, abs=1)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("stream_format", [None, "audio", "sse"])
def test_an_answer_is_marked_in_its_header_and_where_clients_expect_tags_in_its_container(
    client: OpenAI, engine: ToneEngine, format: str, stream_format: Any
) -> None:
    asked: dict[str, Any] = {"input": "Marked.", "voice": "alloy", "model": "tts-1", "response_format": format}
    if stream_format:
        asked["extra_body"] = {"stream_format": stream_format}
    with client.audio.speech.with_streaming_response.create(**asked) as answer:
        assert answer.headers["x-voxcli-generated"] == TRAINED
        data = answer.read()
    if stream_format == "sse":
        events = [json.loads(line.removeprefix("data: ")) for line in data.decode().split("\n\n") if line]
        data = b"".join(base64.b64decode(event["audio"]) for event in events if "audio" in event)
    assert heard(data, format).seconds == pytest.approx(0.4, abs=0.15)
    if format == "wav":
        assert data[36:40] == b"data"  # 44 bytes, which many clients skip
    elif format == "aac":
        assert data[0] == 0xFF  # decoders without a container expect no tag
    elif format != "pcm":
        found = read_tagged(io.BytesIO(data))
        assert found
        assert read_marking(found.tags).source_type == TRAINED
