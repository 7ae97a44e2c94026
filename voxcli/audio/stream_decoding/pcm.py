"""PCM: uncompressed samples."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.audio.stream_decoding.byte_buffer import ByteBuffer, ChunkSteps

_ENDLESS = 1 << 62

_HIGHEST_FLOAT = 1.5
"""Float samples stay below it, even where they overshoot full scale."""
_SMALLEST_FLOAT = 1e-7
"""Below the resolution of 24 bits. Pairs of small integers that are read as floats lie there, or are NaN."""
_PROBE_BYTES = 1024
"""Bytes by which floats are told from integers."""


@dataclass(frozen=True, slots=True)
class Coding:
    """The encoding of samples; channels are interleaved."""

    number: str
    """As a numpy type string; "i3" has 24 bits."""
    channels: int = 1

    @property
    def frame_bytes(self) -> int:
        return int(self.number[1]) * self.channels


def pcm_chunks(buffer: ByteBuffer, coding: Coding, sample_rate: int, limit: int = _ENDLESS) -> ChunkSteps:
    """Yield the samples in the next `limit` bytes. An incomplete frame at their end is skipped."""
    while data := (yield from buffer.take_units(coding.frame_bytes, limit)):
        limit -= len(data)
        yield AudioChunk(to_samples(data, coding), sample_rate)
    yield from buffer.skip(min(limit, coding.frame_bytes - 1))


def raw_chunks(buffer: ByteBuffer, sample_rate: int, channels: int = 1) -> ChunkSteps:
    """Yield samples whose encoding is not stated: int16, or floats as old VoxCPM servers send them."""
    number = _number_of((yield from buffer.peek(_PROBE_BYTES)))
    yield from pcm_chunks(buffer, Coding(number, channels), sample_rate)


def to_samples(data: bytes, coding: Coding) -> Samples:
    """Return whole frames as mono, the mean of the channels, within [-1, 1]. NaN becomes silence."""
    kind = coding.number[0]
    if coding.number == "i2":
        samples = np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768)
    elif kind == "f":
        with np.errstate(invalid="ignore", over="ignore"):  # received floats may be signalling NaNs
            numbers = np.nan_to_num(np.frombuffer(data, "<" + coding.number).astype(np.float64), nan=0.0)
        samples = np.clip(numbers, -1.0, 1.0).astype(np.float32)
    else:
        samples = (_to_int32(data, coding.number) / 2.0**31).astype(np.float32)
    if coding.channels == 1:
        return samples
    return np.asarray(samples.reshape(-1, coding.channels).mean(axis=1), np.float32)


def _to_int32(data: bytes, number: str) -> NDArray[np.int32]:
    """Return integers scaled to 32 bits."""
    if number == "i4":
        return np.frombuffer(data, "<i4")
    size = int(number[1])
    wide = np.zeros((len(data) // size, 4), np.uint8)
    wide[:, 4 - size :] = np.frombuffer(data, np.uint8).reshape(-1, size)
    if number == "u1":
        wide[:, 3] ^= 0x80  # 8-bit samples are unsigned, with 128 as zero
    return wide.view("<i4").ravel()


def _number_of(beginning: bytes) -> str:
    """Return "f8", "f4" or "i2", whichever gives plausible samples."""
    for number, size in (("f8", 8), ("f4", 4)):
        whole = len(beginning) - len(beginning) % size
        with np.errstate(invalid="ignore"):
            values = np.abs(np.frombuffer(beginning[:whole], "<" + number).astype(np.float64))
        if len(values) > 16 and np.all(values <= _HIGHEST_FLOAT) and np.mean(values > _SMALLEST_FLOAT) > 0.9:
            return number
    return "i2"
