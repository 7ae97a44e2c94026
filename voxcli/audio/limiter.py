"""Limiter: a gain for speech, whose peaks are turned down for a moment where they would clip."""

from collections.abc import Generator, Iterator

import numpy as np
from numpy.typing import NDArray

from voxcli.audio.chunk import AudioChunk, Samples, transformed

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


def limited(chunks: Iterator[AudioChunk], gain: float) -> Generator[AudioChunk]:
    """Yield a stream with another gain; see `transformed`."""
    return transformed(chunks, lambda sample_rate: Limiter(sample_rate, gain))
