"""Resampling of clips as the reference implementation does it, so that the model gets the same samples."""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from voxcli.audio.chunk import Samples

_ZERO_CROSSINGS = 6
"""Zero crossings of the sinc on each side of its center; the window is zero beyond them."""
_ROLLOFF = 0.99
"""Cutoff as a fraction of the lower Nyquist frequency."""

_MOST_KERNEL_VALUES = 1 << 20
"""Larger filter banks are not built as one dense kernel. All pairs of usual rates stay below."""
_BLOCK_VALUES = 1 << 18
"""Filter taps computed at a time otherwise."""


def sinc_resampled(samples: Samples, from_rate: int, to_rate: int) -> Samples:
    """Resample with a sinc under a Hann window.

    The formula and its two constants are those of `torchaudio.functional.resample`, which the `voxcpm` package uses for
    VoxCPM-0.5B and 1.5 (https://ccrma.stanford.edu/~jos/resample/). For VoxCPM2 it uses SoXR's HQ instead.

    Rates with a small common divisor, such as 44099 and 44100 Hz, need one filter for each of up to `to_rate` phases.
    Filled up with zeros to a dense kernel, as torchaudio does it, these take gigabytes; here only the taps that are not
    zero are computed then, a block of phases at a time. The memory needed is that of the samples plus a few megabytes.

    Args:
        samples: (n,).
        from_rate: Hz.
        to_rate: Hz.

    Returns:
        (ceil(n * to_rate / from_rate),).
    """
    if from_rate == to_rate:
        return samples
    divisor = math.gcd(from_rate, to_rate)
    stride, phases = from_rate // divisor, to_rate // divisor
    width = math.ceil(_ZERO_CROSSINGS * stride / (min(stride, phases) * _ROLLOFF))
    length = math.ceil(phases * len(samples) / stride)
    if phases * (2 * width + stride) <= _MOST_KERNEL_VALUES:
        return _by_dense_kernel(samples, stride, phases, width)[:length]
    return _by_phases(samples, stride, phases, width, length)


def _by_dense_kernel(samples: Samples, stride: int, phases: int, width: int) -> Samples:
    """Convolve with one kernel of (phases, 2 * width + stride) values."""
    taps = torch.arange(-width, width + stride, dtype=torch.float64)
    starts = torch.arange(phases, dtype=torch.float64)
    kernels = _windowed_sinc(taps, starts, stride, phases).float().unsqueeze(1)
    padded = functional.pad(torch.from_numpy(samples), (width, width + stride)).view(1, 1, -1)
    resampled: Samples = functional.conv1d(padded, kernels, stride=stride)[0].T.reshape(-1).numpy()
    return resampled


def _by_phases(samples: Samples, stride: int, phases: int, width: int, length: int) -> Samples:
    """Compute every `phases`-th output with the 2 * width + 2 taps around it, for one phase after another."""
    taps = 2 * width + 2
    periods = math.ceil(length / phases)
    last = (periods - 1) * stride + (phases - 1) * stride // phases
    padded = functional.pad(torch.from_numpy(samples), (width, max(0, last + taps - width - len(samples))))
    resampled = np.zeros(periods * phases, np.float32)
    block = max(1, _BLOCK_VALUES // taps)
    for first in range(0, min(phases, length), block):
        starts = torch.arange(first, min(first + block, phases, length))
        positions = starts * stride // phases
        offsets = positions.unsqueeze(1) + torch.arange(-width, width + 2)
        filters = _windowed_sinc(offsets.double(), starts.double(), stride, phases).float()
        for phase, position, taps_of_phase in zip(starts.tolist(), positions.tolist(), filters, strict=True):
            windows = padded[position:].unfold(0, taps, stride)[:periods]
            resampled[phase::phases] = (windows @ taps_of_phase).numpy()
    return resampled[:length]


def _windowed_sinc(taps: Tensor, starts: Tensor, stride: int, phases: int) -> Tensor:
    """Return the filter of each phase, in float64.

    Args:
        taps: positions of input samples, (taps,) for all phases alike or (phases, taps).
        starts: numbers of the phases, (phases,).
    """
    cutoff = min(stride, phases) * _ROLLOFF
    times = ((taps / stride - starts.unsqueeze(1) / phases) * cutoff).clamp(-_ZERO_CROSSINGS, _ZERO_CROSSINGS)
    window = torch.cos(times * math.pi / (2 * _ZERO_CROSSINGS)) ** 2
    return torch.sinc(times) * window * (cutoff / stride)
