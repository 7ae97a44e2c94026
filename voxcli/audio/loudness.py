"""How loud a clip sounds, and bringing it to a level (Recommendation ITU-R BS.1770-4)."""

import math

import numpy as np
from numpy.typing import NDArray

from voxcli.audio.chunk import AudioChunk, Samples

_BLOCK_SECONDS, _BLOCKS_PER_LENGTH = 0.4, 4
"""Each block overlaps the one before by three quarters."""
_OFFSET = -0.691
"""LUFS. Makes up for what the filters add at 997 Hz."""
_ABSOLUTE_GATE = -70.0
"""LUFS. What is softer is no part of the programme."""
_RELATIVE_GATE = -10.0
"""LU below the loudness of what is above the absolute gate."""
_BLOCKS_AT_ONCE = 64

_FILTERS = (
    ((1.53512485958697, -2.69169618940638, 1.19839281085285), (1.0, -1.69065929318241, 0.73248077421585)),
    ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621)),
)
"""Numerators and denominators: the head, which raises the treble, and the ear, which is deaf to the deep."""
_FILTER_RATE = 48000
"""Hz, for which these filters are given. At other rates they are to do the same to each frequency."""

_HIGHEST_PEAK = 0.99
"""Of a clip made louder: room for what an encoder or another rate adds."""


def loudness(chunk: AudioChunk) -> float:
    """Return the integrated loudness in LUFS, minus infinity for silence.

    The filters are applied to the spectra of the blocks. A clip shorter than a block counts as one.
    """
    powers = _block_powers(chunk.samples, chunk.sample_rate)
    gate = 10 ** ((_ABSOLUTE_GATE - _OFFSET) / 10)
    heard = powers[powers > gate]
    if len(heard):
        gate = max(gate, float(heard.mean()) * 10 ** (_RELATIVE_GATE / 10))
        heard = heard[heard > gate]
    return _OFFSET + 10 * math.log10(heard.mean()) if len(heard) else -math.inf


def levelled(chunk: AudioChunk, lufs: float) -> AudioChunk:
    """Return the clip at a loudness, or as near to it as it comes without clipping. Silence stays what it is."""
    now = loudness(chunk)
    if now == -math.inf:
        return chunk
    peak = float(np.abs(chunk.samples).max())
    gain = min(10 ** ((lufs - now) / 20), _HIGHEST_PEAK / peak)
    return AudioChunk(chunk.samples * np.float32(gain), chunk.sample_rate)


def _block_powers(samples: Samples, sample_rate: int) -> NDArray[np.float64]:
    """Return the mean square of each block, weighted for the ear."""
    length = min(round(_BLOCK_SECONDS * sample_rate), len(samples))
    if not length:
        return np.zeros(0)
    blocks = np.lib.stride_tricks.sliding_window_view(samples, length)
    blocks = blocks[:: max(1, round(_BLOCK_SECONDS / _BLOCKS_PER_LENGTH * sample_rate))]
    # By Parseval's theorem. All frequencies but the first and, of an even length, the last stand for two.
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
    """Return by how much the filters raise the power of each frequency (Hz)."""
    delay = np.exp(-2j * np.pi * np.minimum(frequencies / _FILTER_RATE, 0.5))
    gain = np.ones(len(frequencies), np.float64)
    for numerator, denominator in _FILTERS:
        gain *= np.square(np.abs(np.polyval(numerator[::-1], delay) / np.polyval(denominator[::-1], delay)))
    return gain
