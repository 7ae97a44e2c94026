"""Samples as 16-bit integers and back, and their loudness."""

import math

import numpy as np

from voxcli.audio.chunk import Samples

_FULL_SCALE = 32768


def to_int16(samples: Samples) -> bytes:
    """Return 16-bit little-endian PCM. What is beyond [-1, 1] is clipped, NaN becomes silence."""
    within = np.clip(samples, -1.0, 1.0)
    if np.isnan(within).any():  # looked at first, as it never happens and mending takes longest
        within = np.nan_to_num(within, nan=0.0)
    return np.minimum(np.rint(within * _FULL_SCALE), _FULL_SCALE - 1).astype("<i2").tobytes()


def from_int16(data: bytes) -> Samples:
    """Read 16-bit little-endian PCM. `to_int16` gives the same bytes back."""
    return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(_FULL_SCALE)


def amplified(samples: Samples, gain: float) -> Samples:
    """Return the samples `gain` times as loud, clipped to [-1, 1]; a gain of 1 returns them unchanged."""
    if not (math.isfinite(gain) and gain >= 0):
        raise ValueError(f"a gain is a number from 0 up, not {gain}")
    return samples if gain == 1 else np.clip(samples * np.float32(gain), -1.0, 1.0)
