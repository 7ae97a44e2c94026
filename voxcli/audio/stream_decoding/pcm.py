"""Samples as plain numbers, one behind another."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.audio.stream_decoding.byte_buffer import Inbox, Sounding

_ENDLESS = 1 << 62

_LEVEL = 1.5
"""Nobody's floats are louder, even where they overshoot."""
_FAINT = 1e-7
"""Below what 24 bits can say. Pairs of small integers read as floats lie there, or are no numbers."""
_JUDGED = 1024
"""Bytes by which numbers are told apart."""


@dataclass(frozen=True, slots=True)
class Coding:
    """How samples are written. Channels take turns."""

    number: str
    """As numpy calls it; "i3" has 24 bits."""
    channels: int = 1

    @property
    def frame_bytes(self) -> int:
        return int(self.number[1]) * self.channels


def pcm_chunks(inbox: Inbox, coding: Coding, sample_rate: int, limit: int = _ENDLESS) -> Sounding:
    """Yield the samples in the next `limit` bytes. What is left of a frame at their end is skipped."""
    while data := (yield from inbox.take_units(coding.frame_bytes, limit)):
        limit -= len(data)
        yield AudioChunk(to_samples(data, coding), sample_rate)
    yield from inbox.skip(min(limit, coding.frame_bytes - 1))


def raw_chunks(inbox: Inbox, sample_rate: int) -> Sounding:
    """Yield samples of which nothing is said but their rate: int16, or floats as old VoxCPM servers send."""
    number = _number_of((yield from inbox.peek(_JUDGED)))
    yield from pcm_chunks(inbox, Coding(number), sample_rate)


def to_samples(data: bytes, coding: Coding) -> Samples:
    """Return whole frames as mono, the mean of the channels, within [-1, 1]. What is not a number becomes silence."""
    kind = coding.number[0]
    if coding.number == "i2":
        samples = np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768)
    elif kind == "f":
        with np.errstate(invalid="ignore", over="ignore"):  # a stranger's floats may be signalling NaNs
            numbers = np.nan_to_num(np.frombuffer(data, "<" + coding.number).astype(np.float64), nan=0.0)
        samples = np.clip(numbers, -1.0, 1.0).astype(np.float32)
    else:
        samples = (_to_int32(data, coding.number) / 2.0**31).astype(np.float32)
    if coding.channels == 1:
        return samples
    return np.asarray(samples.reshape(-1, coding.channels).mean(axis=1), np.float32)


def _to_int32(data: bytes, number: str) -> NDArray[np.int32]:
    """Return integers at the scale of 32 bits."""
    if number == "i4":
        return np.frombuffer(data, "<i4")
    size = int(number[1])
    wide = np.zeros((len(data) // size, 4), np.uint8)
    wide[:, 4 - size :] = np.frombuffer(data, np.uint8).reshape(-1, size)
    if number == "u1":
        wide[:, 3] ^= 0x80  # 8-bit samples have their zero in the middle
    return wide.view("<i4").ravel()


def _number_of(beginning: bytes) -> str:
    """Return "f8", "f4" or "i2", whichever these bytes make sense as."""
    for number, size in (("f8", 8), ("f4", 4)):
        whole = len(beginning) - len(beginning) % size
        with np.errstate(invalid="ignore"):
            values = np.abs(np.frombuffer(beginning[:whole], "<" + number).astype(np.float64))
        if len(values) > 16 and np.all(values <= _LEVEL) and np.mean(values > _FAINT) > 0.9:
            return number
    return "i2"
