"""Chunks of samples: the type, 16-bit PCM, gain, and transforms of streams of chunks."""

import math
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Samples: TypeAlias = NDArray[np.float32]
"""Mono samples in [-1, 1], shape (n,)."""


@dataclass(frozen=True, slots=True, eq=False)
class AudioChunk:
    """A run of mono samples. All chunks of one stream have the same rate."""

    samples: Samples
    sample_rate: int
    """Hz."""

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.sample_rate


def silence(seconds: float, sample_rate: int) -> AudioChunk:
    """Return `seconds` of silence."""
    return AudioChunk(np.zeros(round(seconds * sample_rate), np.float32), sample_rate)


def check_rate(chunk: AudioChunk, sample_rate: int) -> None:
    """Raise ValueError for a chunk of another rate: callers that mix rates must resample first."""
    if chunk.sample_rate != sample_rate:
        raise ValueError(f"a chunk at {chunk.sample_rate} Hz among others at {sample_rate} Hz")


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


class Transform(Protocol):
    """Turns samples into other samples, piece by piece; the joined output does not depend on the cuts."""

    def feed(self, samples: Samples) -> Samples:
        """Return what is ready, which may be nothing."""
        ...

    def finish(self) -> Samples:
        """Return the rest. The transform cannot be used again."""
        ...


def transformed(
    chunks: Iterator[AudioChunk], new_transform: Callable[[int], Transform], sample_rate: int | None = None
) -> Generator[AudioChunk]:
    """Yield a transformed stream, never an empty chunk. Closing it closes `chunks`.

    Args:
        chunks: all at one rate, else ValueError.
        new_transform: makes the transform for that rate.
        sample_rate: Hz, of the output; None if it stays the same.
    """
    transform: Transform | None = None
    rate = 0
    with closing_source(chunks):
        for chunk in chunks:
            rate = rate or chunk.sample_rate
            check_rate(chunk, rate)
            transform = transform or new_transform(rate)
            if len(ready := transform.feed(chunk.samples)):
                yield AudioChunk(ready, sample_rate or rate)
        if transform and len(rest := transform.finish()):
            yield AudioChunk(rest, sample_rate or rate)


def closing_source(chunks: Iterator[object]) -> AbstractContextManager[object]:
    """Close a stream on exit, if it can be closed, so that closing the last generator of a chain cancels the first."""
    return closing(chunks) if isinstance(chunks, Generator) else nullcontext()
