"""Types that all dialects share: client options and calls, server requests and problems, content types of audio."""

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

from voxcli.audio.format import AudioFormat, SubtitleFormat
from voxcli.errors import RequestError
from voxcli.synthesis.identity import ModelIdentity
from voxcli.synthesis.request import Clip, Parameter, SynthesisRequest, Voice


class Framing(StrEnum):
    """How audio is arranged in a response body."""

    PLAIN = "plain"
    """One file, or one stream."""
    BLOCKS = "blocks"
    """A complete WAV file for every chunk, concatenated, as VoxCPM's own server sends them."""
    SSE = "sse"
    """Server-sent events with the bytes in base64."""
    OBJECT = "object"
    """A JSON object with the file in base64, and its subtitles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerForm:
    """Format and framing of a response."""

    format: AudioFormat
    framing: Framing = Framing.PLAIN
    sample_rate: int | None = None
    """Hz; None for the model's own rate."""
    channels: int = 1
    """Of samples without a header, as a server announces them."""
    rate_is_guessed: bool = field(default=False, compare=False)
    """The sample rate is the usual one, because the server does not say any."""
    whole: bool = False
    """Sent once complete, with its length in the header."""
    floats: bool = False
    """PCM samples are 32-bit floats, as the engine made them, and not 16-bit integers."""
    sentences: bool = False
    """There are events for the sentences too."""
    subtitles: SubtitleFormat | None = None
    """Of the object."""
    header_apart: bool = field(default=False, compare=False)
    """The header of a WAV stream is a piece of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """What a client requests of a server besides the speech itself."""

    model: str | None = None
    format: AudioFormat | None = None
    """None for the format with the lowest latency."""
    stream: bool = True
    mode: int | None = None
    """GPT-SoVITS's streaming mode, 0 to 3."""
    as_is: bool = False
    """Pass each request to the server's engine unchanged, and get its samples as floats unless another format is
    chosen. Only our own servers understand it."""
    extra: Mapping[str, str] = field(default_factory=dict)
    """Further fields, sent unchanged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCall:
    """An HTTP request, independent of any HTTP library. At most one of `json` and `form` is given."""

    method: str
    path: str
    """Relative to the server's base URL, with a leading slash."""
    query: Mapping[str, str] = field(default_factory=dict)
    json: Mapping[str, Any] | None = None
    form: Mapping[str, str] | None = None
    files: Mapping[str, Clip] = field(default_factory=dict)
    """Uploaded with `form`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRequest:
    """A speech request as a server has read it."""

    request: SynthesisRequest
    form: AnswerForm
    model: str | None = None
    """Name given by the client."""
    as_is: bool = False
    """The text is one request to the engine: it is not split, and its tags are left to the engine."""
    gap_seconds: float | None = None
    """Silence between the lines of the text, which are spoken one by one; None to speak it as one text."""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    """The fields that the client sent, with what they set, as far as not every engine has a use for it."""
    ignored: tuple[str, ...] = ()
    """The fields that the client sent and that make no difference to any engine, or whose value was limited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An error response, before a dialect shapes its body."""

    status: int
    message: str
    code: str | None = None
    """For programs, such as "voice_not_found"."""
    field: str | None = None
    """The invalid field of the request."""
    retry_after: int | None = None
    """Seconds."""


class FieldError(RequestError):
    """A field of a request is invalid."""

    def __init__(self, message: str, field: str | None = None, code: str = "invalid_value") -> None:
        super().__init__(message)
        self.field = field
        self.code = code


DRAWS_VOICES = "x-draws-voices"
"""Header of voxcli's own servers: whether each request without a voice gets a different one."""

IGNORED = "x-voxcli-ignored"
"""Header that names the fields of a request that made no difference to the speech."""

GENERATED = "x-voxcli-generated"
"""Header that marks speech as made by a machine, with the digital source type of IPTC."""

MADE_BY = "x-voxcli-made-by"
"""Header of voxcli's own servers: the model as JSON in ASCII, see `ModelIdentity.to_dict`."""

FindVoice: TypeAlias = Callable[[str], Voice | None]
"""Finds a voice by name: in the server's library, or one that its engine knows (then only `name` is set)."""


_CONTENT_TYPES = {
    AudioFormat.WAV: "audio/wav",
    AudioFormat.FLAC: "audio/flac",
    AudioFormat.MP3: "audio/mpeg",
    AudioFormat.OPUS: "audio/ogg; codecs=opus",
    AudioFormat.AAC: "audio/aac",
    AudioFormat.PCM: "audio/pcm",
}
FLOATS = "audio/x-f32le"
"""Content type of 32-bit floats, little endian, mono, without a header."""
_FORMATS = {
    FLOATS: AudioFormat.PCM,
    "audio/wav": AudioFormat.WAV,
    "audio/x-wav": AudioFormat.WAV,
    "audio/wave": AudioFormat.WAV,
    "audio/vnd.wave": AudioFormat.WAV,
    "audio/flac": AudioFormat.FLAC,
    "audio/x-flac": AudioFormat.FLAC,
    "audio/mpeg": AudioFormat.MP3,
    "audio/mp3": AudioFormat.MP3,
    "audio/ogg": AudioFormat.OPUS,
    "audio/opus": AudioFormat.OPUS,
    "audio/aac": AudioFormat.AAC,
    "audio/pcm": AudioFormat.PCM,
    "audio/l16": AudioFormat.PCM,
    "audio/raw": AudioFormat.PCM,
    "audio/x-raw": AudioFormat.PCM,
    "audio/x-pcm": AudioFormat.PCM,
    "audio/wav-stream": AudioFormat.WAV,
}
_RATE = re.compile(r"\brate=\"?(\d{4,6})\b")
_RATE_HEADERS = ("x-sample-rate", "x-audio-sample-rate")
_CHANNELS = re.compile(r"\bchannels=\"?(\d{1,2})\b")
_RATE_HEADER = re.compile(r"(?:.*[-_])?sample[-_]?rate(?:[-_]hz)?")
_CHANNELS_HEADER = re.compile(r"(?:x[-_])?(?:audio[-_])?(?:num[-_])?channels")
_LOWEST_RATE, _HIGHEST_RATE = 4000, 192000
_MOST_CHANNELS = 16
_EVENTS = "text/event-stream"


def media_types() -> tuple[str, ...]:
    """Return the content types of all formats, without parameters."""
    return tuple(_CONTENT_TYPES[format].partition(";")[0] for format in AudioFormat)


def audio_headers(
    format: AudioFormat, sample_rate: int, content_type: str | None = None, *, floats: bool = False
) -> dict[str, str]:
    """Return the headers of a response with audio.

    The rate and the channels have headers of their own, under the names that other servers of speech use: clients
    compare the whole content type.

    Args:
        sample_rate: Hz.
        content_type: of a protocol that calls the format otherwise.
        floats: see `AnswerForm`.
    """
    if floats:
        content_type = f"{FLOATS}; rate={sample_rate}"
    return {
        "content-type": content_type or _CONTENT_TYPES[format],
        **dict.fromkeys(_RATE_HEADERS, str(sample_rate)),
        "x-channels": "1",
        "x-audio-channels": "1",
        "x-bits-per-sample": "32" if floats else "16",
    }


def read_content_type(value: str) -> tuple[AudioFormat | None, int | None]:
    """Return the format and the sample rate (Hz) in a content type, each None if absent or unknown."""
    kind, _, parameters = value.lower().partition(";")
    rate = _RATE.search(parameters)
    return _FORMATS.get(kind.strip()), int(rate[1]) if rate else None


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioHeaders:
    """What the headers of a response say about its body."""

    format: AudioFormat | None
    """None if the content type does not tell."""
    sample_rate: int | None
    """Hz, such as of PCM; None if no header tells."""
    channels: int
    is_sse: bool
    """Whether the body is made of server-sent events."""
    floats: bool
    """See `AnswerForm`."""


def read_audio_headers(headers: Mapping[str, str]) -> AudioHeaders:
    """Read the headers of a response.

    The sample rate is a parameter of the content type, or stands in a header such as X-Sample-Rate,
    X-Audio-Sample-Rate or X-VoxCPM-Sample-Rate.

    Args:
        headers: by lower-case names.
    """
    content_type = headers.get("content-type", "").lower()
    format, rate = read_content_type(content_type)
    channels = _CHANNELS.search(content_type)
    return AudioHeaders(
        format=format,
        sample_rate=rate or _number_in(headers, _RATE_HEADER, _LOWEST_RATE, _HIGHEST_RATE),
        channels=int(channels[1]) if channels else _number_in(headers, _CHANNELS_HEADER, 1, _MOST_CHANNELS) or 1,
        is_sse=content_type.startswith(_EVENTS),
        floats=content_type.startswith(FLOATS),
    )


def read_identity(headers: Mapping[str, str]) -> ModelIdentity | None:
    """Return the model that one of our own servers names; None if none is named, or not in a known form.

    headers: by lower-case names.
    """
    with suppress(ValueError):
        return ModelIdentity.from_dict(json.loads(headers.get(MADE_BY, "")))
    return None


def _number_in(headers: Mapping[str, str], name: re.Pattern[str], least: int, most: int) -> int | None:
    """Return the number in the first header of that name, if it is within bounds."""
    for header, value in headers.items():
        if name.fullmatch(header) and (number := value.strip()).isdecimal() and least <= int(number) <= most:
            return int(number)
    return None
