"""Servers that others run with OpenAI's protocol: heard at the first try, without options, each by its own rules.

The stand-ins answer as the published sources and documents of these servers say, and refuse what they refuse.
"""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest

from tests.engines.remote.replay import Answer, Asked, Replay, Reply, missing, replaying, said, streamed, whole
from tests.engines.remote.sounds import HELLO, RATE, remote, tone, wav
from voxcli.audio.chunk import AudioChunk
from voxcli.audio.encode import encoded
from voxcli.audio.format import AudioFormat
from voxcli.engines.remote.engine import RemoteEngine
from voxcli.errors import NotFound, RemoteRefused, RequestError
from voxcli.protocols.dialect import ClientOptions
from voxcli.protocols.voxcpm.wrappers import find_route
from voxcli.synthesis.narration import SteadyVoice
from voxcli.synthesis.request import SynthesisRequest, Voice

VOXCPM2 = "openbmb/VoxCPM2"
HIGH = 48000
SOUND, SOUND_48 = tone(0.3), tone(0.3, HIGH)


def models(*names: str, owner: str = "", key: str = "data", **more: Any) -> Answer:
    return said({"object": "list", key: [{"id": name, "object": "model", "owned_by": owner, **more} for name in names]})


def refused(message: str, status: int = 400, param: str | None = None) -> Answer:
    return said({"error": {"message": message, "type": "BadRequestError", "param": param, "code": status}}, status)


def pcm(samples: "np.ndarray[Any, np.dtype[np.int16]]") -> list[bytes]:
    data = samples.astype("<i2").tobytes()
    return [data[start : start + 4801] for start in range(0, len(data), 4801)]


def mp3(samples: "np.ndarray[Any, np.dtype[np.int16]]", rate: int) -> bytes:
    return b"".join(encoded(iter([AudioChunk((samples / 32768).astype(np.float32), rate)]), AudioFormat.MP3))


def routes(**by_path: Callable[[Asked], Answer]) -> Reply:
    """Answer by the last part of the path, and 404 for everything else."""

    def reply(asked: Asked) -> Answer:
        return by_path.get(asked.path.partition("?")[0].strip("/").replace("/", "_"), lambda asked: missing())(asked)

    return reply


def described(*paths: str) -> Callable[[Asked], Answer]:
    return lambda asked: said({"info": {"title": "FastAPI"}, "paths": {path: {"post": {}} for path in paths}})


def vllm_omni(asked: Asked) -> Answer:
    """VoxCPM2 behind vLLM-Omni 0.30."""
    given = asked.json
    if given.get("model") not in (None, VOXCPM2):
        return refused(f"The model `{given['model']}` does not exist.", 404, "model")
    if given.get("voice") not in (None, "default"):
        return refused(f"Invalid voice '{given['voice']}'. Supported: none")
    streams = given.get("stream") or given.get("stream_format")
    if streams and given.get("response_format", "wav") not in ("wav", "pcm"):
        return refused("Streaming requires response_format='pcm' or 'wav'.")
    if streams and given.get("speed", 1.0) != 1.0:
        return refused("Streaming is not supported with speed adjustment.")
    if given.get("stream_format") == "audio":
        if given["response_format"] == "pcm":
            return streamed(pcm(SOUND_48), "audio/pcm")
        endless = wav(SOUND_48[:0], HIGH)[:40] + b"\xff\xff\xff\xff"
        return streamed([endless, *pcm(SOUND_48)], "audio/wav", x_asked="stream")
    if streams:
        return streamed(events(pcm(SOUND_48)), "text/event-stream")
    return whole(wav(SOUND_48, HIGH))


def events(pieces: list[bytes], **more: Any) -> Iterator[bytes]:
    for piece in pieces:
        event = {"type": "speech.audio.delta", "audio": base64.b64encode(piece).decode(), **more}
        yield b"event: speech.audio.delta\ndata: " + json.dumps(event).encode() + b"\n\n"
    yield b'event: speech.audio.done\ndata: {"type":"speech.audio.done","usage":{}}\n\n'


VLLM_OMNI = routes(
    **{"openapi.json": described("/v1/audio/speech", "/v1/models")},
    v1_models=lambda asked: models(VOXCPM2, owner="vllm"),
    v1_audio_voices=lambda asked: said({"voices": ["default"], "uploaded_voices": []}),
    v1_audio_speech=vllm_omni,
)


def sglang_omni(asked: Asked) -> Answer:
    """SGLang-Omni 0.1.9."""
    given = asked.json
    if given.get("voice", "default").lower() != "default":
        return refused(f"Unknown voice '{given['voice']}'.", param="voice")
    if not given.get("stream"):
        return whole(wav(SOUND_48, HIGH))
    if given.get("response_format", "wav") != "pcm":
        return refused("stream=true requires response_format='pcm'", param="response_format")
    headers = {"X-Sample-Rate": str(HIGH), "X-Channels": "1", "X-Bit-Depth": "16"}
    return streamed(pcm(SOUND_48), "audio/pcm", **headers)


SGLANG_OMNI = routes(
    v1_models=lambda asked: models("fishaudio/s2-pro", owner="sglang-omni"), v1_audio_speech=sglang_omni
)


def edge_tts(asked: Asked) -> Answer:
    """openai-edge-tts: everything is optional but the text; files, with the type of what was asked for."""
    given = asked.json
    if "input" not in given:
        return said({"error": "Missing 'input' in request body"}, 400)
    if given.get("voice", "alloy") not in ("alloy", "nova", "en-US-AvaNeural"):
        return said({"error": f"Invalid voice '{given['voice']}'."}, 400)
    if given.get("response_format", "mp3") == "wav":
        return whole(wav(SOUND), "audio/wav", content_disposition="attachment; filename=speech.wav")
    return whole(mp3(SOUND, RATE), "audio/mpeg")


EDGE_TTS = routes(v1_models=lambda asked: models("tts-1", "tts-1-hd", key="models"), v1_audio_speech=edge_tts)


def kokoro(asked: Asked) -> Answer:
    """Kokoro-FastAPI: OpenAI's names are mapped, other voices must exist; the model must be one of three."""
    given = asked.json
    if given.get("model", "kokoro") not in ("tts-1", "tts-1-hd", "kokoro"):
        return said({"detail": {"error": "invalid_model", "message": f"Unsupported model: {given['model']}"}}, 400)
    if given.get("voice", "af_heart") not in ("alloy", "af_heart", "af_bella"):
        return said({"detail": {"error": "validation_error", "message": f"Voice {given['voice']} not found."}}, 400)
    return streamed([wav(SOUND)])


KOKORO = routes(v1_models=lambda asked: models("tts-1", "tts-1-hd", "kokoro", owner="kokoro"), v1_audio_speech=kokoro)


def speaches(asked: Asked) -> Answer:
    """speaches: model and voice are required, and must be installed."""
    given = asked.json
    wrong = [name for name in ("model", "input", "voice") if name not in given]
    if wrong:
        return said({"detail": [{"type": "missing", "loc": ["body", wrong[0]], "msg": "Field required"}]}, 422)
    if given["model"] != "speaches-ai/Kokoro-82M-v1.0-ONNX":
        return said({"detail": f"Model '{given['model']}' is not installed locally."}, 404)
    if given["voice"] not in ("af_heart", "bm_george"):
        return said({"detail": f"Voice '{given['voice']}' is not supported."}, 422)
    return streamed([wav(SOUND)])


SPEACHES = routes(
    v1_models=lambda asked: said(
        {
            "object": "list",
            "data": [
                {"id": "Systran/faster-whisper-small", "owned_by": "Systran", "task": "automatic-speech-recognition"},
                {
                    "id": "speaches-ai/Kokoro-82M-v1.0-ONNX",
                    "owned_by": "speaches-ai",
                    "task": "text-to-speech",
                    "sample_rate": 24000,
                    "voices": [{"name": "af_heart", "language": "en-us"}, {"name": "bm_george", "language": "en-gb"}],
                },
            ],
        }
    ),
    v1_audio_speech=speaches,
)


def local_ai(asked: Asked) -> Answer:
    """LocalAI: many models, of which one speaks; the names of its voices are its own."""
    given = asked.json
    if given.get("model") != "voice-en-us-amy-low":
        return refused(f"could not load model {given.get('model')!r}: not found", 500)
    if given.get("voice"):
        return refused(f"rpc error: unknown speaker {given['voice']}", 500)
    return whole(wav(SOUND), "audio/wav")


LOCAL_AI = routes(
    v1_models=lambda asked: models("llama-3.2-1b-instruct", "whisper-1", "text-embedding-3", "voice-en-us-amy-low"),
    v1_audio_speech=local_ai,
)


def litellm(asked: Asked) -> Answer:
    """LiteLLM's proxy: its own names of models, whatever is behind them."""
    given = asked.json
    if given.get("model") != "house-tts":
        message = f"Invalid model name passed in model={given.get('model')}. Call `/v1/models` to view them."
        return said({"error": {"message": message, "type": "None", "param": "None", "code": "400"}}, 400)
    return streamed([mp3(SOUND, RATE)] if given.get("response_format") == "mp3" else [wav(SOUND)], "audio/mpeg")


def chatterbox(asked: Asked) -> Answer:
    """A Chatterbox server: WAV whatever is asked; a voice is the name of one of its files."""
    given = asked.json
    if given.get("voice") is None:
        return said({"detail": [{"type": "missing", "loc": ["body", "voice"], "msg": "Field required"}]}, 422)
    if given["voice"] not in ("Emily.wav", "Alex.wav"):
        return said({"detail": f"Voice file '{given['voice']}' not found."}, 404)
    return streamed([wav(SOUND)], "audio/wav")


CHATTERBOX = routes(
    v1_models=lambda asked: models("chatterbox", owner="resemble-ai"),
    v1_audio_voices=lambda asked: said({"voices": [{"id": "Emily.wav", "name": "Emily"}, {"id": "Alex.wav"}]}),
    v1_audio_speech=chatterbox,
)


def only_post(speech: Callable[[Asked], Answer]) -> Callable[[Asked], Answer]:
    return lambda asked: speech(asked) if asked.method == "POST" else said({"detail": "Method Not Allowed"}, 405)


ONLY_SPEECH = routes(v1_audio_speech=only_post(lambda asked: streamed([wav(SOUND)])))
WITHOUT_VERSION = routes(audio_speech=only_post(lambda asked: streamed([wav(SOUND)])))


LITELLM = routes(
    v1_models=lambda asked: models("gpt-5", "house-tts", owner="openai"), v1_audio_speech=only_post(litellm)
)


def with_key(reply: Reply, key: str) -> Reply:
    """An application that asks for a key for its lists too, such as Open WebUI."""

    def checked(asked: Asked) -> Answer:
        is_page = not asked.path.startswith(("/v1", "/api/v1"))
        if not is_page and asked.headers.get("authorization") != f"Bearer {key}":
            return said({"detail": "Not authenticated"}, 401)
        return reply(asked)

    return checked


SERVERS: dict[str, tuple[Reply, "np.ndarray[Any, np.dtype[np.int16]]", int]] = {
    "vllm-omni": (VLLM_OMNI, SOUND_48, HIGH),
    "sglang-omni": (SGLANG_OMNI, SOUND_48, HIGH),
    "openai-edge-tts": (EDGE_TTS, SOUND, RATE),
    "kokoro": (KOKORO, SOUND, RATE),
    "speaches": (SPEACHES, SOUND, RATE),
    "localai": (LOCAL_AI, SOUND, RATE),
    "litellm": (LITELLM, SOUND, RATE),
    "chatterbox": (CHATTERBOX, SOUND, RATE),
    "nothing but speech": (ONLY_SPEECH, SOUND, RATE),
    "no version in the path": (WITHOUT_VERSION, SOUND, RATE),
}


def sound_of(engine: RemoteEngine, request: SynthesisRequest = HELLO) -> tuple[list[int], int]:
    with closing(engine.stream(request)) as chunks:
        made = list(chunks)
    samples = np.concatenate([chunk.samples for chunk in made])
    return np.round(samples * 32768).astype(np.int16).tolist(), made[0].sample_rate


@pytest.mark.parametrize(
    ("server", "address"),
    [
        *((server, address) for server in SERVERS for address in ("", "/")),
        *((server, address) for server in [*SERVERS][:-1] for address in ("/v1", "/v1/audio/speech")),
    ],
)
def test_a_server_is_heard_without_options(server: str, address: str) -> None:
    from voxcli.engines.remote.settings import normalized_url

    reply, sound, rate = SERVERS[server]
    with replaying(reply, lists=True) as replay, closing(remote(normalized_url(replay.url + address), None)) as engine:
        assert sound_of(engine) == (sound.tolist(), rate)
        first = len(replay.of("POST"))
        assert sound_of(engine) == (sound.tolist(), rate)
        assert len(replay.of("POST")) == first + 1, "what it accepts is remembered"


def first_speech(replay: Replay) -> Any:
    return next(asked.json for asked in replay.asked if asked.path.endswith("/audio/speech") and asked.method == "POST")


def test_vllm_omni_is_asked_for_its_model_and_streams_at_the_first_try() -> None:
    with replaying(VLLM_OMNI, lists=True) as replay, closing(remote(replay.url, None)) as engine:
        sound_of(engine)
        assert len(replay.of("POST")) == 1
        given = first_speech(replay)
    assert (given["model"], given["stream"], given["stream_format"]) == (VOXCPM2, True, "audio")
    assert "voice" not in given


def test_vllm_omni_keeps_the_voice_of_the_first_sentence() -> None:
    with replaying(VLLM_OMNI, lists=True) as replay, closing(remote(replay.url, None)) as engine:
        steady = SteadyVoice(engine)
        for text in ("One.", "Two."):
            list(steady.stream(SynthesisRequest(text=text)))
        one, two = (asked.json for asked in replay.of("POST"))
    assert "ref_audio" not in one
    assert two["ref_text"] == "One."
    prefix, _, data = two["ref_audio"].partition(",")
    assert prefix == "data:audio/wav;base64"
    assert base64.b64decode(data)[:4] == b"RIFF"


@pytest.mark.parametrize("speed", [1.5, 0.5])
def test_a_speed_that_cannot_be_streamed_is_asked_for_as_a_whole(speed: float) -> None:
    with replaying(VLLM_OMNI, lists=True) as replay, closing(remote(replay.url, None)) as engine:
        assert sound_of(engine, SynthesisRequest(text="Hello.", speed=speed)) == (SOUND_48.tolist(), HIGH)
        assert len(replay.of("POST")) == 1


def test_sglang_omni_streams_samples_at_the_rate_that_it_says() -> None:
    with replaying(SGLANG_OMNI, lists=True) as replay, closing(remote(replay.url, None)) as engine:
        sound_of(engine)
        (asked,) = replay.of("POST")
    assert (asked.json["stream"], asked.json["response_format"]) == (True, "pcm")


def test_the_model_of_a_description_is_openais_own_where_it_is_listed() -> None:
    reply = routes(
        v1_models=lambda asked: models("gpt-5", "tts-1", "gpt-4o-mini-tts", "whisper-1", owner="openai-internal"),
        v1_audio_speech=lambda asked: streamed([wav(SOUND)]),
    )
    with replaying(reply, lists=True) as replay, closing(remote(replay.url, None)) as engine:
        sound_of(engine)
        sound_of(engine, SynthesisRequest(text="Hello.", voice=Voice(style="calm")))
        plain, styled = (asked.json for asked in replay.of("POST"))
    assert (plain["model"], plain["voice"]) == ("tts-1", "alloy")
    assert styled["model"] == "gpt-4o-mini-tts"


def test_a_server_whose_models_do_not_speak_is_told_by_them() -> None:
    reply = routes(v1_models=lambda asked: models("gpt-6", "gpt-realtime-2.1-mini", "whisper-1"))
    with replaying(reply, lists=True) as replay, closing(remote(replay.url, None)) as engine:
        with pytest.raises(NotFound, match=r"no model that is known to speak.*gpt-6, gpt-realtime-2.1-mini") as caught:
            next(engine.stream(HELLO))
        assert replay.of("POST") == []
    assert "--model" in caught.value.for_command_line


@pytest.mark.parametrize("end", ["2026-11-01", 1_700_000_000])
def test_a_model_that_has_been_shut_down_is_not_named(end: object) -> None:
    lists = {"data": [{"id": "tts-1", "shutdown_date": end}, {"id": "gpt-4o-mini-tts-2027"}]}
    reply = routes(v1_models=lambda asked: said(lists), v1_audio_speech=lambda asked: streamed([wav(SOUND)]))
    with replaying(reply, lists=True) as replay, closing(remote(replay.url, None)) as engine:
        sound_of(engine)
        assert first_speech(replay)["model"] == "gpt-4o-mini-tts-2027"


def test_a_model_that_is_not_there_lists_those_that_are() -> None:
    options = ClientOptions(model="tts-9")
    with replaying(VLLM_OMNI, lists=True) as replay, closing(remote(replay.url, None, options=options)) as engine:
        with pytest.raises(RemoteRefused, match=f"tts-9.*Its models: {VOXCPM2}") as caught:
            next(engine.stream(HELLO))
        assert isinstance(caught.value, NotFound)
        assert "--model NAME" in caught.value.for_command_line
        assert len(replay.of("POST")) == 1


def test_a_voice_that_is_not_there_lists_those_that_are() -> None:
    with replaying(CHATTERBOX, lists=True) as replay, closing(remote(replay.url, None)) as engine:
        with pytest.raises(RemoteRefused, match=r"anna.*Its voices: Emily\.wav, Alex\.wav") as caught:
            next(engine.stream(SynthesisRequest(text="Hello.", voice=Voice(name="anna"))))
        assert isinstance(caught.value, NotFound)
        assert "--voice NAME" in caught.value.for_command_line


def test_voices_that_are_listed_with_the_model_are_the_servers_voices() -> None:
    with replaying(SPEACHES, lists=True) as replay, closing(remote(replay.url, None)) as engine:
        assert [voice.name for voice in engine.voices() or []] == ["af_heart", "bm_george"]
        with pytest.raises(NotFound, match=r"anna.*Its voices: af_heart, bm_george"):
            next(engine.stream(SynthesisRequest(text="Hello.", voice=Voice(name="anna"))))


def test_a_server_that_has_another_model_since_yesterday_is_asked_again(tmp_path: Any) -> None:
    served = ["old-tts"]

    def speech(asked: Asked) -> Answer:
        if asked.json.get("model") != served[0]:
            return refused(f"The model `{asked.json.get('model')}` does not exist.", 404, "model")
        return streamed([wav(SOUND)])

    reply = routes(v1_models=lambda asked: models(served[0], owner="vllm"), v1_audio_speech=speech)
    with replaying(reply, lists=True) as replay:
        for name in ("old-tts", "new-tts"):
            served[0] = name
            with closing(remote(replay.url, None, cache=tmp_path)) as engine:
                assert sound_of(engine) == (SOUND.tolist(), RATE)


def test_a_list_that_needs_a_key_does_not_hide_a_server() -> None:
    reply = with_key(ONLY_SPEECH, "sk-mine")
    with replaying(reply, lists=True) as replay:
        with closing(remote(replay.url, None)) as engine, pytest.raises(RemoteRefused) as caught:
            next(engine.stream(HELLO))
        assert caught.value.status == 401
        assert f"voxcli keys set {replay.url}" in caught.value.for_command_line
        with closing(remote(replay.url, None, key="sk-mine")) as engine:
            assert sound_of(engine) == (SOUND.tolist(), RATE)


@pytest.mark.parametrize("prefix", ["/api/v1", "/openai/v1", "/tts/v1", "/v1/openai"])
def test_a_gateway_may_have_a_prefix(prefix: str) -> None:
    def reply(asked: Asked) -> Answer:
        if not asked.path.startswith(f"{prefix}/"):
            return missing()
        below = Asked(asked.method, asked.path.replace(prefix, "/v1", 1), asked.headers, asked.body)
        return LITELLM(below)

    with replaying(reply, lists=True) as replay, closing(remote(f"{replay.url}{prefix}", None)) as engine:
        assert sound_of(engine) == (SOUND.tolist(), RATE)


@pytest.mark.parametrize("prefix", ["/api/v1", "/openai/v1", "/api"])
def test_an_application_with_pages_of_its_own_is_found_below_its_prefix(prefix: str) -> None:
    def reply(asked: Asked) -> Answer:
        if asked.path == f"{prefix}/audio/speech":
            return only_post(lambda asked: streamed([wav(SOUND)]))(asked)
        return whole(b"<!DOCTYPE html><title>A chat</title>", "text/html")

    with replaying(reply, lists=True) as replay, closing(remote(replay.url, None)) as engine:
        assert sound_of(engine) == (SOUND.tolist(), RATE)


@pytest.mark.parametrize(
    ("headers", "content_type"),
    [
        ({"X-Sample-Rate": "48000"}, "audio/pcm"),
        ({"X-Audio-Sample-Rate": "48000"}, "audio/pcm"),
        ({"X-VoxCPM-Sample-Rate": "48000"}, "application/octet-stream"),
        ({"Sample-Rate": "48000"}, "audio/x-raw"),
        ({}, "audio/pcm;rate=48000;channels=1"),
        ({}, 'audio/L16; rate="48000"'),
    ],
)
def test_the_rate_that_a_server_says_is_taken(headers: dict[str, str], content_type: str) -> None:
    reply = lambda asked: streamed(pcm(SOUND_48), content_type, **headers)  # noqa: E731
    with replaying(reply) as replay, closing(remote(replay.url)) as engine:
        assert sound_of(engine) == (SOUND_48.tolist(), HIGH)


def test_the_channels_that_a_server_says_are_taken() -> None:
    both = np.repeat(SOUND_48, 2)
    reply = lambda asked: streamed(pcm(both), "audio/pcm", X_Sample_Rate="48000", X_Channels="2")  # noqa: E731
    with replaying(reply) as replay, closing(remote(replay.url)) as engine:
        assert sound_of(engine) == (SOUND_48.tolist(), HIGH)


def test_samples_of_an_unknown_rate_are_asked_for_as_wav() -> None:
    def speech(asked: Asked) -> Answer:
        if asked.json["response_format"] == "pcm":
            return streamed(pcm(SOUND_48), "audio/pcm")
        return whole(wav(SOUND_48, HIGH))

    reply = routes(v1_models=lambda asked: models("m-tts", owner="sglang-omni"), v1_audio_speech=speech)
    with replaying(reply, lists=True) as replay, closing(remote(replay.url, None)) as engine:
        assert sound_of(engine) == (SOUND_48.tolist(), HIGH)
        assert [asked.json["response_format"] for asked in replay.of("POST")] == ["pcm", "wav"]


def test_a_rate_that_was_guessed_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    options = ClientOptions(format=AudioFormat.PCM)
    for headers, warnings in (({}, 1), ({"X_Sample_Rate": str(RATE)}, 0)):
        caplog.clear()
        reply = lambda asked: streamed(pcm(SOUND), "audio/pcm", **headers)  # noqa: B023, E731
        with replaying(reply) as replay, closing(remote(replay.url, options=options)) as engine:
            for _ in range(2):
                assert sound_of(engine) == (SOUND.tolist(), RATE)
        assert caplog.text.count("24000 Hz is a guess") == warnings


@pytest.mark.parametrize("raw", [True, False])
def test_events_where_a_file_was_asked_for_are_told_by_their_type(raw: bool) -> None:
    pieces = pcm(SOUND_48) if raw else [wav(SOUND_48, HIGH)]
    reply = lambda asked: streamed(events(pieces, sample_rate=HIGH), "text/event-stream; charset=utf-8")  # noqa: E731
    with replaying(reply) as replay, closing(remote(replay.url)) as engine:
        assert sound_of(engine) == (SOUND_48.tolist(), HIGH)


def test_a_format_that_a_server_does_not_have_is_replaced() -> None:
    def speech(asked: Asked) -> Answer:
        if asked.json["response_format"] != "mp3":
            return refused("Unsupported response_format: wav. Use mp3.", param="response_format")
        return whole(mp3(SOUND, RATE), "audio/mpeg")

    with replaying(routes(v1_audio_speech=only_post(speech))) as replay, closing(remote(replay.url, None)) as engine:
        samples, rate = sound_of(engine)
    assert rate == RATE
    assert abs(len(samples) - len(SOUND)) < 3000


def schema(*required: str, **properties: str) -> dict[str, Any]:
    return {"properties": {name: {"type": kind} for name, kind in properties.items()}, "required": list(required)}


def own_protocol(**by_path: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI description of a server, as FastAPI writes it."""
    paths: dict[str, Any] = {"/health": {"get": {}}}
    for name in by_path:
        content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}
        paths["/" + name.replace("_", "/")] = {"post": {"requestBody": {"content": content}}}
    return {"info": {"title": "TTS"}, "paths": paths, "components": {"schemas": by_path}}


TURKISH = own_protocol(
    v1_tts=schema("text", text="string", voice="string"), v1_tts_stream=schema("text", text="string", voice="string")
)
VOXCPM2_API = own_protocol(
    v1_speech=schema("text", text="string", language="string", cfg_value="number", response_format="string"),
    v1_asr=schema("audio_base64", audio_base64="string"),
)
NANO_VLLM = own_protocol(generate=schema("target_text", target_text="string", cfg_value="number", seed="integer"))


@pytest.mark.parametrize(
    ("description", "path", "field"),
    [
        (TURKISH, "/v1/tts/stream", "text"),
        (VOXCPM2_API, "/v1/speech", "text"),
        (NANO_VLLM, "/generate", "target_text"),
    ],
)
def test_a_server_with_a_protocol_of_its_own_is_asked_as_it_describes_itself(
    description: Any, path: str, field: str, tmp_path: Any
) -> None:
    def reply(asked: Asked) -> Answer:
        if asked.path == "/openapi.json":
            return said(description)
        if asked.method == "POST" and asked.path == path:
            assert asked.json == {field: "Hello."}
            return streamed([wav(SOUND_48, HIGH)[:40] + b"\xff\xff\xff\x7f", *pcm(SOUND_48)])
        return missing()

    with replaying(reply, lists=True) as replay:
        for _ in range(2):
            with closing(remote(replay.url, None, cache=tmp_path)) as engine:
                assert sound_of(engine) == (SOUND_48.tolist(), HIGH)
                assert not engine.draws_voices


def test_what_such_a_server_has_no_field_for_is_refused_by_its_option() -> None:
    reply = lambda asked: said(TURKISH) if asked.path == "/openapi.json" else missing()  # noqa: E731
    with replaying(reply, lists=True) as replay, closing(remote(replay.url, None)) as engine:
        with pytest.raises(RequestError) as caught:
            next(engine.stream(SynthesisRequest(text="Hello.", speed=2.0, voice=Voice(name="anna"))))
        assert replay.of("POST") == []
    assert "Leave out --speed." in caught.value.for_command_line


def test_a_description_without_such_a_route_is_none() -> None:
    for document in (None, {}, {"paths": 1}, {"paths": {"/tts": {"post": None}}}, own_protocol(chat=schema(text="x"))):
        assert find_route(document) is None
