"""Response models and OpenAPI declarations of VoxCPM's own API."""

from typing import Any, Literal

from pydantic import BaseModel

from voxcli.protocols.dialect import FLOATS, media_types
from voxcli.protocols.fields import json_schema
from voxcli.protocols.voxcpm.engines import EngineDescription
from voxcli.protocols.voxcpm.messages import SpeechForm

_SCHEMA = json_schema(SpeechForm, nullable=False)
_WITHOUT_FILES = {
    **_SCHEMA,
    "properties": {name: field for name, field in _SCHEMA["properties"].items() if field.get("format") != "binary"},
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
SPEECH_TYPES = (*media_types(), FLOATS)

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
    """A voice, as VoxCPM's server describes it."""

    id: str
    description: str
    text: str
    """The transcript of its clip; empty if unknown."""


class NativeVoices(BaseModel):
    voices: list[NativeVoice]


class UpstreamServer(BaseModel):
    """One of the servers behind a gateway, or a replica.

    If there are keys, its name and its problem are told to clients with a key only.
    """

    number: int
    """From 1, in the order of the command line."""
    name: str | None
    model: str | None
    status: Literal["used", "spare", "left out"]
    problem: str | None
    streams: int
    slots: int


class Health(BaseModel):
    """State of the server. `status` is "unhealthy" if the model could not be loaded.

    The HTTP status is always 200. `/readyz` tells whether a request would be served.
    """

    status: Literal["healthy", "loading", "unhealthy", "draining"]
    model_loaded: bool
    version: str
    server: Literal["voxcli"] = "voxcli"
    model: str
    slots: int
    """Streams that run at once."""
    engine: EngineDescription | None
    """None until the model has been loaded for the first time."""
    takes_hashes: bool = True
    """Whether a recording that the client has sent before may be named as "sha256:HASH", answered with 409 if it is not
    there any more."""
    servers: list[UpstreamServer] | None = None
    """Of a gateway to several servers, or the replicas of this one."""


class GpuStatus(BaseModel):
    """GPU memory in use, in GiB."""

    model_loaded: bool
    memory_allocated_gb: float
    memory_reserved_gb: float
    device_name: str


class NoGpu(BaseModel):
    error: Literal["CUDA not available"] = "CUDA not available"


class Offloaded(BaseModel):
    """Result of unloading. The model stays loaded until running streams have ended."""

    status: Literal["offloaded"] = "offloaded"
    model_loaded: bool


class Loaded(BaseModel):
    """Result of loading."""

    status: Literal["loaded"] = "loaded"
    model_loaded: Literal[True] = True


class ClipRemark(BaseModel):
    """A problem of a clip with its remedy, after its kind in one word."""

    kind: str
    message: str


class ClipQuality(BaseModel):
    """How good a clip is to imitate. Levels are in dBFS."""

    seconds: float
    sample_rate: int
    speech_seconds: float
    speech_dbfs: float
    noise_dbfs: float
    remarks: list[ClipRemark]
    """Empty if it is good."""
