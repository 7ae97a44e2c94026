"""The stopwatch, with a clock that we wind ourselves."""

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from voxcli.audio.chunk import AudioChunk
from voxcli.synthesis.request import Speech
from voxcli.synthesis.timing import Stopwatch

RATE = 1000


def tone(seconds: float) -> AudioChunk:
    return AudioChunk(np.full(round(seconds * RATE), 0.5, np.float32), RATE)


def quiet(seconds: float) -> AudioChunk:
    return AudioChunk(np.zeros(round(seconds * RATE), np.float32), RATE)


class Clock:
    """Stands still but for what the engine and the listener take."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def made_slowly(clock: Clock, *steps: tuple[float, AudioChunk]) -> Speech:
    for seconds, chunk in steps:
        clock.now += seconds
        yield chunk


def test_first_chunk_and_first_sound_are_told_apart() -> None:
    clock = Clock()
    stopwatch = Stopwatch(clock)
    for _ in stopwatch.timed(made_slowly(clock, (0.2, quiet(0.5)), (0.1, tone(0.5)), (0.3, tone(1)))):
        clock.now += 7  # the listener's time is not the engine's
    timings = stopwatch.timings
    assert timings.first_chunk == pytest.approx(0.2)
    assert timings.first_sound == pytest.approx(0.3)
    assert timings.working == pytest.approx(0.6)
    assert timings.audio == pytest.approx(2.0)
    assert timings.real_time_factor == pytest.approx(0.3)
    assert timings.chunks == 3


def test_a_player_starves_while_it_waits_beyond_what_it_has() -> None:
    clock = Clock()
    stopwatch = Stopwatch(clock)
    steps = (1.0, tone(0.5)), (0.4, tone(0.5)), (0.9, tone(0.5)), (0.5, tone(0.1))
    for _ in stopwatch.timed(made_slowly(clock, *steps)):
        pass
    assert stopwatch.timings.starved == pytest.approx(0.3)  # had 0.6 s left when it waited 0.9 s


def test_a_steady_engine_starves_nobody() -> None:
    clock = Clock()
    stopwatch = Stopwatch(clock)
    for _ in stopwatch.timed(made_slowly(clock, *[(0.1, tone(0.1001))] * 50)):
        pass
    assert stopwatch.timings.starved == 0


@pytest.mark.parametrize("piece", [1, 3, 7, 10, 64])
def test_sound_is_found_in_chunks_of_any_size(piece: int) -> None:
    samples = np.concatenate([np.zeros(37, np.float32), np.full(50, 0.01, np.float32)])
    chunks = [AudioChunk(samples[i : i + piece], RATE) for i in range(0, len(samples), piece)]
    clock = Clock()
    stopwatch = Stopwatch(clock)
    for _ in stopwatch.timed(made_slowly(clock, *[(len(chunk.samples), chunk) for chunk in chunks])):
        pass
    assert stopwatch.timings.first_sound is not None
    assert 40 <= stopwatch.timings.first_sound <= 50 + piece


def test_an_engine_that_has_begun_before_it_is_asked_has_worked_since_then() -> None:
    clock = Clock()
    stopwatch = Stopwatch(clock)
    stopwatch.begin()
    clock.now += 2
    speech = stopwatch.timed(made_slowly(clock, (0.5, tone(1)), (0.5, tone(1)), (0.5, tone(1))))
    next(speech)
    assert stopwatch.timings.first_chunk == pytest.approx(2.5)
    stopwatch.begin()
    clock.now += 1
    next(speech)
    clock.now += 7  # the listener's time again
    next(speech)
    assert stopwatch.timings.working == pytest.approx(2.5 + 1.5 + 0.5)


def test_silence_never_sounds() -> None:
    clock = Clock()
    stopwatch = Stopwatch(clock)
    list(stopwatch.timed(made_slowly(clock, (1, quiet(3)))))
    assert stopwatch.timings.first_sound is None


def test_streams_one_after_another_add_up() -> None:
    clock = Clock()
    stopwatch = Stopwatch(clock)
    for _ in range(3):
        list(stopwatch.timed(made_slowly(clock, (0.5, tone(1)))))
        clock.now += 60
    assert stopwatch.timings.audio == pytest.approx(3)
    assert stopwatch.timings.working == pytest.approx(1.5)
    assert stopwatch.timings.first_chunk == pytest.approx(0.5)


def test_closing_closes_the_engine() -> None:
    closed = []

    def endless() -> Speech:
        try:
            for _ in itertools.count():
                yield tone(0.1)
        finally:
            closed.append(True)

    speech = Stopwatch().timed(endless())
    next(speech)
    speech.close()
    assert closed == [True]


def test_an_engine_that_makes_nothing_has_no_factor() -> None:
    def nothing() -> Iterator[AudioChunk]:
        return
        yield

    stopwatch = Stopwatch()
    assert list(stopwatch.timed(nothing())) == []  # type: ignore[arg-type]
    assert stopwatch.timings.real_time_factor is None
