"""One request, measured from asking to the end."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from voxcli.audio.chunk import AudioChunk
from voxcli.bench.measure.first_byte import FirstByteTimer
from voxcli.bench.measure.player import starved_seconds
from voxcli.errors import NotFound, RequestError, VoxError
from voxcli.synthesis.request import Engine, Speech, SynthesisRequest
from voxcli.synthesis.timing import Stopwatch

_BYTES_PER_SAMPLE = 2
"""What is made in this process has no bytes; most formats that carry it as it is take so many."""


@runtime_checkable
class Watched(Protocol):
    """An engine to which sound comes as bytes, and which lets somebody watch them come."""

    def stream_watched(self, request: SynthesisRequest, on_bytes: Callable[[bytes], None]) -> Speech:
        """Stream, and tell of encoded sound as soon as it is there, before it is decoded.

        Nothing is told of answers that are none, such as error pages.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What was measured, as far as it came. Seconds are from asking."""

    first_byte_seconds: float | None
    first_chunk_seconds: float | None
    first_sound_seconds: float | None
    total_seconds: float
    audio_seconds: float
    real_time_factor: float | None
    chunks: int
    bytes: int
    starved_seconds: float
    arrivals: tuple[tuple[float, float], ...]
    """For every chunk, when it came and how much sound there was then."""
    error: VoxError | None = None
    """What ended it too early."""


def take_sample(
    engine: Engine,
    request: SynthesisRequest,
    *,
    clock: Callable[[], float],
    check: Callable[[], None],
    prebuffer_seconds: float = 0.0,
) -> Sample:
    """Ask once, and listen to the end.

    Args:
        clock: seconds from any origin.
        check: called between chunks; raises if the work shall stop.
        prebuffer_seconds: of sound that a player would wait for.

    Raises:
        RequestError: this engine cannot be asked for that.
        NotFound: there is no such voice.
    """
    watch, stopwatch = FirstByteTimer(clock), Stopwatch(clock)
    arrivals: list[tuple[float, float]] = []
    samples, error = 0, None
    asked = clock()
    try:
        with closing(stopwatch.timed(_asked(engine, request, watch))) as chunks:
            for chunk in chunks:
                samples += len(chunk.samples)
                arrivals.append((stopwatch.timings.working, stopwatch.timings.audio))
                check()
    except (RequestError, NotFound):
        raise
    except VoxError as stopped:
        error = stopped
    timings = stopwatch.timings
    return Sample(
        # Time between chunks, which is the listener's, is in neither; before the first there is none.
        first_byte_seconds=timings.first_chunk if watch.began is None else watch.began - asked,
        first_chunk_seconds=timings.first_chunk,
        first_sound_seconds=timings.first_sound,
        total_seconds=timings.working if error is None else clock() - asked,
        audio_seconds=timings.audio,
        real_time_factor=timings.real_time_factor,
        chunks=timings.chunks,
        bytes=watch.count or _BYTES_PER_SAMPLE * samples,
        starved_seconds=starved_seconds(arrivals, prebuffer_seconds),
        arrivals=tuple(arrivals),
        error=error,
    )


def _asked(engine: Engine, request: SynthesisRequest, watch: FirstByteTimer) -> Speech:
    if isinstance(engine, Watched):
        yield from engine.stream_watched(request, watch.note)
    else:
        yield from engine.stream(request)


class InOnePiece:
    """Another engine as an `Engine` that streams nothing. It is closed by whoever opened it."""

    def __init__(self, engine: Engine) -> None:
        self.slots = engine.slots
        self.draws_voices = engine.draws_voices
        self._engine = engine

    def stream(self, request: SynthesisRequest) -> Speech:
        with closing(self._engine.stream(request)) as chunks:
            made = list(chunks)
        if made:
            yield AudioChunk(np.concatenate([chunk.samples for chunk in made]), made[0].sample_rate)

    def close(self) -> None:
        """Nothing of its own to give back."""
