"""Levelling of speech: a gain whose peaks do not clip, and one that follows the loudness while the speech is heard."""

import math

import numpy as np
from numpy.typing import NDArray

from voxcli.audio.chunk import Samples
from voxcli.audio.loudness import LoudnessMeter

PEAK = 10 ** (-1 / 20)
"""One decibel below full scale: room for what encoding adds."""
_REACH_SECONDS = 0.005
"""Before and after a peak, in which the gain goes down and up again."""


class Limiter:
    """Multiplies a stream by a gain. The output does not depend on the cuts, and comes 0.01 s later.

    Around a peak, the gain is the mean of the least gains nearby. As each of them is low enough for the peak, so is
    their mean.
    """

    def __init__(self, sample_rate: int, gain: float) -> None:
        self._gain = np.float32(gain)
        self._reach = max(1, round(_REACH_SECONDS * sample_rate))
        self._held: Samples = np.zeros(0, np.float32)
        self._before = 0  # held samples that were returned already

    def feed(self, samples: Samples) -> Samples:
        self._held = np.concatenate([self._held, samples * self._gain])
        return self._take(len(self._held) - 2 * self._reach)

    def finish(self) -> Samples:
        return self._take(len(self._held))

    def _take(self, end: int) -> Samples:
        """Return the held samples up to a place."""
        start = self._before
        if end <= start:
            return np.zeros(0, np.float32)
        out = self._held[start:end]
        if np.abs(self._held).max() > PEAK:
            out = (out * self._gains()[start:end]).astype(np.float32)
        kept = max(0, end - 2 * self._reach)
        self._held, self._before = self._held[kept:], end - kept
        return out

    def _gains(self) -> NDArray[np.float64]:
        needed = PEAK / np.maximum(np.abs(self._held, dtype=np.float64), PEAK)
        width = 2 * self._reach + 1
        least = np.lib.stride_tricks.sliding_window_view(np.pad(needed, self._reach, constant_values=1.0), width)
        sums = np.cumsum(np.pad(least.min(axis=1), (self._reach + 1, self._reach), mode="edge"))
        return np.asarray((sums[width:] - sums[:-width]) / width)


_BLOCK_SECONDS = 0.1
_FIRST_SECONDS = 1.0
"""Of sound that are measured before anything is passed on."""
_WINDOW_SECONDS = 30.0
_STEP_DB = 0.1
"""By which the gain changes in a block at most: slower than is heard."""
_MOST_GAIN_DB = 30.0


class Levelling:
    """Brings a stream to a loudness, as near as can be told before its end. The output does not depend on the cuts."""

    def __init__(self, sample_rate: int, lufs: float) -> None:
        self._lufs = lufs
        self._block = round(_BLOCK_SECONDS * sample_rate)
        self._meter = LoudnessMeter(sample_rate)
        self._limiter = Limiter(sample_rate, 1.0)
        self._rest: Samples = np.zeros(0, np.float32)
        self._first: list[Samples] = []
        self._gain_db: float | None = None  # None while the first second is measured

    def feed(self, samples: Samples) -> Samples:
        samples = np.concatenate([self._rest, samples])
        whole = len(samples) - len(samples) % self._block
        self._rest = samples[whole:]
        return self._limited([out for block in samples[:whole].reshape(-1, self._block) for out in self._take(block)])

    def finish(self) -> Samples:
        last = self._take(self._rest) if len(self._rest) else []
        return np.concatenate([self._limited([*last, *self._released()]), self._limiter.finish()])

    def _take(self, block: Samples) -> list[Samples]:
        self._meter.feed(block)
        if self._gain_db is None:
            self._first.append(block)
            enough = len(self._first) * _BLOCK_SECONDS >= _FIRST_SECONDS and self._wanted is not None
            return self._released() if enough else []
        before = self._gain_db
        if (wanted := self._wanted) is not None:
            self._gain_db += min(max(wanted - before, -_STEP_DB), _STEP_DB)
        decibels = np.linspace(before, self._gain_db, len(block), endpoint=False)
        return [(block * 10 ** (decibels / 20)).astype(np.float32)]

    def _released(self) -> list[Samples]:
        """Return what was held, at the gain that it needs."""
        if self._gain_db is None:
            self._gain_db = self._wanted or 0.0
        first, self._first = self._first, []
        return [(block * 10 ** (self._gain_db / 20)).astype(np.float32) for block in first]

    @property
    def _wanted(self) -> float | None:
        """The gain that the loudness asks for; None in silence."""
        loudness = self._meter.recent(_WINDOW_SECONDS)
        return min(self._lufs - loudness, _MOST_GAIN_DB) if math.isfinite(loudness) else None

    def _limited(self, blocks: list[Samples]) -> Samples:
        return self._limiter.feed(np.concatenate([np.zeros(0, np.float32), *blocks]))
