"""Measurement of one request, from sending it to the end of the response."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.stream_decoding.containers import audio_offset
from voxcli.bench.measure.metrics import starved_seconds
from voxcli.errors import NotFound, RequestError, VoxError
from voxcli.synthesis.request import Engine, Speech, SynthesisRequest
from voxcli.synthesis.timing import Stopwatch

_BYTES_PER_SAMPLE = 2
"""Counted for engines in this process, which make samples and no bytes: the size of 16-bit PCM."""
_MAX_HEADER_BYTES = 1 << 20
"""Pictures in tags are large, but the headers of a stream are not."""


class FirstByteTimer:
    """Counts the bytes of a response, and notes when the first byte of audio arrived."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.count = 0
        self.began: float | None = None
        """Time of the first audio byte, by the clock."""
        self._clock = clock
        self._head = b""

    def note(self, data: bytes) -> None:
        """Take a piece of the response."""
        now = self._clock()
        self.count += len(data)
        if self.began is not None:
            return
        self._head += data
        offset = audio_offset(self._head)
        if offset is None and len(self._head) > _MAX_HEADER_BYTES:
            offset = 0
        if offset is not None and self.count > offset:
            self.began, self._head = now, b""


@runtime_checkable
class ObservableEngine(Protocol):
    """An engine that receives encoded audio, and reports its bytes as they arrive."""

    def stream_watched(self, request: SynthesisRequest, on_bytes: Callable[[bytes], None]) -> Speech:
        """Stream, and call `on_bytes` with the encoded audio as it arrives, before it is decoded.

        Error responses are not reported.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Measurements of one request. Times are in seconds since the request; None if that point was not reached."""

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
    """For each chunk, its time of arrival and the duration of all audio so far."""
    error: VoxError | None = None
    """Error that ended the response too early."""


def take_sample(
    engine: Engine,
    request: SynthesisRequest,
    *,
    clock: Callable[[], float],
    check: Callable[[], None],
    prebuffer_seconds: float = 0.0,
) -> Sample:
    """Make one request and measure it to its end.

    Args:
        clock: returns seconds since any origin.
        check: called between chunks; raises to stop.
        prebuffer_seconds: audio that a player would wait for before it starts.

    Raises:
        RequestError: the engine does not support the request.
        NotFound: there is no such voice.
    """
    first_byte, stopwatch = FirstByteTimer(clock), Stopwatch(clock)
    arrivals: list[tuple[float, float]] = []
    samples, error = 0, None
    started = clock()
    try:
        with closing(stopwatch.timed(_stream(engine, request, first_byte))) as chunks:
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
        # Neither time includes what the consumer does between chunks; before the first chunk it does nothing.
        first_byte_seconds=timings.first_chunk if first_byte.began is None else first_byte.began - started,
        first_chunk_seconds=timings.first_chunk,
        first_sound_seconds=timings.first_sound,
        total_seconds=timings.working if error is None else clock() - started,
        audio_seconds=timings.audio,
        real_time_factor=timings.real_time_factor,
        chunks=timings.chunks,
        bytes=first_byte.count or _BYTES_PER_SAMPLE * samples,
        starved_seconds=starved_seconds(arrivals, prebuffer_seconds),
        arrivals=tuple(arrivals),
        error=error,
    )


def _stream(engine: Engine, request: SynthesisRequest, first_byte: FirstByteTimer) -> Speech:
    if isinstance(engine, ObservableEngine):
        yield from engine.stream_watched(request, first_byte.note)
    else:
        yield from engine.stream(request)


class NonStreamingEngine:
    """An `Engine` that collects the audio of another one and yields it as one chunk. The caller closes the other."""

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
        """Does nothing: the wrapped engine is closed by its owner."""
