"""Clips brought to a model's rate as the reference brings them, so that the model hears the very same samples."""

import math
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

Samples: TypeAlias = NDArray[np.float32]
"""Mono samples in [-1, 1], shape (n,)."""

_ZERO_CROSSINGS = 6
"""Of the sinc on each side, which is all that the window lets through."""
_ROLLOFF = 0.99
"""The cutoff as a part of the lower Nyquist frequency."""


def sinc_resampled(samples: Samples, from_rate: int, to_rate: int) -> Samples:
    """Resample (n,) to (ceil(n * to_rate / from_rate),) by a sinc under a Hann window.

    The formula and its two numbers are those of `torchaudio.functional.resample`, which the `voxcpm` package uses for
    its first version (https://ccrma.stanford.edu/~jos/resample/). For the second it uses SoXR's HQ.
    """
    if from_rate == to_rate:
        return samples
    divisor = math.gcd(from_rate, to_rate)
    stride, phases = from_rate // divisor, to_rate // divisor
    width = math.ceil(_ZERO_CROSSINGS * stride / (min(stride, phases) * _ROLLOFF))
    kernels = _sinc_kernels(stride, phases, width).float().unsqueeze(1)
    padded = functional.pad(torch.from_numpy(samples), (width, width + stride)).view(1, 1, -1)
    resampled: Samples = functional.conv1d(padded, kernels, stride=stride)[0].T.reshape(-1).numpy()
    return resampled[: math.ceil(phases * len(samples) / stride)]


def _sinc_kernels(stride: int, phases: int, width: int) -> Tensor:
    """Return a filter for each phase of the output, (phases, 2 * width + stride), in float64."""
    cutoff = min(stride, phases) * _ROLLOFF
    taps = torch.arange(-width, width + stride, dtype=torch.float64) / stride
    starts = torch.arange(phases, dtype=torch.float64).unsqueeze(1) / phases
    times = ((taps - starts) * cutoff).clamp(-_ZERO_CROSSINGS, _ZERO_CROSSINGS)
    window = torch.cos(times * math.pi / (2 * _ZERO_CROSSINGS)) ** 2
    return torch.sinc(times) * window * (cutoff / stride)
