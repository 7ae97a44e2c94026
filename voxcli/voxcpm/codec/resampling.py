"""Resampling of clips as the reference implementation does it, so that the model gets the same samples."""

import math
from collections.abc import Callable
from functools import partial

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
_BLOCK_VALUES = 1 << 16
"""Filter taps computed at a time otherwise."""


def sinc_resampled(
    samples: Samples, from_rate: int, to_rate: int, call: Callable[[Callable[[], None]], None] = lambda fn: fn()
) -> Samples:
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
        call: runs a function that computes a part of the result.

    Returns:
        (ceil(n * to_rate / from_rate),).
    """
    if from_rate == to_rate:
        return samples
    divisor = math.gcd(from_rate, to_rate)
    stride, phases = from_rate // divisor, to_rate // divisor
    width = math.ceil(_ZERO_CROSSINGS * stride / (min(stride, phases) * _ROLLOFF))
    length = math.ceil(phases * len(samples) / stride)
    periods = math.ceil(length / phases)
    resampled = np.zeros((periods, phases), np.float32)
    if phases * (2 * width + stride) <= _MOST_KERNEL_VALUES:
        call(partial(_by_dense_kernel, resampled, samples, stride, width))
    else:
        count = min(phases, length)
        block = max(1, _BLOCK_VALUES // _taps(width))
        for first in range(0, count, block):
            call(partial(_by_phases, resampled, samples, stride, width, range(first, min(first + block, count))))
    return resampled.reshape(-1)[:length]


def _by_dense_kernel(resampled: Samples, samples: Samples, stride: int, width: int) -> None:
    """Convolve with one kernel of (phases, 2 * width + stride) values.

    Args:
        resampled: the result, (periods, phases).
    """
    periods, phases = resampled.shape
    taps = torch.arange(-width, width + stride, dtype=torch.float64)
    starts = torch.arange(phases, dtype=torch.float64)
    kernels = _windowed_sinc(taps, starts, stride, phases).float().unsqueeze(1)
    padded = functional.pad(torch.from_numpy(samples), (width, width + stride)).view(1, 1, -1)
    resampled[:] = functional.conv1d(padded, kernels, stride=stride)[0].T[:periods].numpy()


def _by_phases(resampled: Samples, samples: Samples, stride: int, width: int, block: range) -> None:
    """Compute every `phases`-th output with the 2 * width + 2 taps around it, for one phase after another.

    Args:
        resampled: the result, (periods, phases).
        block: the phases to compute.
    """
    periods, phases = resampled.shape
    taps = _taps(width)
    starts = torch.arange(block.start, block.stop)
    positions = starts * stride // phases
    offsets = positions.unsqueeze(1) + torch.arange(-width, width + 2)
    filters = _windowed_sinc(offsets.double(), starts.double(), stride, phases).float()
    last = (periods - 1) * stride + (phases - 1) * stride // phases
    padded = functional.pad(torch.from_numpy(samples), (width, max(0, last + taps - width - len(samples))))
    for phase, position, taps_of_phase in zip(block, positions.tolist(), filters, strict=True):
        windows = padded[position:].unfold(0, taps, stride)[:periods]
        resampled[:, phase] = (windows @ taps_of_phase).numpy()


def _taps(width: int) -> int:
    """Return how many taps of a filter are not zero, at most."""
    return 2 * width + 2


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
