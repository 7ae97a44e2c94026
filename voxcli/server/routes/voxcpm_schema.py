"""What `/openapi.json` says about the routes of VoxCPM's own API."""

from typing import Any, Literal

from pydantic import BaseModel

from voxcli.audio.format import AudioFormat
from voxcli.protocols.content_types import content_type_of
from voxcli.protocols.voxcpm.messages import DEFAULT_STEPS, NO_LIMIT
from voxcli.synthesis.request import FASTEST, LEAST_GUIDANCE, MOST_GUIDANCE, MOST_RETRIES, MOST_STEPS, SLOWEST, Sampling

_FILE = {"type": "string", "format": "binary"}
_TRUTH = {"type": "boolean", "default": False}
_USUAL = Sampling()

_FIELDS: dict[str, dict[str, Any]] = {
    "text": {"type": "string", "minLength": 1, "description": "What is to be said."},
    "voice_id": {"type": "string", "description": "One of GET /api/voices."},
    "prompt_audio": {**_FILE, "description": "A recording to carry on from."},
    "prompt_text": {"type": "string", "description": "The words of prompt_audio."},
    "cfg_value": {
        "type": "number",
        "minimum": LEAST_GUIDANCE,
        "maximum": MOST_GUIDANCE,
        "default": _USUAL.guidance,
        "description": "How strictly text and voice are followed.",
    },
    "inference_timesteps": {
        "type": "integer",
        "minimum": 1,
        "maximum": MOST_STEPS,
        "description": f"More are finer and slower. Without it {DEFAULT_STEPS}, if the model has any.",
    },
    "min_len": {"type": "integer", "minimum": 0, "default": _USUAL.min_patches},
    "max_len": {
        "type": "integer",
        "minimum": 1,
        "default": NO_LIMIT,
        "description": f"{NO_LIMIT} leaves the length to the text.",
    },
    "normalize": {**_TRUTH, "description": "Spell out numbers, dates and units."},
    "denoise": {**_TRUTH, "description": "Take the noise out of the recordings."},
    "retry_badcase": {
        **_TRUTH,
        "description": "Make speech that is far too long anew. It comes only when it is whole.",
    },
    "retry_badcase_max_times": {"type": "integer", "minimum": 1, "maximum": MOST_RETRIES + 1, "default": 3},
    "retry_badcase_ratio_threshold": {"enum": [6.0], "default": 6.0},
    "seed": {"type": "integer", "minimum": 0, "description": "Not VoxCPM's, nor are those that follow."},
    "reference_audio": {**_FILE, "description": "A recording to imitate, whose words need not be known."},
    "instruct": {"type": "string", "description": "How to speak."},
    "language": {"type": "string", "examples": ["zh", "en"]},
    "speed": {"type": "number", "minimum": SLOWEST, "maximum": FASTEST, "default": 1.0},
    "format": {
        "enum": [*AudioFormat],
        "description": "Without it, the stream is a WAV file for every chunk, and a whole answer one WAV file.",
    },
}
_SCHEMA = {"type": "object", "required": ["text"], "properties": _FIELDS}
_WITHOUT_FILES = {
    **_SCHEMA,
    "properties": {name: field for name, field in _FIELDS.items() if field.get("format") != "binary"},
}

SPEECH_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": _SCHEMA},
            "application/x-www-form-urlencoded": {"schema": _WITHOUT_FILES},
        },
    }
}
SPEECH_TYPES = tuple(content_type_of(format, 0).partition(";")[0] for format in AudioFormat)

ERROR_SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "type": "object",
    "required": ["detail"],
    "properties": {
        "detail": {
            "anyOf": [
                {"type": "string"},
                {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["type", "loc", "msg"],
                        "properties": {
                            "type": {"type": "string"},
                            "loc": {"type": "array", "items": {"type": "string"}},
                            "msg": {"type": "string"},
                        },
                    },
                },
            ]
        }
    },
}


class NativeVoice(BaseModel):
    """A voice, in the words of VoxCPM's server."""

    id: str
    description: str
    text: str
    """The words of its clip; empty if nobody knows them."""


class NativeVoices(BaseModel):
    voices: list[NativeVoice]


class Health(BaseModel):
    """How the server is. `status` is "unhealthy" if the model could not be loaded."""

    status: Literal["healthy", "unhealthy"]
    model_loaded: bool
    version: str
    server: Literal["voxcli"] = "voxcli"
    model: str


class GpuStatus(BaseModel):
    """The memory that is used, in GiB."""

    model_loaded: bool
    memory_allocated_gb: float
    memory_reserved_gb: float
    device_name: str


class NoGpu(BaseModel):
    error: Literal["CUDA not available"] = "CUDA not available"


class Offloaded(BaseModel):
    """What has become of the model. It stays loaded until the streams that run have ended."""

    status: Literal["offloaded"] = "offloaded"
    model_loaded: bool
