"""Catalog of the published models, and the parts of a model's name: short name, id on a hub, revision."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

HubName = Literal["huggingface", "modelscope"]

HUB_TITLES: Mapping[HubName, str] = {"huggingface": "Hugging Face", "modelscope": "ModelScope"}

HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class KnownModel:
    """One of the published models."""

    name: str
    summary: str
    size: str
    """Approximate size of the download."""
    ids: Mapping[HubName, str]
    files: Mapping[str, str] = field(default_factory=dict)
    """The files that it consists of, with their SHA-256; empty for the checkpoints of VoxCPM."""
    revisions: Mapping[HubName, str] = field(default_factory=dict)
    """The revision with these files, where a hub keeps revisions."""


LICENCE = "Apache-2.0"
"""Of all these models."""

KOKORO = "kokoro"
KOKORO_FILE = "onnx/model_quantized.onnx"

KNOWN = (
    KnownModel(
        "voxcpm-2",
        "48 kHz, 30 languages; clones from a clip with or without its transcript, follows a style",
        "about 5 GB",
        {"huggingface": "openbmb/VoxCPM2", "modelscope": "OpenBMB/VoxCPM2"},
    ),
    KnownModel(
        "voxcpm-1.5",
        "44.1 kHz, Chinese and English; clones from a clip with its transcript",
        "about 2 GB",
        {"huggingface": "openbmb/VoxCPM1.5", "modelscope": "OpenBMB/VoxCPM1.5"},
    ),
    KnownModel(
        "voxcpm-0.5b",
        "16 kHz, Chinese and English; clones from a clip with its transcript",
        "about 1.6 GB",
        {"huggingface": "openbmb/VoxCPM-0.5B", "modelscope": "OpenBMB/VoxCPM-0.5B"},
    ),
    KnownModel(
        KOKORO,
        "24 kHz, 7 languages in 36 voices, fast on a CPU; clones no voices; Apache-2.0",
        "92 MB",
        dict.fromkeys(("huggingface", "modelscope"), "onnx-community/Kokoro-82M-v1.0-ONNX"),
        {KOKORO_FILE: "fbae9257e1e05ffc727e951ef9b9c98418e6d79f1c9b6b13bd59f5c9028a1478"},
        {"huggingface": "1939ad2a8e416c0acfeecc08a694d14ef25f2231"},
    ),
)
"""In order of quality, the best first."""


def find_known(name: str) -> KnownModel | None:
    """Find a published model by its short name or either of its ids, ignoring case."""
    wanted = name.casefold()
    return next((known for known in KNOWN if wanted in _names_of(known)), None)


def rank(model_id: str) -> int:
    """Say how good a model is: 0 is the best, and an unknown one comes last."""
    known = find_known(model_id)
    return KNOWN.index(known) if known else len(KNOWN)


def short_name(model_id: str) -> str:
    known = find_known(model_id)
    return known.name if known else model_id


def split_revision(name: str) -> tuple[str, str | None]:
    """Split "voxcpm-2@v1" into the model and its revision."""
    model, at, revision = name.partition("@")
    return model, revision if at else None


def _names_of(known: KnownModel) -> set[str]:
    return {known.name, *(model_id.casefold() for model_id in known.ids.values())}
