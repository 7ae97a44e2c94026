"""Chat beside GPT-SoVITS: a language model's answer as text and speech, in server-sent events.

The shape is that of applications which put a language model before GPT-SoVITS's `/tts`: `{"message", "history",
"config"}` in, where `config` has the fields of `/tts` but the text; out come `text` and `complete`, then `audio_start`,
`audio_chunk` and `audio_complete`. The chunks make one WAV file, whose header is the first.
"""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from voxcli.protocols.dialect import FieldError, FindVoice, ServerRequest
from voxcli.protocols.fields import Malformed, Text, asking, json_schema, parse, unknown_fields
from voxcli.protocols.gptsovits.fields import DEFAULT_VOICE, UNSUPPORTED, to_server_request
from voxcli.protocols.openai.chat import ChatMessage

PATH = "/api/chat"
_MEDIA_TYPES = ("wav", "raw")
"""Those that a client can join chunk by chunk."""
_ANY_TEXT = "a"
"""In place of the text, which is not written yet."""
_SPLITTING = ("text_split_method", "fragment_interval")
"""Without effect: the text is spoken sentence by sentence, as it is written."""
_USUAL = {"text": _ANY_TEXT, "text_lang": "auto", "prompt_lang": "auto", "ref_audio_path": DEFAULT_VOICE}


class EarlierMessage(ChatMessage):
    """An earlier message of the conversation."""

    role: Literal["user", "assistant"]


class ChatRequest(BaseModel):
    """The body of `/api/chat`. Unknown fields are ignored."""

    model_config = ConfigDict(extra="allow")

    message: Text = Field(description="What the user says.", min_length=1)
    history: list[EarlierMessage] = Field([], description="The conversation so far, the oldest message first.")
    config: dict[str, Any] = Field(
        {},
        description="The voice and its manner: the fields of `/tts` but `text`, all of them optional. `media_type` is "
        "wav, or raw for samples without a header.",
    )


def chat_schema() -> dict[str, Any]:
    """Return the JSON schema of the body for OpenAPI."""
    schema = json_schema(ChatRequest)
    schema["properties"]["history"]["items"] = schema.pop("$defs")[EarlierMessage.__name__]
    return schema


class TextEvent(BaseModel):
    """A piece of the answer, as the model has written it."""

    type: Literal["text"] = "text"
    content: str


class CompleteEvent(BaseModel):
    """The whole answer."""

    type: Literal["complete"] = "complete"
    text: str
    finish_reason: str | None = None
    """Why the model has stopped, if not because it had finished: "length", "content_filter"."""


class AudioStartEvent(BaseModel):
    """The speech begins."""

    type: Literal["audio_start"] = "audio_start"
    media_type: str
    sample_rate: int | None
    """Hz; None if there is no speech."""


class AudioChunkEvent(BaseModel):
    """A piece of the speech. The first one is the header of a WAV file."""

    type: Literal["audio_chunk"] = "audio_chunk"
    data: str
    """Base64."""
    index: int
    size: int
    """Bytes, before they were encoded."""

    @classmethod
    def of(cls, data: bytes, index: int) -> "AudioChunkEvent":
        return cls(data=b64encode(data).decode(), index=index, size=len(data))


class AudioCompleteEvent(BaseModel):
    """The speech has ended."""

    type: Literal["audio_complete"] = "audio_complete"
    total_chunks: int


class ErrorEvent(BaseModel):
    """The answer or its speech is incomplete, and this says why. It is the last event."""

    type: Literal["error"] = "error"
    error: str


ChatEvent: TypeAlias = TextEvent | CompleteEvent | AudioStartEvent | AudioChunkEvent | AudioCompleteEvent | ErrorEvent


def to_bytes(event: ChatEvent) -> bytes:
    """Return a server-sent event."""
    return b"data: " + event.model_dump_json(exclude_none=True).encode() + b"\n\n"


def read_chat(
    fields: Mapping[str, Any], find_voice: FindVoice, *, max_characters: int | None = None
) -> tuple[ChatRequest, ServerRequest]:
    """Read the conversation, and the manner in which the answer is to be spoken. The text of the latter means nothing.

    Args:
        max_characters: of the message.

    Raises:
        FieldError: a field is missing or invalid.
        RequestError: the request is invalid as a whole.
    """
    asked = parse(ChatRequest, fields, text="message", max_characters=max_characters)
    if not asked.message.strip():
        raise FieldError("'message' is empty: there is nothing to answer.", "message")
    if "text" in asked.config:
        raise FieldError("'config.text' cannot be set: the language model writes the text.", "config.text")
    given = {name: value for name, value in asked.config.items() if value not in (None, "")}
    media_type = given.get("media_type", _MEDIA_TYPES[0])
    if media_type not in _MEDIA_TYPES:
        raise FieldError(
            f"media_type: {media_type!s:.80} is not supported in a chat: choose wav or raw.", "media_type", UNSUPPORTED
        )
    for name in ("text_lang", "prompt_lang"):
        if isinstance(language := given.get(name), str):
            given[name] = language.lower()
    try:
        speech = to_server_request(_USUAL | given, find_voice)
    except FieldError as error:
        kind = Malformed if isinstance(error, Malformed) else FieldError
        raise kind(str(error), f"config.{error.field}", error.code) from error
    ignored = (*speech.ignored, *asking(given, _SPLITTING), *unknown_fields(ChatRequest, fields))
    return asked, replace(speech, ignored=ignored)
