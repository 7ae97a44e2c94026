"""Messages of the speech stream, as servers and clients send them. Settings of a session are in config.py."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from voxcli.protocols.dialect import FieldError, Problem
from voxcli.protocols.fields import parse_fields, read_object, shown

PATH = "/v1/audio/speech/stream"


class InputText(BaseModel):
    """More text, cut anywhere. The first one after the end of an utterance begins the next."""

    type: Literal["input.text"] = "input.text"
    text: str


class InputCommit(BaseModel):
    """Everything so far is spoken, and the utterance goes on: `input.committed` follows."""

    type: Literal["input.commit"] = "input.commit"


class InputDone(BaseModel):
    """The utterance ends, and its rest is spoken: `session.done` follows."""

    type: Literal["input.done"] = "input.done"


class InputCancel(BaseModel):
    """Nothing more is spoken of what was sent so far: `audio.cancelled` follows."""

    type: Literal["input.cancel"] = "input.cancel"


class SessionClose(BaseModel):
    """The socket is closed, whatever is being spoken."""

    type: Literal["session.close"] = "session.close"


class PlaybackPosition(BaseModel):
    """How far the listener is in the newest utterance."""

    type: Literal["playback.position"] = "playback.position"
    samples: int = Field(ge=0, le=2**53)
    """From the beginning of the utterance, at the sample rate of its audio."""


class PlaybackTruncate(BaseModel):
    """The listener stopped here: as `input.cancel`, but `playback.truncated` follows with what was heard."""

    type: Literal["playback.truncate"] = "playback.truncate"
    samples: int | None = Field(None, ge=0, le=2**53)
    """None for the newest position that was reported, or else for everything that was sent."""


ClientMessage: TypeAlias = (
    InputText | InputCommit | InputDone | InputCancel | SessionClose | PlaybackPosition | PlaybackTruncate
)
CONFIG = "session.config"

_MODELS: dict[str, type[ClientMessage]] = {
    model.model_fields["type"].default: model
    for model in (InputText, InputCommit, InputDone, InputCancel, SessionClose, PlaybackPosition, PlaybackTruncate)
}


def read_message(data: str | bytes) -> ClientMessage | dict[str, Any]:
    """Read a client's message. Settings are returned as they are, for `read_config`.

    Raises:
        FieldError: it is none.
    """
    fields = read_object(data)
    kind = fields.get("type")
    if kind == CONFIG:
        return fields
    model = _MODELS.get(kind) if isinstance(kind, str) else None
    if model is None:
        known = ", ".join((CONFIG, *_MODELS))
        what = f"There is no message {shown(kind)}" if isinstance(kind, str) else "The message has no type"
        raise FieldError(f"{what}. Those of a client are: {known}.", "type", "unknown_message")
    return parse_fields(model, fields)


class SpokenSoFar(BaseModel):
    """What was spoken, or heard, so far."""

    model_config = ConfigDict(extra="ignore")

    position: int
    """Characters of the text of the utterance, as it was sent."""
    text: str
    samples: int


class ServerMessage(BaseModel):
    """A message of a server. Those of others lack some fields."""

    model_config = ConfigDict(extra="ignore")

    always: ClassVar[frozenset[str]] = frozenset()
    """Fields that are sent although they are null."""
    type: str

    def to_json(self) -> str:
        fields = {name: value for name, value in self.model_dump().items() if value is not None or name in self.always}
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


class SessionConfigured(ServerMessage):
    """The settings from now on."""

    type: str = "session.configured"
    session_id: str | None = None
    response_format: str | None = None
    stream_audio: bool | None = None
    split_granularity: str | None = None
    server: str | None = None
    """Only voxcli's own servers name themselves here."""
    ignored: list[str] | None = None
    """Fields of the settings that make no difference here."""


class AudioStart(ServerMessage):
    """A sentence begins; its audio follows."""

    type: str = "audio.start"
    id: str | None = None
    utterance_index: int = 0
    sentence_index: int = 0
    sentence_text: str | None = None
    format: str | None = None
    sample_rate: int | None = None
    """Hz. vLLM-Omni sends 24000 whatever the model's rate is."""
    channels: int | None = None
    start_ms: float | None = None
    """Of this audio, from the beginning of the utterance."""
    silence_ms: float | None = None
    """Of silence, with which this audio begins: the gap after the sentence before it."""
    text_start: int | None = None
    text_end: int | None = None
    """Where the sentence stands in the text of the utterance, in characters."""


class TimedMark(BaseModel):
    """A named place in a text of SSML, from the beginning of the sound."""

    name: str
    ms: float


class AudioDone(ServerMessage):
    """A sentence ends."""

    type: str = "audio.done"
    id: str | None = None
    utterance_index: int = 0
    sentence_index: int = 0
    total_bytes: int = 0
    error: bool = False
    start_ms: float | None = None
    end_ms: float | None = None
    spoken: SpokenSoFar | None = None
    marks: list[TimedMark] | None = None


class TimedWord(BaseModel):
    """A word, from the beginning of its sentence."""

    word: str
    start_ms: int
    end_ms: int


class AudioChunkMessage(ServerMessage):
    """A piece of audio in base64, or, without audio, the times of a sentence that has ended."""

    always: ClassVar[frozenset[str]] = frozenset({"timestamps"})
    type: str = "audio.chunk"
    utterance_index: int = 0
    sentence_index: int = 0
    chunk_id: int = 0
    chunk_start_ms: int = 0
    chunk_end_ms: int = 0
    sample_rate: int | None = None
    audio_b64: str = ""
    timestamps: list[TimedWord] | None = None
    alignment: str | None = None


class InputCommitted(ServerMessage):
    """Everything up to an `input.commit` has been sent."""

    type: str = "input.committed"
    session_id: str | None = None
    segment_index: int = 0
    segment_sentences: int = 0
    total_sentences: int = 0


class SessionDone(ServerMessage):
    """An utterance has ended; the session has not, unless the server closes the socket."""

    type: str = "session.done"
    session_id: str | None = None
    utterance_index: int = 0
    total_sentences: int = 0
    error: bool | None = None
    spoken: SpokenSoFar | None = None


class AudioCancelled(ServerMessage):
    """An utterance was cancelled."""

    type: str = "audio.cancelled"
    utterance_index: int = 0
    sentence_index: int | None = None
    """The sentence that was being spoken; null if there was none."""
    always: ClassVar[frozenset[str]] = frozenset({"sentence_index"})
    reason: str = "client_cancel"
    spoken: SpokenSoFar | None = None
    played: SpokenSoFar | None = None
    """What the listener had heard, if the client has reported its position."""


class PlaybackTruncated(ServerMessage):
    """What the listener has heard of the newest utterance."""

    type: str = "playback.truncated"
    utterance_index: int = 0
    played: SpokenSoFar | None = None


class ErrorMessage(ServerMessage):
    """Something went wrong. The session goes on, unless the server closes the socket."""

    type: str = "error"
    message: str = ""
    error_type: str | None = None
    code: str | None = None
    param: str | None = None
    utterance_index: int | None = None
    partial_audio: bool | None = None
    """Whether a part of a sentence was sent that is of no use now."""
    action: str | None = None
    retry_after: int | None = None
    """Seconds."""


_SERVER_MESSAGES: dict[str, type[ServerMessage]] = {
    model.model_fields["type"].default: model
    for model in (
        *(SessionConfigured, AudioStart, AudioDone, AudioChunkMessage, InputCommitted, SessionDone, AudioCancelled),
        *(PlaybackTruncated, ErrorMessage),
    )
}


def read_server_message(fields: Mapping[str, Any]) -> ServerMessage | None:
    """Read a server's message; None if this client does not know it.

    Raises:
        ValueError: a field is of another type than it should be.
    """
    model = _SERVER_MESSAGES.get(str(fields.get("type")))
    return model.model_validate(fields) if model else None


def error_message(problem: Problem, *, utterance_index: int | None = None, partial: bool = False) -> ErrorMessage:
    """Return what a client is told of a problem."""
    return ErrorMessage(
        message=problem.message,
        error_type="invalid_request_error" if problem.status < 500 else "server_error",
        code=problem.code,
        param=problem.field,
        utterance_index=utterance_index,
        partial_audio=True if partial else None,
        action="discard" if partial else None,
        retry_after=problem.retry_after,
    )
