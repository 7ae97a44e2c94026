"""Response models and OpenAPI declarations of OpenAI's dialect."""

from typing import Any, Literal

from pydantic import BaseModel

from voxcli.protocols.dialect import media_types
from voxcli.protocols.fields import json_schema
from voxcli.protocols.openai.fields import CreateSpeech
from voxcli.protocols.openai.messages import EVENTS, OBJECT
from voxcli.server.routes.dialect_route import audio_responses, json_body

EXAMPLE = {"model": "tts-1", "input": "Hello.", "voice": "alloy"}
SPEECH_BODY = json_body({**json_schema(CreateSpeech), "examples": [EXAMPLE]})

_NULLABLE = {"type": ["string", "null"]}
ERROR_SCHEMA: dict[str, Any] = {
    "title": "ErrorResponse",
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"enum": ["invalid_request_error", "rate_limit_error", "server_error"]},
                "param": _NULLABLE,
                "code": _NULLABLE,
            },
        }
    },
}


_SECONDS = {"type": ["number", "null"]}
_SENTENCE = {
    "text": {"type": "string"},
    "start": _SECONDS,
    "end": _SECONDS,
    "position": {"type": ["array", "null"], "items": {"type": "integer"}},
    "speaker": _NULLABLE,
    "words": {"type": "array", "items": {"type": "object"}},
}
_CAPTIONED = {
    "type": "object",
    "required": ["audio", "format", "subtitles"],
    "properties": {
        "audio": {"type": "string", "contentEncoding": "base64"},
        "format": {"type": "string"},
        "subtitles": {"type": ["string", "object"]},
    },
}
_EVENT = {
    "type": "object",
    "required": ["type"],
    "properties": {
        "type": {"enum": ["speech.audio.delta", "speech.audio.done", "speech.sentence", "error"]},
        "audio": {"type": "string", "contentEncoding": "base64"},
        "usage": {"type": "object"},
        **_SENTENCE,
        "error": ERROR_SCHEMA["properties"]["error"],
    },
}


def speech_responses(*, strict_models: bool) -> dict[int | str, dict[str, Any]]:
    """Declare the responses of the speech route."""
    responses = audio_responses(media_types(), ERROR_SCHEMA, [404] if strict_models else [])
    data = {"type": "string", "contentMediaType": "application/json", "contentSchema": _EVENT}
    event = {"type": "object", "required": ["data"], "properties": {"data": data}}
    responses[200]["content"][EVENTS] = {"itemSchema": event}  # of OpenAPI 3.2; older readers pass over it
    responses[200]["content"][OBJECT] = {"schema": _CAPTIONED}
    return responses


class ModelEntry(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelEntry]


class Named(BaseModel):
    id: str


class ModelNames(BaseModel):
    """In the form that Open WebUI expects."""

    models: list[Named]


class VoiceName(Named):
    name: str


class VoiceNames(BaseModel):
    voices: list[VoiceName] | list[str]


class Status(BaseModel):
    status: Literal["ok"] = "ok"


class CustomVoice(BaseModel):
    """A voice of the library, as VoxCPM's server describes it."""

    id: str
    name: str
    text: str
    """The transcript of its clip; empty if unknown."""
    created_at: int


class CustomVoices(BaseModel):
    voices: list[CustomVoice]


class TypedCustomVoice(CustomVoice):
    type: Literal["custom"] = "custom"


class PresetVoice(BaseModel):
    id: str
    type: Literal["preset"] = "preset"
    name: str


class VoiceCreated(BaseModel):
    success: Literal[True] = True
    voice_id: str
    name: str
    message: str


class VoiceGone(BaseModel):
    success: Literal[True] = True
    message: str


class AudioVoice(BaseModel):
    """A voice of the library, as OpenAI describes it."""

    object: Literal["audio.voice"] = "audio.voice"
    id: str
    name: str
    created_at: int
    type: Literal["audio_sample", "prompt"]
    prompt: str | None = None


class VoiceConsent(BaseModel):
    """The recorded consent of a speaker, as OpenAI describes it."""

    object: Literal["audio.voice_consent"] = "audio.voice_consent"
    id: str
    name: str
    language: str
    created_at: int


class VoiceConsents(BaseModel):
    object: Literal["list"] = "list"
    data: list[VoiceConsent]
    has_more: Literal[False] = False


class VoiceConsentDeleted(BaseModel):
    object: Literal["audio.voice_consent"] = "audio.voice_consent"
    id: str
    deleted: Literal[True] = True


class AudioVoiceDeleted(BaseModel):
    object: Literal["audio.voice.deleted"] = "audio.voice.deleted"
    id: str
    deleted: Literal[True] = True
