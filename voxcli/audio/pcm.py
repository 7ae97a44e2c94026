"""Samples made, written and read: silence, runs of chunks as one, 16-bit PCM, 32-bit floats."""

from collections.abc import Generator, Sequence
from contextlib import closing

import numpy as np
from numpy.typing import NDArray

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


def to_mulaw(samples: Samples) -> bytes:
    """Return 8-bit µ-law PCM (ITU-T G.711, as telephones in America and Japan have it)."""
    pcm = np.frombuffer(to_int16(samples), "<i2").astype(np.int32)
    magnitude = np.minimum(np.abs(pcm), 32635) + 132
    segment = np.frexp(magnitude)[1] - 8
    code: NDArray[np.int32] = np.where(pcm < 0, 0x80, 0) | segment << 4 | magnitude >> segment + 3 & 0x0F
    return (code ^ 0xFF).astype(np.uint8).tobytes()


def to_alaw(samples: Samples) -> bytes:
    """Return 8-bit A-law PCM (ITU-T G.711, as telephones elsewhere have it)."""
    pcm = np.frombuffer(to_int16(samples), "<i2").astype(np.int32)
    magnitude = np.where(pcm < 0, ~pcm, pcm)
    segment = np.maximum(np.frexp(magnitude)[1] - 8, 0)
    code: NDArray[np.int32] = np.where(pcm < 0, 0, 0x80) | segment << 4 | magnitude >> np.maximum(segment, 1) + 3 & 0x0F
    return (code ^ 0x55).astype(np.uint8).tobytes()
