"""The package's answers, kept as FLAC of 24 bits, and how far a sound of ours is from one."""

import json
import math
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from tests.parity.cases import Case

Samples = NDArray[np.float32]

FOLDER = Path(__file__).with_name("answers")

_CONTEXT_PATCHES = 2


def read_answer(case: Case) -> Samples:
    samples: Samples = soundfile.read(FOLDER / f"{case.name}.flac", dtype="float32")[0]
    return samples


def keep_answer(case: Case, samples: Samples, sample_rate: int) -> None:
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
    """Return how much of its own sound the package of the first two families loses after a very short prompt.

    It always cuts the length of two patches off, for the patches of the prompt that it decoded first.
    """
    if case.prompt is None or case.family == "voxcpm-2":
        return 0
    config = json.loads((checkpoint / "config.json").read_text("utf-8"))
    codec = config["audio_vae_config"]
    patch: int = config["patch_size"] * math.prod(codec["encoder_rates"])
    prompt: int = math.ceil(case.prompt.seconds * codec["sample_rate"] / patch)
    return max(0, _CONTEXT_PATCHES - prompt) * patch
