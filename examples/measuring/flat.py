"""Whether a step takes as long behind a long text as behind a short one."""

import statistics
from dataclasses import dataclass
from itertools import pairwise

from measuring.options import SEED, TEXT
from measuring.ours import listened_together, new_utterance
from voxcli.voxcpm.model import Model

NEAR, FAR = 20, 400
_PATCHES = 9
_TURNS = 8


@dataclass(frozen=True, slots=True)
class Flatness:
    """Seconds per patch behind the first, near the beginning of all and far from it."""

    near: float
    """Median."""
    far: float
    near_least: float
    far_least: float
    patches: int
    """Of each."""

    @property
    def ratio(self) -> float:
        return self.far / self.near


def measure_flatness(model: Model, steps: int, *, turns: int = _TURNS) -> Flatness:
    """Say a text of each length in turns, a few patches at a time, so that both have the same noise around them."""
    gaps: dict[int, list[float]] = {NEAR: [], FAR: []}
    for _ in range(turns):
        for positions, seen in gaps.items():
            text = (TEXT * (positions // len(TEXT) + 1))[: positions - 1]  # and one to begin to speak
            run, _ = listened_together(model, [new_utterance(text, SEED, steps, _PATCHES)])[0]
            # The first patch may come in two pieces.
            times = [came for came, _ in run.chunks][-_PATCHES:]
            seen += [later - sooner for sooner, later in pairwise(times)]
    near, far = gaps[NEAR], gaps[FAR]
    return Flatness(statistics.median(near), statistics.median(far), min(near), min(far), len(near))
