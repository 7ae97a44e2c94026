"""What all dialects have in common: their names, a call to a server, an order from a client, and what goes wrong."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

from voxcli.audio.format import AudioFormat
from voxcli.errors import RequestError
from voxcli.synthesis.request import Clip, SynthesisRequest, Voice


class Framing(StrEnum):
    """How sound lies in the body of an answer."""

    PLAIN = "plain"
    """One file, or one stream."""
    BLOCKS = "blocks"
    """A complete WAV file for every chunk, one behind another, as VoxCPM's own server sends them."""
    SSE = "sse"
    """Server-sent events with the bytes in base64."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerForm:
    """The form in which sound leaves a server."""

    format: AudioFormat
    framing: Framing = Framing.PLAIN
    sample_rate: int | None = None
    """Hz; None leaves it as the model speaks."""
    whole: bool = False
    """Sent when all of it exists, with its true length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """What a client asks of a server beside the speech itself."""

    model: str | None = None
    format: AudioFormat | None = None
    """None takes what arrives soonest."""
    stream: bool = True
    mode: int | None = None
    """GPT-SoVITS's streaming mode, 0 to 3."""
    extra: Mapping[str, str] = field(default_factory=dict)
    """Fields that go along as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCall:
    """A request to a server, in no library's form. One of `json` and `form` is given, or neither."""

    method: str
    path: str
    """Below the server's base URL, with a slash in front."""
    query: Mapping[str, str] = field(default_factory=dict)
    json: Mapping[str, Any] | None = None
    form: Mapping[str, str] | None = None
    files: Mapping[str, Clip] = field(default_factory=dict)
    """Uploaded with `form`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRequest:
    """What a client has asked a server for."""

    request: SynthesisRequest
    form: AnswerForm
    model: str | None = None
    """As the client calls it."""
    gap_seconds: float | None = None
    """Of silence between the lines of the text, which are spoken one by one; None speaks all of it in one go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why a server does not answer with sound, before a dialect puts it into its own words."""

    status: int
    message: str
    code: str | None = None
    """For programs, such as "voice_not_found"."""
    field: str | None = None
    """Which field of the request is to blame."""
    retry_after: int | None = None
    """Seconds."""


class FieldError(RequestError):
    """A field of a request is wrong."""

    def __init__(self, message: str, field: str | None = None, code: str = "invalid_value") -> None:
        super().__init__(message)
        self.field = field
        self.code = code


DRAWS_VOICES = "x-draws-voices"
"""A header of voxcli's own servers: whether a request for no voice in particular is spoken by another one each time."""

FindVoice: TypeAlias = Callable[[str], Voice | None]
"""Finds a voice by its name: one of the server's library, or one that its engine knows (then only `name` is set)."""
