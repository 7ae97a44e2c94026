"""VoxCPM's own API over a real socket."""

import io
import wave
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile

import voxcli
from tests.clips import WORDS, spoken_wav
from tests.server.raw import asked
from tests.server.running import Running, running
from tests.server.tone import ToneEngine, until
from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.audio.decode import decode
from voxcli.audio.encode import encoded
from voxcli.audio.format import AudioFormat
from voxcli.audio.pcm import to_int16
from voxcli.errors import ModelError, RequestError
from voxcli.protocols.dialect import ClientOptions, HttpCall
from voxcli.protocols.voxcpm.messages import error_message, to_call
from voxcli.synthesis.request import Clip, GpuMemory, Prompt, Sampling, SynthesisRequest, Voice

STREAM, WHOLE = "/api/tts/stream", "/api/tts"
HEADER = 44


@pytest.fixture(scope="module")
def engine() -> ToneEngine:
    return ToneEngine()


@pytest.fixture(scope="module")
def server(engine: ToneEngine) -> Iterator[Running]:
    with running(engine, max_characters=200, max_upload_bytes=1 << 20) as server:
        server.service.voices.save("lena", Voice(prompt=Prompt(clip("lena.wav"), WORDS), style="calm"))
        yield server


@pytest.fixture(scope="module")
def client(server: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=20) as client:
        yield client


def clip(name: str = "me.wav") -> Clip:
    return Clip(spoken_wav(), name)


def wav(samples: Samples) -> bytes:
    chunk = AudioChunk(samples.astype(np.float32), 16000)
    return b"".join(encoded(iter([chunk]), AudioFormat.WAV))


def send(client: httpx.Client, call: HttpCall) -> httpx.Response:
    files = {field: (file.name, file.data) for field, file in call.files.items()} or None
    return client.request(call.method, call.path, data=call.form, files=files)


def spoken(engine: ToneEngine) -> bytes:
    """Return the samples of what the engine was asked for last."""
    return to_int16(engine.sound(engine.requests[-1]))


def blocks_of(body: bytes) -> list[bytes]:
    """Take the answer apart as the clients of VoxCPM's server do: a WAV file after the other."""
    blocks = []
    while body:
        assert body[:4] == b"RIFF"
        size = 8 + int.from_bytes(body[4:8], "little")
        with wave.open(io.BytesIO(body[:size])) as file:
            assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16000)
            blocks.append(file.readframes(file.getnframes()))
        assert size == HEADER + len(blocks[-1])
        body = body[size:]
    return blocks


@pytest.mark.parametrize("as_files", [False, True], ids=["urlencoded", "multipart"])
def test_blocks_are_a_wav_file_for_every_chunk(client: httpx.Client, engine: ToneEngine, as_files: bool) -> None:
    fields: dict[str, Any] = {"text": "你好，世界。", "framing": "blocks"}
    answer = (
        client.post(STREAM, files={n: (None, v) for n, v in fields.items()})
        if as_files
        else client.post(STREAM, data=fields)
    )

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "audio/wav"
    assert "content-length" not in answer.headers
    blocks = blocks_of(answer.content)
    assert len(blocks) == 5
    assert engine.requests[-1] == SynthesisRequest(text="你好，世界。", sampling=Sampling(steps=5))
    assert b"".join(blocks) == spoken(engine)


def test_the_whole_answer_is_one_wav_file_with_its_true_length(client: httpx.Client, engine: ToneEngine) -> None:
    answer = client.post(WHOLE, data={"text": "Hello.", "inference_timesteps": "7"})

    assert answer.headers["content-type"] == "audio/wav"
    assert int(answer.headers["content-length"]) == len(answer.content)
    (data,) = blocks_of(answer.content)
    assert engine.requests[-1].sampling.steps == 7
    assert data == spoken(engine)


@pytest.mark.parametrize("path", [STREAM, WHOLE])
@pytest.mark.parametrize("format", AudioFormat)
def test_a_format_gives_one_continuous_answer(
    client: httpx.Client, engine: ToneEngine, path: str, format: AudioFormat
) -> None:
    answer = client.post(path, data={"text": f"In {format}.", "format": format.value})

    assert answer.status_code == 200
    if format is AudioFormat.PCM:
        assert answer.headers["content-type"] == "audio/pcm"
        assert (answer.headers["x-sample-rate"], answer.headers["x-channels"]) == ("16000", "1")
        assert answer.content == spoken(engine)
        return
    sound = decode(answer.content)
    assert sound.seconds == pytest.approx(0.4, abs=0.15)
    if format in (AudioFormat.WAV, AudioFormat.FLAC):
        assert to_int16(sound.samples) == spoken(engine)


@pytest.mark.parametrize(
    "request_",
    [
        SynthesisRequest(text="  x\r\ny\n"),
        SynthesisRequest(text="x", voice=Voice(reference=clip("我.wav"), prompt=Prompt(clip(), " Words, & more.\n"))),
        SynthesisRequest(
            text="x", voice=Voice(style="sanft=ja"), language="zh", speed=1.5, normalize=True, denoise=True
        ),
        SynthesisRequest(text="x", sampling=Sampling(steps=3, guidance=0.1, seed=2**63 - 1, max_patches=9, retries=2)),
    ],
    ids=["text", "clips", "manner", "sampling"],
)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_the_engine_is_asked_for_exactly_what_our_client_was(
    client: httpx.Client, engine: ToneEngine, request_: SynthesisRequest, stream: bool
) -> None:
    before = len(engine.requests)
    answer = send(client, to_call(request_, ClientOptions(stream=stream)))
    assert answer.status_code == 200
    asked = engine.requests[before:]
    assert " ".join(request.text for request in asked).split() == request_.text.split()
    assert {replace(request, text=request_.text) for request in asked} == {request_}


def test_a_voice_of_the_library_is_spoken_with(client: httpx.Client, engine: ToneEngine) -> None:
    assert client.post(STREAM, data={"text": "x", "voice_id": "lena"}).status_code == 200
    assert engine.requests[-1].voice == Voice(prompt=Prompt(clip("prompt.wav"), WORDS), style="calm")
    assert client.post(WHOLE, data={"text": "x", "voice_id": "default"}).status_code == 200
    assert engine.requests[-1].voice == Voice()


def test_the_voices_are_listed(client: httpx.Client) -> None:
    assert client.get("/api/voices").json() == {
        "voices": [
            {"id": "default", "description": "The model chooses.", "text": ""},
            {"id": "lena", "description": "calm", "text": WORDS},
        ]
    }


@pytest.mark.parametrize("name", ["../../etc/passwd.wav", "..\\me.wav", "/etc/me.wav", "a" * 300])
def test_the_name_of_an_upload_leads_nowhere(client: httpx.Client, engine: ToneEngine, name: str) -> None:
    files = {"reference_audio": (name, spoken_wav())}
    assert client.post(STREAM, data={"text": "x"}, files=files).status_code == 200
    reference = engine.requests[-1].voice.reference
    assert reference
    assert reference.data == spoken_wav()
    assert len(reference.name) <= 100
    assert not set(reference.name) & set("/\\")


@pytest.mark.parametrize(
    ("fields", "status", "place"),
    [
        ({}, 422, "text"),
        ({"text": ""}, 422, "text"),
        ({"text": "x", "inference_timesteps": "many"}, 422, "inference_timesteps"),
        ({"text": "x", "prompt_audio": "me.wav", "prompt_text": "words"}, 422, "prompt_audio"),
        ({"text": "x" * 201}, 422, "text"),
        ({"text": " "}, 400, None),
        ({"text": "x", "inference_timesteps": "0"}, 400, None),
        ({"text": "x", "prompt_text": "words"}, 400, None),
        ({"text": "x", "voice_id": "nobody"}, 404, None),
        ({"text": "x", "voice_id": "../lena"}, 404, None),
    ],
)
@pytest.mark.parametrize("path", [STREAM, WHOLE])
def test_what_is_wrong_is_said_before_any_sound(
    client: httpx.Client, path: str, fields: dict[str, str], status: int, place: str | None
) -> None:
    answer = client.post(path, data=fields)
    assert answer.status_code == status
    detail = answer.json()["detail"]
    if place:
        assert detail[0]["loc"] == ["body", place]
    else:
        assert isinstance(detail, str)
    assert error_message(status, answer.content)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"no sound at all", 400),
        (b"", 400),
        (b"\0" * ((1 << 20) + 1), 413),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", 400),
    ],
)
def test_an_upload_that_is_no_clip_is_refused(client: httpx.Client, data: bytes, status: int) -> None:
    answer = client.post(WHOLE, data={"text": "x", "prompt_text": "words"}, files={"prompt_audio": ("a.wav", data)})
    assert answer.status_code == status
    assert isinstance(answer.json()["detail"], str)


def test_json_is_no_form(client: httpx.Client) -> None:
    answer = client.post(STREAM, json={"text": "x"})
    assert answer.status_code == 422
    assert "form" in answer.json()["detail"][0]["msg"]


def test_a_failure_before_the_first_sound_is_an_error() -> None:
    broken = ToneEngine(fail_at=0, error=RequestError("It cannot sing."))
    with running(broken) as server:
        answer = httpx.post(server.url + STREAM, data={"text": "x"})
    assert (answer.status_code, answer.json()) == (400, {"detail": "It cannot sing."})


def test_a_failure_after_it_breaks_the_connection() -> None:
    with running(ToneEngine(fail_at=2)) as server, pytest.raises(httpx.RemoteProtocolError):
        httpx.post(server.url + STREAM, data={"text": "x"})


def test_health_says_how_the_server_is(client: httpx.Client) -> None:
    expected = {
        "status": "healthy",
        "model_loaded": True,
        "version": voxcli.__version__,
        "server": "voxcli",
        "model": "tone",
        "slots": 2,
        "takes_hashes": True,
        "servers": None,
        "engine": {
            **dict.fromkeys(("sampling", "styles", "clips", "bare_clips"), True),
            "least_syllables": 0,
            "tags": [],
            "phonemes": [],
            "draws_voices": False,
            "identity": None,
            "sample_rate": 16000,
        },
    }
    assert client.get("/health").json() == expected


def test_the_model_is_unloaded_and_comes_back_when_it_is_needed() -> None:
    opened: list[ToneEngine] = []

    def open_engine() -> ToneEngine:
        opened.append(ToneEngine())
        return opened[-1]

    with running(open_engine) as server, httpx.Client(base_url=server.url) as client:
        for _ in range(2):
            assert client.post("/api/gpu/offload").json() == {"status": "offloaded", "model_loaded": False}
            assert client.get("/health").json()["model_loaded"] is False
        assert opened[0].closed
        assert client.post(WHOLE, data={"text": "x"}).status_code == 200
        assert client.get("/health").json()["model_loaded"] is True
    assert len(opened) == 2


def test_a_model_is_loaded_before_it_is_needed() -> None:
    opened = []

    def open_engine() -> ToneEngine:
        opened.append(ToneEngine())
        return opened[-1]

    with running(open_engine, lazy=True) as server, httpx.Client(base_url=server.url) as client:
        for _ in range(2):
            assert client.post("/api/gpu/load").json() == {"status": "loaded", "model_loaded": True}
        assert client.get("/health").json()["model_loaded"] is True
        assert len(opened) == 1


def test_a_model_that_cannot_be_loaded_is_told_of() -> None:
    def fail() -> ToneEngine:
        raise ModelError("It is damaged.")

    with running(fail, lazy=True) as server:
        answer = httpx.post(f"{server.url}/api/gpu/load")
    assert answer.status_code == 503
    assert answer.json()["detail"]


def test_a_recording_is_judged_in_words(client: httpx.Client) -> None:
    def judged(data: bytes) -> httpx.Response:
        return client.post("/api/clips/check", files={"audio": ("me.wav", data)})

    good = judged(spoken_wav()).json()
    assert good["sample_rate"] == 22050
    assert 0 < good["speech_seconds"] <= good["seconds"]
    silent = judged(wav(np.zeros(32000))).json()
    assert [remark["kind"] for remark in silent["remarks"]] == ["silent"]
    loud = judged(wav(np.sign(np.sin(np.arange(96000))))).json()
    assert {"distorted", "loud"} <= {remark["kind"] for remark in loud["remarks"]}
    assert all(remark["message"].endswith(".") for remark in loud["remarks"])
    for data in (b"", b"no audio"):
        refused = judged(data)
        assert refused.status_code in (400, 422)
        assert "detail" in refused.json()


def test_a_model_that_speaks_is_unloaded_afterwards() -> None:
    engine = ToneEngine(hold_at=1)
    with running(engine) as server:
        with httpx.stream("POST", server.url + STREAM, data={"text": "x"}) as answer:
            assert httpx.post(f"{server.url}/api/gpu/offload").json() == {"status": "offloaded", "model_loaded": True}
            engine.go.set()
            assert len(decode(answer.read()).samples) == 5 * 1280
        until(lambda: engine.closed)


def test_the_memory_of_the_graphics_card_is_told_where_there_is_one(server: Running, client: httpx.Client) -> None:
    assert client.get("/api/gpu/status").json() == {"error": "CUDA not available"}
    server.service.models.gpu_memory = lambda: GpuMemory("NVIDIA L40S", 5 << 29, 3 << 30)
    assert client.get("/api/gpu/status").json() == {
        "model_loaded": True,
        "memory_allocated_gb": 2.5,
        "memory_reserved_gb": 3.0,
        "device_name": "NVIDIA L40S",
    }


def test_every_field_that_is_read_is_described(client: httpx.Client) -> None:
    everything = SynthesisRequest(
        text="x",
        voice=Voice(style="calm", reference=clip(), prompt=Prompt(clip(), "words")),
        sampling=Sampling(seed=1),
        language="en",
        speed=2,
    )
    call = to_call(everything, ClientOptions(format=AudioFormat.MP3, stream=False))
    named = to_call(replace(everything, voice=Voice(name="lena")), ClientOptions())
    operation = client.get("/openapi.json").json()["paths"][WHOLE]["post"]
    exact = to_call(replace(everything, text_language="en", voice=Voice(name="lena")), ClientOptions(as_is=True))
    for kind in ("multipart/form-data", "application/x-www-form-urlencoded"):
        assert "framing" in operation["requestBody"]["content"][kind]["schema"]["properties"]
        described = set(operation["requestBody"]["content"][kind]["schema"]["properties"])
        files = set(call.files) if kind.startswith("multipart") else set()
        assert described - {"framing"} == {*(call.form or {}), *(named.form or {}), *(exact.form or {})} | files
    assert {"200", "400", "404", "422"} <= set(operation["responses"])


def test_a_stream_saved_as_a_file_is_one_recording(client: httpx.Client, engine: ToneEngine) -> None:
    answer = client.post(STREAM, data={"text": "你好，世界。"})
    assert answer.headers["content-type"] == "audio/wav"
    assert "content-length" not in answer.headers
    sound, rate = soundfile.read(io.BytesIO(answer.content), dtype="int16")
    assert rate == 16000
    assert sound.tobytes() == spoken(engine)


@pytest.mark.parametrize("path", [STREAM, WHOLE])
def test_flac_is_read_by_libsndfile(client: httpx.Client, engine: ToneEngine, path: str) -> None:
    answer = client.post(path, data={"text": "Hello.", "format": "flac"})
    sound, _ = soundfile.read(io.BytesIO(answer.content), dtype="int16")
    assert sound.tobytes() == spoken(engine)


def test_an_answer_that_is_sent_whole_ends_when_its_client_leaves() -> None:
    engine = ToneEngine(chunks=10**9)
    with running(engine) as server:
        with asked(server.url, path=WHOLE, text="x"):
            until(lambda: engine.made > 3)
        until(engine.idle.is_set)
