"""Answers of the package, stored as 24-bit FLAC, and their difference to ours."""

import json
import math
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from tests.parity.cases import Case

Samples = NDArray[np.float32]

FOLDER = Path(__file__).with_name("answers")

ENGINE_TOLERANCE = 1e-4
COMMAND_TOLERANCE = 2e-4
"""16-bit WAV files have steps of 3e-5."""

_CONTEXT_PATCHES = 2


def read_answer(case: Case) -> Samples:
    samples: Samples = soundfile.read(FOLDER / f"{case.name}.flac", dtype="float32")[0]
    return samples


def write_answer(case: Case, samples: Samples, sample_rate: int) -> None:
    FOLDER.mkdir(exist_ok=True)
    soundfile.write(FOLDER / f"{case.name}.flac", samples, sample_rate, subtype="PCM_24")


def difference(ours: Samples, answer: Samples, missing: int) -> float:
    """Return the largest difference between two sounds, infinite if one is longer.

    Args:
        missing: samples that the package cuts off at the start and we do not, see `missing_samples`.
    """
    ours = ours[missing:]
    if ours.shape != answer.shape or not np.isfinite(ours).all():
        return math.inf
    return float(np.abs(ours - answer).max())


def missing_samples(case: Case, checkpoint: Path) -> int:
    """Return the number of samples that the package drops after a very short prompt (first two families only).

    It always cuts the length of two patches off, even if the prompt was shorter.
    """
    if case.prompt is None or case.family == "voxcpm-2":
        return 0
    config = json.loads((checkpoint / "config.json").read_text("utf-8"))
    codec = config["audio_vae_config"]
    patch: int = config["patch_size"] * math.prod(codec["encoder_rates"])
    prompt: int = math.ceil(case.prompt.seconds * codec["sample_rate"] / patch)
    return max(0, _CONTEXT_PATCHES - prompt) * patch
