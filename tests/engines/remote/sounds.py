"""Bytes of sound, and what is heard of them."""

import io
import wave
from contextlib import closing
from pathlib import Path

import numpy as np

from tests.engines.remote.replay import Answer, Asked, streamed
from voxcli.audio.chunk import Samples
from voxcli.engines.remote.engine import RemoteEngine
from voxcli.engines.remote.settings import RemoteSettings
from voxcli.protocols.names import Dialect
from voxcli.synthesis.request import SynthesisRequest

RATE = 24000
HELLO = SynthesisRequest(text="Hello.")

VOXCPM = {"info": {"title": "VoxCPM API"}, "paths": {"/api/tts": {}, "/api/tts/stream": {}, "/v1/audio/speech": {}}}
VOXCLI = {"info": {"title": "voxcli"}, "paths": {"/api/tts": {}, "/tts": {}, "/v1/audio/speech": {}}}
GPT_SOVITS = {"info": {"title": "FastAPI"}, "paths": {"/tts": {"get": {"parameters": [{"name": "ref_audio_path"}]}}}}
GPT_SOVITS_1 = {"info": {"title": "FastAPI"}, "paths": {"/": {}, "/change_refer": {}}}


def tone(seconds: float = 0.2, rate: int = RATE) -> "np.ndarray[tuple[int], np.dtype[np.int16]]":
    times = np.arange(round(seconds * rate)) / rate
    return (8000 * np.sin(2 * np.pi * 440 * times)).astype(np.int16)


def wav(samples: "np.ndarray[tuple[int], np.dtype[np.int16]]", rate: int = RATE) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()


def remote(url: str, dialect: Dialect | None = Dialect.OPENAI, **more: object) -> RemoteEngine:
    settings = {"retry_delays": (0.01, 0.01, 0.01), "read_seconds": 5.0, **more}
    return RemoteEngine(RemoteSettings(url=url, dialect=dialect, **settings))  # type: ignore[arg-type]


def heard(engine: RemoteEngine, request: SynthesisRequest = HELLO) -> "np.ndarray[tuple[int], np.dtype[np.int16]]":
    """Everything as samples of 16 bits."""
    with closing(engine), closing(engine.stream(request)) as chunks:
        pieces: list[Samples] = [chunk.samples for chunk in chunks]
    return np.round(np.concatenate(pieces) * 32768).astype(np.int16)


SOUND = tone()


def sound(asked: Asked) -> Answer:
    return streamed([wav(SOUND)])


def spoken(path: Path) -> list[int]:
    with wave.open(str(path)) as file:
        return list(np.frombuffer(file.readframes(file.getnframes()), "<i2"))
