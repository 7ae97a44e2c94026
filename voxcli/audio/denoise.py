"""A voice clip made fit to be imitated: noise taken out, loudness set."""

import logging
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.audio.loudness import levelled

_FRAME_SECONDS = 0.04
"""Some periods of the deepest voice, so that its harmonics stand apart from what is between them."""
_HOPS = 4
"""In a frame. Squared Hann windows then add up to the same everywhere."""
_WINDOWS_SUM = 1.5
_GROUP = 8
"""Frames whose mean power is taken at once: their least value is neither chance nor within a syllable."""
_WINDOW_SECONDS = 3.0
"""Nobody keeps a frequency sounding for as long."""
_LEAST_TO_MEAN = 3.5
"""The mean power of noise over the least. The least of so many groups is half the mean; the rest is caution, for
noise left over is worse than a little of the voice taken."""
_FLOOR = 0.1
"""Noise is turned down by 20 dB and not to nothing, so that it does not twitter."""
_MARGIN = 2
"""Frames before and after one over which its power is smoothed, with one frequency on either side."""

_TINY = np.float32(1e-20)
"""A power. Keeps silence from being divided by itself."""

_BLOCK = 64 * _GROUP
"""Frames held in memory at once."""

_Power = NDArray[np.float32]
_Spectrum = NDArray[np.complex64]
"""Shapes (frames or groups of frames, frequencies)."""


def without_noise(samples: Samples, sample_rate: int, block: int = _BLOCK) -> Samples:
    """Return as many samples, with what is steady noise turned down.

    Args:
        samples: finite, any number of them.
        sample_rate: Hz.
        block: frames worked on at once, a multiple of _GROUP. What comes out does not depend on it.
    """
    hop = max(2, round(_FRAME_SECONDS / _HOPS * sample_rate))
    front = hop * (_HOPS - 1)
    count = -(-(len(samples) + front) // hop)
    padded = _padded(samples, front, hop * (count + _HOPS - 1))
    noise = _noise(padded, hop, count, block, round(_WINDOW_SECONDS * sample_rate / hop / _GROUP))
    out = np.zeros_like(padded)
    for start in range(0, count, block):
        stop = min(start + block, count)
        around = _spectra(padded, hop, np.arange(start - _MARGIN, stop + _MARGIN).clip(0, count - 1))
        groups = np.minimum(np.arange(start, stop) // _GROUP, len(noise) - 1)
        gain = _gain(_smoothed(_power(around)), noise[groups])
        _overlap_add(out[hop * start :], around[_MARGIN:-_MARGIN] * gain, hop)
    return out[front : front + len(samples)]


def _padded(samples: Samples, front: int, length: int) -> Samples:
    """Mirror the sound at both ends: silence would be taken for the level of the noise."""
    back = length - front - len(samples)
    return np.pad(samples, (front, back), "symmetric" if len(samples) else "constant")


def _noise(padded: Samples, hop: int, count: int, block: int, window: int) -> _Power:
    """Return the power of the noise in each group of frames; an unfinished last group counts with the one before."""
    means = []
    for start in range(0, max(count - count % _GROUP, 1), block):
        power = _power(_spectra(padded, hop, np.arange(start, min(start + block, count))))
        groups = max(len(power) // _GROUP, 1)
        means.append(power[: groups * _GROUP].reshape(groups, -1, power.shape[1]).mean(axis=1))
    power = np.concatenate(means)
    least = np.pad(power, ((window // 2, window // 2), (0, 0)), "edge")
    windows = np.lib.stride_tricks.sliding_window_view(least, window // 2 * 2 + 1, axis=0)
    return np.asarray(_LEAST_TO_MEAN * windows.min(axis=-1), np.float32)


def _gain(power: _Power, noise: _Power) -> _Power:
    """Return the share of speech in the power of speech and noise, as Wiener has it, and no less than the floor."""
    return np.maximum(1 - noise / np.maximum(power, np.maximum(noise, _TINY)), _FLOOR)


def _smoothed(power: _Power) -> _Power:
    """Return the mean over the frames and the frequencies around; the margins are used up."""
    count = len(power) - 2 * _MARGIN
    over_frames = np.mean([power[shift : shift + count] for shift in range(2 * _MARGIN + 1)], axis=0)
    wide = np.pad(over_frames, ((0, 0), (1, 1)), "edge")
    return np.asarray((wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]) / 3, np.float32)


def _spectra(padded: Samples, hop: int, frames: NDArray[np.intp]) -> _Spectrum:
    views = np.lib.stride_tricks.sliding_window_view(padded, hop * _HOPS)
    return np.fft.rfft(views[frames * hop] * _hann(hop), axis=1).astype(np.complex64)


def _power(spectra: _Spectrum) -> _Power:
    return np.square(spectra.real) + np.square(spectra.imag)


def _overlap_add(out: Samples, spectra: _Spectrum, hop: int) -> None:
    frames = np.fft.irfft(spectra, hop * _HOPS, axis=1).astype(np.float32) * (_hann(hop) / _WINDOWS_SUM)
    for part, pieces in enumerate(np.split(frames, _HOPS, axis=1)):
        out[hop * part : hop * (part + len(pieces))] += pieces.ravel()


def _hann(hop: int) -> Samples:
    return np.hanning(hop * _HOPS + 1)[:-1].astype(np.float32)


_log = logging.getLogger(__name__)

_LUFS = -20.0
"""What `voxcpm` brings clips to after taking noise out."""


def denoised(chunk: AudioChunk) -> AudioChunk:
    """Return the clip without steady noise, at the loudness that `voxcpm` gives it.

    Where modelscope is installed with what it needs for sound, ZipEnhancer does it, at 16 kHz; else a filter of our
    own, at the rate of the clip.

    Raises:
        ModelError: ZipEnhancer cannot be downloaded or run.
    """
    samples = np.clip(np.nan_to_num(chunk.samples, nan=0.0), -1.0, 1.0).astype(np.float32, copy=False)
    clean = _zipenhanced(AudioChunk(samples, chunk.sample_rate))
    return levelled(clean or AudioChunk(without_noise(samples, chunk.sample_rate), chunk.sample_rate), _LUFS)


def _zipenhanced(chunk: AudioChunk) -> AudioChunk | None:
    """Return what ZipEnhancer makes of a clip, or None where it cannot be had."""
    if len(chunk.samples) == 0 or find_spec("modelscope") is None:
        return None
    try:
        from voxcli.audio.zipenhancer import zipenhanced  # loads torch, and a network
    except ImportError as error:
        _log.warning("ZipEnhancer is not used, for modelscope lacks a part: %s. A simpler filter does its work.", error)
        return None
    return zipenhanced(chunk)
