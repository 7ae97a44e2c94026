"""Stand-ins for servers that others run with OpenAI's protocol, and what is heard from them.

They answer as the published sources and documents of these servers say, and refuse what they refuse.
"""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import numpy as np

from tests.engines.remote.replay import Answer, Asked, Reply, missing, said, streamed, whole
from tests.engines.remote.sounds import HELLO, RATE, tone, wav
from voxcli.audio.chunk import AudioChunk
from voxcli.audio.encode import encoded
from voxcli.audio.format import AudioFormat
from voxcli.engines.remote.engine import RemoteEngine
from voxcli.synthesis.request import SynthesisRequest

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
