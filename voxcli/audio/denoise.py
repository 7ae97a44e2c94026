"""Denoising of a clip before its voice is cloned: steady noise removed, loudness set."""

import logging
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.audio.loudness import levelled

_log = logging.getLogger(__name__)

_LUFS = -20.0
"""The loudness to which the `voxcpm` package brings clips after denoising."""

_FRAME_SECONDS = 0.04
"""A few periods of the deepest voice, so that the noise between its harmonics is resolved."""
_HOPS = 4
"""Per frame. Squared Hann windows then add up to a constant."""
_WINDOWS_SUM = 1.5
_GROUP = 8
"""Frames that are averaged before the minimum is taken, which a single frame would make too low."""
_WINDOW_SECONDS = 3.0
"""Speech leaves every frequency silent at some time within it."""
_LEAST_TO_MEAN = 3.5
"""From the minimum power of noise to its mean. The minimum over the groups of a window is half the mean; the rest is a
margin, because residual noise is worse than a little loss of voice."""
_FLOOR = 0.1
"""The lowest gain, -20 dB: removing noise altogether leaves musical noise."""
_MARGIN = 2
"""Frames on either side over which power is smoothed, together with one frequency on either side."""

_TINY = np.float32(1e-20)
"""A power. Avoids division by zero in silence."""

_BLOCK = 64 * _GROUP
"""Frames processed at once."""

_Power = NDArray[np.float32]
_Spectrum = NDArray[np.complex64]
"""Shapes (frames or groups of frames, frequencies)."""


def denoised(chunk: AudioChunk) -> AudioChunk:
    """Return the clip without steady noise, at the loudness that the `voxcpm` package gives it.

    Where modelscope is installed with its audio dependencies, ZipEnhancer does it, at 16 kHz; otherwise
    `without_noise`, at the rate of the clip.

    Raises:
        ModelError: ZipEnhancer cannot be downloaded or run.
    """
    samples = np.clip(np.nan_to_num(chunk.samples, nan=0.0), -1.0, 1.0).astype(np.float32, copy=False)
    clean = _zipenhanced(AudioChunk(samples, chunk.sample_rate))
    return levelled(clean or AudioChunk(without_noise(samples, chunk.sample_rate), chunk.sample_rate), _LUFS)


def without_noise(samples: Samples, sample_rate: int, block: int = _BLOCK) -> Samples:
    """Return the samples with steady noise, such as hiss, a fan or a hum, turned down.

    The power of the noise at each frequency is estimated from the least power that the frequency has within a few
    seconds (R. Martin, "Noise power spectral density estimation based on optimal smoothing and minimum statistics",
    IEEE Transactions on Speech and Audio Processing 9, 2001). Each frequency is then turned down by the share of noise
    in its power (Wiener filter).

    Args:
        samples: finite, shape (n,).
        sample_rate: Hz.
        block: frames processed at once, a multiple of _GROUP. The result does not depend on it.

    Returns:
        Shape (n,).
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


def _zipenhanced(chunk: AudioChunk) -> AudioChunk | None:
    """Return the clip denoised by ZipEnhancer, or None where that is not installed."""
    if len(chunk.samples) == 0 or find_spec("modelscope") is None:
        return None
    try:
        from voxcli.audio.zipenhancer import zipenhanced  # loads torch and the network
    except ImportError as error:
        _log.warning("modelscope lacks a dependency of ZipEnhancer: %s. Denoising with a Wiener filter.", error)
        return None
    return zipenhanced(chunk)


def _padded(samples: Samples, front: int, length: int) -> Samples:
    """Mirror the samples at both ends: padding with silence would lower the noise estimate."""
    back = length - front - len(samples)
    return np.pad(samples, (front, back), "symmetric" if len(samples) else "constant")


def _noise(padded: Samples, hop: int, count: int, block: int, window: int) -> _Power:
    """Return the noise power in each group of frames; an incomplete last group belongs to the previous one."""
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
    """Return the Wiener gain, the share of speech in the total power, but at least the floor."""
    return np.maximum(1 - noise / np.maximum(power, np.maximum(noise, _TINY)), _FLOOR)


def _smoothed(power: _Power) -> _Power:
    """Return the mean over neighbouring frames and frequencies; the margin frames are consumed."""
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
