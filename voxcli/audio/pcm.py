"""16-bit PCM, and the gain of samples."""

import math

import numpy as np

from voxcli.audio.chunk import Samples

_FULL_SCALE = 32768


def to_int16(samples: Samples) -> bytes:
    """Return 16-bit little-endian PCM. Values beyond [-1, 1] are clipped, NaN becomes silence."""
    within = np.clip(samples, -1.0, 1.0)
    if np.isnan(within).any():  # checked first, because it is rare and replacing is the slow part
        within = np.nan_to_num(within, nan=0.0)
    return np.minimum(np.rint(within * _FULL_SCALE), _FULL_SCALE - 1).astype("<i2").tobytes()


def amplified(samples: Samples, gain: float) -> Samples:
    """Return the samples `gain` times as loud, clipped to [-1, 1]; a gain of 1 returns them unchanged."""
    if not (math.isfinite(gain) and gain >= 0):
        raise ValueError(f"a gain is a number from 0 up, not {gain}")
    return samples if gain == 1 else np.clip(samples * np.float32(gain), -1.0, 1.0)
