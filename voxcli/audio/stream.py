"""Streams of chunks: transforming their samples, and closing them."""

from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from typing import Protocol

from voxcli.audio.chunk import AudioChunk, Samples, check_rate


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
