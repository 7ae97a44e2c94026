"""Samples made, written and read: silence, runs of chunks as one, 16-bit PCM, 32-bit floats."""

from collections.abc import Generator, Sequence
from contextlib import closing

import numpy as np

from voxcli.audio.chunk import AudioChunk, Samples

_FULL_SCALE = 32768
_FLOAT = np.dtype("<f4")


def to_int16(samples: Samples) -> bytes:
    """Return 16-bit little-endian PCM. Values beyond [-1, 1] are clipped, NaN becomes silence."""
    within = np.clip(samples, -1.0, 1.0)
    if np.isnan(within).any():  # checked first, because it is rare and replacing is the slow part
        within = np.nan_to_num(within, nan=0.0)
    return np.minimum(np.rint(within * _FULL_SCALE), _FULL_SCALE - 1).astype("<i2").tobytes()


def silence(seconds: float, sample_rate: int) -> AudioChunk:
    """Return `seconds` of silence."""
    return AudioChunk(np.zeros(round(seconds * sample_rate), np.float32), sample_rate)


def concatenated(chunks: Sequence[AudioChunk]) -> AudioChunk:
    """Return at least one chunk as one, at the rate of the first."""
    return AudioChunk(np.concatenate([chunk.samples for chunk in chunks]), chunks[0].sample_rate)


def read_floats(pieces: Generator[bytes], sample_rate: int) -> Generator[AudioChunk]:
    """Yield the samples of a body of 32-bit floats, cut anywhere.

    sample_rate: Hz.
    """
    left = b""
    with closing(pieces):
        for piece in pieces:
            data = left + piece if left else piece
            whole = len(data) - len(data) % _FLOAT.itemsize
            left = data[whole:]
            if whole:
                samples = np.frombuffer(data, _FLOAT, whole // _FLOAT.itemsize)
                yield AudioChunk(samples.astype(np.float32), sample_rate)
