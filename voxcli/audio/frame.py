"""FFmpeg frames as mono samples."""

import av
import numpy as np
from numpy.typing import NDArray

from voxcli.audio.chunk import Samples
from voxcli.audio.downmix import downmixed


def samples_of(frame: av.AudioFrame) -> Samples:
    """Return the mean of the channels, within [-1, 1]."""
    return downmixed(channels_of(frame))


def channels_of(frame: av.AudioFrame) -> NDArray[np.float64]:
    """Return the channels, shape (c, n); full scale is 1, and floats may exceed it."""
    raw = frame.to_ndarray()
    full_scale = 1.0 if raw.dtype.kind == "f" else 2.0 ** (8 * raw.itemsize - 1)
    middle = full_scale if raw.dtype.kind == "u" else 0.0
    with np.errstate(invalid="ignore"):  # signalling NaNs
        samples = (raw.astype(np.float64) - middle) / full_scale
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    return samples
