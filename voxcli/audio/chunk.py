"""Chunks of samples: the type, and transforms of streams of chunks.

NumPy is loaded by the modules that make or change samples, and not here, so that a request can be sent without it.
"""

import math
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Samples: TypeAlias = "NDArray[np.float32]"
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


def check_rate(chunk: AudioChunk, sample_rate: int) -> None:
    """Raise ValueError for a chunk of another rate: callers that mix rates must resample first."""
    if chunk.sample_rate != sample_rate:
        raise ValueError(f"a chunk at {chunk.sample_rate} Hz among others at {sample_rate} Hz")


def amplified(samples: Samples, gain: float) -> Samples:
    """Return the samples `gain` times as loud, clipped to [-1, 1]; a gain of 1 returns them unchanged."""
    if not (math.isfinite(gain) and gain >= 0):
        raise ValueError(f"a gain is a number from 0 up, not {gain}")
    return samples if gain == 1 else (samples * gain).clip(-1.0, 1.0)


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
