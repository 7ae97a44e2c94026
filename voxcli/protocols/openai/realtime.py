"""Events that clients of OpenAI's Realtime API send, as a server that only speaks reads them.

Sources: openai-python 3.57 (types/realtime) for the names of today; the beta's are in its releases before 2.0, and in
SGLang-Omni 0.1.9. Both are read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from voxcli.protocols.dialect import FieldError, FindVoice
from voxcli.protocols.fields import Text, parse_fields, shown
from voxcli.protocols.openai.fields import UNNAMED_VOICE, VoiceId, named_voice, voice_id
from voxcli.synthesis.request import Voice

PATH = "/v1/realtime"
_AUDIO_INPUT = "input_audio_buffer."
_NO_AUDIO_INPUT = (
    "Audio input is not taken here: this server only speaks. Send the text to speak as a conversation item with "
    "content of type 'input_text'."
)


class RealtimeFormat(StrEnum):
    """Format of the audio, by the name of today."""

    PCM = "audio/pcm"
    MULAW = "audio/pcmu"
    ALAW = "audio/pcma"

    @property
    def sample_rate(self) -> int:
        """Hz, the only one of each."""
        return 24000 if self is RealtimeFormat.PCM else 8000

    @property
    def beta_name(self) -> str:
        return next(name for name, format in _BETA_FORMATS.items() if format is self)


_BETA_FORMATS = {"pcm16": RealtimeFormat.PCM, "g711_ulaw": RealtimeFormat.MULAW, "g711_alaw": RealtimeFormat.ALAW}
_FORMATS: dict[str, RealtimeFormat] = {**{format.value: format for format in RealtimeFormat}, **_BETA_FORMATS}


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Format(_Part):
    type: Text = RealtimeFormat.PCM.value
    rate: int | None = None


def _format_object(format: object) -> object:
    return {"type": format} if isinstance(format, str) else format


_VoiceField: TypeAlias = Annotated[VoiceId | None, BeforeValidator(voice_id)]
_FormatField: TypeAlias = Annotated[_Format | None, BeforeValidator(_format_object)]
_SpeedField: TypeAlias = Annotated[float | None, Field(ge=0.25, le=1.5)]


class _Output(_Part):
    format: _FormatField = None
    voice: _VoiceField = None
    speed: _SpeedField = None


class _Audio(_Part):
    output: _Output | None = None


class MannerFields(_Part):
    """How to speak, of a session or of one response."""

    audio: _Audio | None = None
    output_modalities: list[Literal["text", "audio"]] | None = None
    instructions: Annotated[Text, Field(max_length=2**17)] | None = None
    modalities: list[Literal["text", "audio"]] | None = None
    voice: _VoiceField = None
    output_audio_format: _FormatField = None
    speed: _SpeedField = None


class SessionFields(MannerFields):
    """The settings of a session. What concerns input, tools and the length makes no difference."""

    type: Literal["realtime"] | None = None


class Content(_Part):
    """A part of an item."""

    type: Text
    text: Text | None = None


class Item(_Part):
    """A message, or a reference to one by its id."""

    id: Text | None = Field(None, max_length=64)
    type: Text = "message"
    role: Literal["user", "system", "assistant"] | None = None
    content: list[Content] | None = Field(None, max_length=64)


_Key: TypeAlias = Annotated[Text, Field(max_length=64)]
_Value: TypeAlias = Annotated[Text, Field(max_length=512)]


class ResponseFields(MannerFields):
    """What a response is asked for."""

    conversation: Literal["auto", "none"] | None = None
    input: Annotated[list[Item], Field(max_length=256)] | None = None
    metadata: Annotated[dict[_Key, _Value], Field(max_length=16)] | None = None


class SessionUpdate(_Part):
    """The settings from now on."""

    session: SessionFields


class ItemCreate(_Part):
    """An item for the conversation."""

    item: Item


class ItemDelete(_Part):
    """An item of the conversation is of no use any more."""

    item_id: Text


class ItemTruncate(_Part):
    """The listener heard the speech of an item up to here."""

    item_id: Text
    content_index: int = 0
    audio_end_ms: float = Field(ge=0, le=2**53)


class ResponseCreate(_Part):
    """A text is to be spoken."""

    response: ResponseFields | None = None


class ResponseCancel(_Part):
    """Nothing more is to be spoken."""

    response_id: Text | None = None


ClientEvent: TypeAlias = SessionUpdate | ItemCreate | ItemDelete | ItemTruncate | ResponseCreate | ResponseCancel

_EVENTS: dict[str, type[ClientEvent]] = {
    "session.update": SessionUpdate,
    "conversation.item.create": ItemCreate,
    "conversation.item.delete": ItemDelete,
    "conversation.item.truncate": ItemTruncate,
    "response.create": ResponseCreate,
    "response.cancel": ResponseCancel,
}


INVALID_JSON = ("invalid_json", "invalid_json")
"""Codes of OpenAI's for what is not an object in JSON."""


def read_event(fields: Mapping[str, Any]) -> ClientEvent:
    """Read an event. Raises FieldError."""
    kind = fields.get("type")
    if isinstance(kind, str) and kind.startswith(_AUDIO_INPUT):
        raise FieldError(_NO_AUDIO_INPUT, "type", "audio_input_unsupported")
    model = _EVENTS.get(kind) if isinstance(kind, str) else None
    if model is None:
        what = f"There is no event {shown(kind)} here" if isinstance(kind, str) else "The event has no type"
        raise FieldError(f"{what}. Those of a client are: {', '.join(_EVENTS)}.", "type", "unknown_event")
    return parse_fields(model, fields)


def is_beta(session: SessionFields) -> bool | None:
    """Return whether settings have the names of the beta; None if they do not tell."""
    sent = session.model_fields_set
    if sent & {"type", "audio", "output_modalities"}:
        return False
    return True if sent & {"modalities", "voice", "output_audio_format"} else None


@dataclass(frozen=True, slots=True)
class Manner:
    """How to speak."""

    voice_name: str = UNNAMED_VOICE
    voice: Voice = Voice()  # noqa: RUF009 - immutable
    speed: float = 1.0
    format: RealtimeFormat = RealtimeFormat.PCM
    instructions: str = ""

    def changed(self, given: MannerFields, find_voice: FindVoice) -> "Manner":
        """Return it with what is given. Raises FieldError."""
        output = (given.audio and given.audio.output) or _Output()
        modalities = given.output_modalities or given.modalities
        if modalities and "audio" not in modalities:
            message = "Text alone is not answered here: this server only speaks. Ask for 'audio'."
            raise FieldError(message, "output_modalities", "unsupported_modality")
        changed = self
        if voice := output.voice or given.voice:
            field = "audio.output.voice" if output.voice else "voice"
            changed = replace(changed, voice_name=voice.id, voice=named_voice(voice.id, find_voice, field))
        if format := output.format or given.output_audio_format:
            changed = replace(changed, format=_format(format))
        speed, instructions = output.speed or given.speed or changed.speed, given.instructions
        return replace(
            changed, speed=speed, instructions=changed.instructions if instructions is None else instructions
        )


def _format(given: _Format) -> RealtimeFormat:
    format = _FORMATS.get(given.type)
    if format is None:
        message = f"There is no audio format {shown(given.type)}. Choose one of {', '.join(_FORMATS)}."
        raise FieldError(message, "audio.output.format")
    if given.rate not in (None, format.sample_rate):
        message = f"The rate of {shown(given.type)} is {format.sample_rate} Hz, and cannot be {given.rate}."
        raise FieldError(message, "audio.output.format.rate")
    return format


def text_of(item: Item) -> str:
    """Return the text of a message. Raises FieldError if it has anything else."""
    if item.type != "message":
        raise FieldError(f"An item of type {shown(item.type)} has no text to speak: send a 'message'.", "item.type")
    for part in item.content or ():
        if part.type == "input_audio":
            raise FieldError(_NO_AUDIO_INPUT, "item.content", "audio_input_unsupported")
        if part.type not in ("input_text", "output_text", "text"):
            message = f"Content of type {shown(part.type)} cannot be spoken: send 'input_text'."
            raise FieldError(message, "item.content")
        if part.text is None:
            raise FieldError(f"Content of type {shown(part.type)} needs a 'text'.", "item.content")
    return " ".join(part.text or "" for part in item.content or ())


_QUOTES = {'"': '"', "“": "”", "„": "“”", "«": "»", "»": "«", "「": "」", "『": "』", "‘": "’"}


def quoted_text(instructions: str) -> str | None:
    """Return what instructions quote, such as in `Say "hello"`; None if they quote nothing.

    Raises:
        FieldError: there are several quotations.
    """
    begin = next((place for place, character in enumerate(instructions) if character in _QUOTES), None)
    if begin is None:
        return None
    opening = instructions[begin]
    closing = _QUOTES[opening]
    end = max(instructions.rfind(one) for one in closing)
    if end <= begin:
        return None
    inside = instructions[begin + 1 : end]
    if any(one in inside for one in (opening, *closing)):
        message = "It is not clear which text the instructions quote: put the text to speak into 'input' instead."
        raise FieldError(message, "instructions", "ambiguous_text")
    return inside


def texts_of_user(items: Sequence[Item]) -> list[str]:
    """Return the texts of a user's messages; those of others are no text to speak. Raises FieldError."""
    return [text for item in items if item.role in ("user", None) and (text := text_of(item)).strip()]
