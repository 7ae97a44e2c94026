"""What `/openapi.json` says about the routes of GPT-SoVITS's dialect."""

from typing import Annotated, Any, Literal, TypeAlias

from fastapi import Body
from pydantic import BaseModel, WithJsonSchema

from voxcli.protocols.gptsovits.fields import DEFAULTS, MEDIA_TYPES
from voxcli.protocols.gptsovits.text_cuts import CODES, METHODS

_REQUIRED = ("text", "text_lang", "ref_audio_path", "prompt_lang")
_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number"}
_LANGUAGE = {"enum": [*CODES]}
_MORE: dict[str, dict[str, Any]] = {
    "text": {"type": "string", "minLength": 1, "description": "What is to be said."},
    "text_lang": _LANGUAGE,
    "ref_audio_path": {
        "type": "string",
        "minLength": 1,
        "description": "One of GET /speakers, or a path that ends like its name. No file is opened.",
    },
    "prompt_lang": _LANGUAGE,
    "aux_ref_audio_paths": {"type": "array", "maxItems": 0},
    "text_split_method": {"enum": [*METHODS]},
    "media_type": {"enum": [*MEDIA_TYPES], "description": "raw is 16 bits, little endian, mono, at 32 kHz."},
    "streaming_mode": {
        "anyOf": [{"type": "boolean"}, {"type": "integer", "minimum": 0, "maximum": 3}],
        "description": "0 sends everything at once. All others send sound as soon as there is some.",
    },
    "speed_factor": {"type": "number", "minimum": 0.25, "maximum": 4.0},
    "seed": {"type": "integer", "minimum": -1, "description": "-1 takes a new one each time."},
    "sample_steps": {
        "type": "integer",
        "minimum": 1,
        "maximum": 100,
        "description": f"{DEFAULTS['sample_steps']} leaves it to the model.",
    },
    "fragment_interval": {
        "type": "number",
        "minimum": 0.0,
        "maximum": 10.0,
        "description": "Seconds of silence between the pieces that the text is cut into.",
    },
}
_NO_EFFECT = "Checked, and of no effect on the models here."
_EFFECTIVE = {*_MORE} - {"aux_ref_audio_paths", "prompt_lang"}


def _property(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = dict(_MORE.get(name) or {"type": _TYPES[type(DEFAULTS[name])]})
    if name not in _REQUIRED:
        schema["default"] = DEFAULTS[name]
    return schema if name in _EFFECTIVE else {"description": _NO_EFFECT, **schema}


_PROPERTIES = {name: _property(name) for name in DEFAULTS}

TtsFields: TypeAlias = Annotated[
    dict[str, Any],
    Body(),
    WithJsonSchema(
        {
            "title": "TTS_Request",
            "type": "object",
            "required": [*_REQUIRED],
            "properties": _PROPERTIES,
            "additionalProperties": True,
        }
    ),
]

TTS_QUERY: dict[str, Any] = {
    "parameters": [
        {"name": name, "in": "query", "required": name in _REQUIRED, "schema": schema}
        for name, schema in _PROPERTIES.items()
        if name != "aux_ref_audio_paths"
    ]
}

SPEECH_TYPES = tuple(f"audio/{name}" for name in MEDIA_TYPES)

_MESSAGE = {
    "type": "object",
    "required": ["message"],
    "properties": {"message": {"type": "string"}, "Exception": {"type": "string"}},
}
_MALFORMED = {
    "type": "object",
    "required": ["detail"],
    "properties": {"detail": {"type": "array", "items": {"type": "object"}}},
}
ERROR_SCHEMA: dict[str, Any] = {"anyOf": [_MESSAGE, _MALFORMED]}


class Speaker(BaseModel):
    """A voice, as SillyTavern asks for it."""

    name: str
    voice_id: str


class Success(BaseModel):
    message: Literal["success"] = "success"
