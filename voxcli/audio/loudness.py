"""Loudness: the power of samples, the integrated loudness of a clip (ITU-R BS.1770-4), and bringing it to a level."""

import math

import numpy as np
from numpy.typing import NDArray

from voxcli.audio.chunk import AudioChunk, Samples

_BLOCK_SECONDS, _BLOCKS_PER_LENGTH = 0.4, 4
"""Each block overlaps the previous one by three quarters."""
_OFFSET = -0.691
"""LUFS. Compensates for the gain of the filters at 997 Hz."""
_ABSOLUTE_GATE = -70.0
"""LUFS. Softer blocks are not measured."""
_RELATIVE_GATE = -10.0
"""LU, relative to the loudness of the blocks above the absolute gate."""
_BLOCKS_AT_ONCE = 64

_FILTERS = (
    ((1.53512485958697, -2.69169618940638, 1.19839281085285), (1.0, -1.69065929318241, 0.73248077421585)),
    ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621)),
)
"""Numerators and denominators of K-weighting: a high shelf for the head, a high-pass for the ear."""
_FILTER_RATE = 48000
"""Hz, for which the standard gives these filters. At other rates their frequency response is kept."""

_HIGHEST_PEAK = 0.99
"""Of a clip made louder: headroom for what encoding or resampling adds."""


def mean_power(samples: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the mean square over the last axis: (n,) gives a scalar, frames of shape (f, n) give (f,)."""
    return np.asarray(np.mean(np.square(samples, dtype=np.float64), axis=-1))


def decibels(power: NDArray[np.float64] | float, floor_db: float) -> NDArray[np.float64]:
    """Return a power in dB (dBFS for a mean square), and `floor_db` for everything below it."""
    return np.asarray(10 * np.log10(np.maximum(power, 10 ** (floor_db / 10))))


def loudness(chunk: AudioChunk) -> float:
    """Return the integrated loudness in LUFS, minus infinity for silence.

    The filters are applied to the spectra of the blocks. A clip shorter than a block counts as one.
    """
    return _integrated(_block_powers(chunk.samples, chunk.sample_rate))


class LoudnessMeter:
    """Measures the integrated loudness of a stream; the result does not depend on the cuts."""

    def __init__(self, sample_rate: int) -> None:
        self.peak = 0.0
        """Of the samples."""
        self._rate = sample_rate
        self._block = round(_BLOCK_SECONDS * sample_rate)
        self._hop = max(1, round(_BLOCK_SECONDS / _BLOCKS_PER_LENGTH * sample_rate))
        self._held: Samples = np.zeros(0, np.float32)
        self._powers: list[NDArray[np.float64]] = []

    def feed(self, samples: Samples) -> None:
        if len(samples):
            self.peak = max(self.peak, float(np.abs(samples).max()))
        self._held = np.concatenate([self._held, samples])
        whole = (len(self._held) - self._block) // self._hop + 1
        if whole > 0:
            self._powers.append(_block_powers(self._held[: (whole - 1) * self._hop + self._block], self._rate))
            self._held = self._held[whole * self._hop :]

    def integrated(self) -> float:
        """Return the loudness of all samples so far in LUFS, minus infinity for silence."""
        powers = self._powers or [_block_powers(self._held, self._rate)]
        return _integrated(np.concatenate(powers))

    def recent(self, seconds: float) -> float:
        """Return the loudness of the newest samples in LUFS."""
        count = round(seconds * self._rate / self._hop)
        return _integrated(np.concatenate([np.zeros(0), *self._powers[-count:]])[-count:])


def _integrated(powers: NDArray[np.float64]) -> float:
    gate = 10 ** ((_ABSOLUTE_GATE - _OFFSET) / 10)
    gated = powers[powers > gate]
    if len(gated):
        gate = max(gate, float(gated.mean()) * 10 ** (_RELATIVE_GATE / 10))
        gated = gated[gated > gate]
    return _OFFSET + 10 * math.log10(gated.mean()) if len(gated) else -math.inf


def levelled(chunk: AudioChunk, lufs: float) -> AudioChunk:
    """Return the clip at this loudness, or as close to it as possible without clipping. Silence is left unchanged."""
    now = loudness(chunk)
    if now == -math.inf:
        return chunk
    peak = float(np.abs(chunk.samples).max())
    gain = min(10 ** ((lufs - now) / 20), _HIGHEST_PEAK / peak)
    return AudioChunk(chunk.samples * np.float32(gain), chunk.sample_rate)


def _block_powers(samples: Samples, sample_rate: int) -> NDArray[np.float64]:
    """Return the K-weighted mean square of each block."""
    length = min(round(_BLOCK_SECONDS * sample_rate), len(samples))
    if not length:
        return np.zeros(0)
    blocks = np.lib.stride_tricks.sliding_window_view(samples, length)
    blocks = blocks[:: max(1, round(_BLOCK_SECONDS / _BLOCKS_PER_LENGTH * sample_rate))]
    # By Parseval's theorem. Each bin counts twice, except the first and, for an even length, the last.
    weights = 2 * _weighting(np.fft.rfftfreq(length, 1 / sample_rate)) / length**2
    weights[0] /= 2
    if length % 2 == 0:
        weights[-1] /= 2
    return np.concatenate(
        [
            np.square(np.abs(np.fft.rfft(blocks[start : start + _BLOCKS_AT_ONCE].astype(np.float64), axis=1))) @ weights
            for start in range(0, len(blocks), _BLOCKS_AT_ONCE)
        ]
    )


def _weighting(frequencies: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the power gain of the filters at each frequency (Hz)."""
    delay = np.exp(-2j * np.pi * np.minimum(frequencies / _FILTER_RATE, 0.5))
    gain = np.ones(len(frequencies), np.float64)
    for numerator, denominator in _FILTERS:
        gain *= np.square(np.abs(np.polyval(numerator[::-1], delay) / np.polyval(denominator[::-1], delay)))
    return gain
