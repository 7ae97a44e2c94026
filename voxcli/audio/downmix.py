"""Downmix of channels to mono: their mean, unless a recording has its speech in one channel or cancels itself."""

import numpy as np
from numpy.typing import NDArray

from voxcli.audio.chunk import Samples

_CENTRE = 2
"""Index of the front centre in WAV, FLAC and FFmpeg's layouts of three and more channels: left, right, centre."""
_MOST_OF_IT = 0.8
"""A centre with this share of the power holds the dialogue; the other channels would make it quiet."""
_CANCELLED = 0.05
"""A mean with this share of the power of a channel or less: channels of opposite phase. Independent ones keep 0.5."""


def downmixed(channels: NDArray[np.float64]) -> Samples:
    """Return the mean of the channels, shape (c, n), within [-1, 1]. NaN becomes silence."""
    return np.asarray(_within(channels).mean(axis=0), np.float32)


class Downmix:
    """Mono samples of a whole recording, decided at its end: mean, centre, or the first channel."""

    def __init__(self) -> None:
        self.samples = 0
        """Taken so far, of each channel."""
        self._mean: list[Samples] = []
        self._first: list[Samples] = []
        self._centre: list[Samples] = []
        self._mean_power = 0.0
        self._powers: NDArray[np.float64] = np.zeros(0)

    def add(self, channels: NDArray[np.float64]) -> None:
        """Take the next samples, shape (c, n). NaN becomes silence, and samples are limited to [-1, 1]."""
        within = _within(channels)
        mean = np.asarray(within.mean(axis=0), np.float32)
        self._mean.append(mean)
        self.samples += within.shape[1]
        if len(within) == 1:
            return
        self._first.append(np.asarray(within[0], np.float32))
        if len(within) > _CENTRE:
            self._centre.append(np.asarray(within[_CENTRE], np.float32))
        powers = np.square(within).sum(axis=1)
        self._powers = self._powers + powers if len(self._powers) == len(powers) else powers
        self._mean_power += float(np.square(mean, dtype=np.float64).sum())

    def result(self) -> Samples:
        """Return all samples, shape (n,)."""
        total = float(self._powers.sum())
        if self._is_whole(self._centre) and self._powers[_CENTRE] >= _MOST_OF_IT * total > 0:
            return np.concatenate(self._centre)
        if self._is_whole(self._first) and self._mean_power <= _CANCELLED * total / len(self._powers) and total > 0:
            return np.concatenate(self._first)
        return np.concatenate(self._mean)

    def _is_whole(self, pieces: list[Samples]) -> bool:
        return len(pieces) == len(self._mean)


def _within(channels: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):  # the file may hold signalling NaNs
        return np.clip(np.nan_to_num(channels, nan=0.0), -1.0, 1.0)
