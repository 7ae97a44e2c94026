"""Messages of a Wyoming service for speech: what clients ask, and what they are told.

Source: github.com/OHF-Voice/wyoming, tts.py, info.py, audio.py, error.py and ping.py of version 1.10.
"""

from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from voxcli.protocols.dialect import FieldError
from voxcli.protocols.fields import Text, parse_fields
from voxcli.protocols.wyoming.frames import Frame

DESCRIBE, PING = "describe", "ping"
SYNTHESIZE, START, CHUNK, STOP = "synthesize", "synthesize-start", "synthesize-chunk", "synthesize-stop"
AUDIO_STOP, STOPPED = Frame("audio-stop"), Frame("synthesize-stopped")

_MOST_NAME = 256
_PLAIN = "text"

_Name: TypeAlias = Annotated[str | None, Field(max_length=_MOST_NAME)]

M = TypeVar("M", bound="_Message")


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore")


class SynthesizeVoice(_Message):
    """The wanted voice. A name takes precedence over a language."""

    name: _Name = None
    language: _Name = None
    speaker: _Name = None


class SynthesizeStart(_Message):
    """The beginning of a text that follows in pieces."""

    voice: SynthesizeVoice | None = None
    text_format: _Name = None


class Synthesize(SynthesizeStart):
    """A whole text."""

    text: Text


class SynthesizeChunk(_Message):
    """A piece of a text, cut anywhere."""

    text: str


class Ping(_Message):
    """A question whether the service answers, which repeats the text."""

    text: str | None = None


def read_message(model: type[M], frame: Frame) -> M:
    """Read the data of a frame.

    Raises:
        FieldError: a field is missing or invalid, or the text is not plain.
    """
    message = parse_fields(model, frame.data)
    if isinstance(message, SynthesizeStart) and message.text_format not in (None, _PLAIN):
        raise FieldError(
            f"Texts in the format {message.text_format!r} cannot be read. Send plain text, with the format 'text'.",
            "text_format",
            "unsupported_format",
        )
    return message


def audio_start(sample_rate: int) -> Frame:
    return Frame("audio-start", {**_samples(sample_rate), "timestamp": 0})


def audio_chunk(data: bytes, sample_rate: int, start: float) -> Frame:
    """Return a frame of sound.

    Args:
        data: 16-bit samples, little endian, mono.
        start: seconds from the beginning of the sound.
    """
    return Frame("audio-chunk", {**_samples(sample_rate), "timestamp": round(1000 * start)}, data)


def _samples(sample_rate: int) -> dict[str, Any]:
    return {"rate": sample_rate, "width": 2, "channels": 1}


def pong(text: str | None) -> Frame:
    return Frame("pong", {"text": text})


def error(text: str, code: str | None = None) -> Frame:
    return Frame("error", {"text": text, "code": code or "error"})


def info(model: str, version: str, voices: Sequence[tuple[str, Sequence[str]]]) -> Frame:
    """Describe the service.

    Args:
        version: of voxcli.
        voices: their names and languages.
    """
    attribution = {"name": "voxcli", "url": ""}
    common = {"attribution": attribution, "installed": True, "version": version}
    program = {
        "name": "voxcli",
        "description": f"voxcli with {model}",
        **common,
        "supports_synthesize_streaming": True,
        "voices": [
            {"name": name, "description": name, "languages": list(languages), "speakers": None, **common}
            for name, languages in voices
        ],
    }
    return Frame("info", {"tts": [program], **{kind: [] for kind in _OTHER_KINDS}})


_OTHER_KINDS = ("asr", "handle", "intent", "wake", "mic", "snd")
