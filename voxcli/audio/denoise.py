"""A voice clip made fit to be imitated: noise taken out, loudness set."""

import logging
from importlib.util import find_spec

import numpy as np

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.loudness import levelled
from voxcli.audio.wiener import without_noise

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
