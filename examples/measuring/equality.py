"""Whether all say the same: before anything is timed, in float32, with the same seed."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from measuring.options import SEED, TEXT
from measuring.ours import Samples, listened_together, new_utterance
from voxcli.voxcpm.model import Model

TOLERANCE = 1e-3
"""Of the peak. A difference in the order of sums makes some 1e-5."""

PATCHES = 4
DRAWN_SEEDS = range(SEED, SEED + 3)

_TEXTS = (TEXT, TEXT[:8], TEXT * 2, TEXT[:4], TEXT[3:])

Sound = Callable[[int], Samples]
"""Seed -> what is said with it."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two that should sound alike."""

    what: str
    differences: tuple[float, ...]
    """The largest between two samples, as a share of the peak, for each seed that was tried."""
    first_patch: float
    """The same of the first patch alone, and the largest of all seeds."""

    @property
    def good(self) -> bool:
        return min(self.differences) <= TOLERANCE and self.first_patch <= TOLERANCE

    def told(self) -> str:
        tried = ", ".join(f"{difference:.1e}" for difference in self.differences)
        seeds = f" (seeds {SEED} to {SEED + len(self.differences) - 1})" if len(self.differences) > 1 else ""
        return f"{'equal ' if self.good else 'DIFFER'}  {self.what}: {tried} of the peak{seeds}"


def compare(what: str, one: Sound, other: Sound, patch_samples: int) -> Comparison:
    """Compare two sounds, and where they differ, those of the next seeds.

    A number of the quantizer that lies between two levels may be rounded one way by one and the other way by the other,
    and both are right; that takes luck, and a mistake does not. The first patch comes before the quantizer: it must be
    equal each time.
    """
    differences: list[float] = []
    first_patch = 0.0
    for seed in DRAWN_SEEDS:
        left, right = one(seed), other(seed)
        differences.append(difference(left, right))
        first_patch = max(first_patch, difference(left[:patch_samples], right[:patch_samples]))
        if differences[-1] <= TOLERANCE:
            break
    return Comparison(what, tuple(differences), first_patch)


def difference(left: Samples, right: Samples) -> float:
    """Return the largest difference as a share of the peak; infinite if they cannot be compared, or are silent."""
    if left.shape != right.shape or not np.isfinite(left).all() or not np.isfinite(right).all():
        return float("inf")
    peak = float(np.abs(right).max(initial=0.0))
    return float(np.abs(left - right).max(initial=0.0)) / peak if peak else float("inf")


def alone(model: Model, steps: int) -> Sound:
    return lambda seed: spoken(model, [TEXT], seed, steps)


def in_company(model: Model, steps: int) -> Sound:
    """Return what all of a few streams at once say, one after the other."""
    return lambda seed: spoken(model, _company(model), seed, steps)


def one_by_one(model: Model, steps: int) -> Sound:
    """Return the same of streams that have the model to themselves."""
    return lambda seed: np.concatenate(
        [spoken(model, [text], seed + number, steps) for number, text in enumerate(_company(model))]
    )


def spoken(model: Model, texts: Sequence[str], seed: int, steps: int) -> Samples:
    asked = [new_utterance(text, seed + number, steps, PATCHES) for number, text in enumerate(texts)]
    return np.concatenate([samples for _, samples in listened_together(model, asked)])


def _company(model: Model) -> Sequence[str]:
    return _TEXTS if model.device.type == "cuda" else _TEXTS[:3]


@contextmanager
def exact_products(device: torch.device) -> Iterator[None]:
    """Keep a GPU from rounding float32 to fewer bits before it multiplies, for as long as this lasts."""
    if device.type != "cuda":
        yield
        return
    precision, convolutions = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.backends.cudnn.allow_tf32 = convolutions
