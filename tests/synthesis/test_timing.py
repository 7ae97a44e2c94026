"""The stopwatch, with a clock that we wind ourselves."""

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from voxcli.audio.chunk import AudioChunk
from voxcli.synthesis.request import Speech
from voxcli.synthesis.timing import StartBuffer, Stopwatch, speaking_seconds

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


PATCH_SECONDS = 0.16


def played_gaps(speed: float, first: float, seconds: float, estimated: float | None) -> tuple[float, float]:
    """Play speech of an engine as it is made; return when playback starts, and for how long it stalls.

    Args:
        speed: seconds of audio per second of work.
        first: seconds until the first chunk.
        estimated: duration of the text as known beforehand.
    """
    clock = Clock()
    stopwatch = Stopwatch(clock)
    buffer = StartBuffer(stopwatch.timings, text_seconds=estimated)
    count = round(seconds / PATCH_SECONDS)
    steps = [(first, tone(PATCH_SECONDS))] + [(PATCH_SECONDS / speed, tone(PATCH_SECONDS))] * (count - 1)
    started, stalled = None, 0.0
    for _ in stopwatch.timed(made_slowly(clock, *steps)):
        queued = stopwatch.timings.audio
        if started is None and queued >= buffer.needed(queued):
            started = clock.now
        elif started is not None:
            before = queued - PATCH_SECONDS  # what was there while this chunk was made
            stalled = max(stalled, clock.now - started - before)
    return (clock.now if started is None else started) - 100.0, stalled


@pytest.mark.parametrize("speed", [0.2, 0.4, 0.6, 0.8, 0.95, 1.05, 2, 50])
@pytest.mark.parametrize("seconds", [0.5, 3, 20])
@pytest.mark.parametrize("error", [0.9, 1.0, 1.5])
def test_playback_waits_as_long_as_it_has_to_and_then_never_stalls(speed: float, seconds: float, error: float) -> None:
    started, stalled = played_gaps(speed, first=0.2, seconds=seconds, estimated=seconds * error)
    if seconds * (1 / speed - 1) < 20:  # otherwise it waits before each sentence
        assert stalled < 1e-6
    needed = max(0.0, seconds * error * (1 / speed - 1))
    assert started <= 0.2 + 1.25 * needed + 3 * PATCH_SECONDS / speed


def test_an_engine_that_is_fast_enough_is_heard_with_its_first_chunk() -> None:
    assert played_gaps(1.5, first=0.1, seconds=5, estimated=5)[0] == pytest.approx(0.1)
    assert played_gaps(1.5, first=0.5, seconds=5, estimated=5)[0] == pytest.approx(0.5 + PATCH_SECONDS / 1.5)


@pytest.mark.parametrize("known", [None, 600.0])
def test_a_long_or_unfinished_text_waits_before_each_sentence(known: float | None) -> None:
    clock = Clock()
    stopwatch = Stopwatch(clock)
    buffer = StartBuffer(stopwatch.timings, text_seconds=known)
    buffer.begin_part("x" * round(3 / 0.065))
    needed = 0.0
    for _ in stopwatch.timed(made_slowly(clock, *[(0.32, tone(PATCH_SECONDS))] * 5)):
        needed = buffer.needed(stopwatch.timings.audio)
    assert buffer.by_sentence
    assert buffer.speed == pytest.approx(0.5)
    assert needed == pytest.approx(3 * 1.15 - 0.8 + PATCH_SECONDS, rel=0.05)


def test_the_estimated_length_of_a_text() -> None:
    assert 2 < speaking_seconds("今天天气很好，我们去公园。") < 4
    assert 2 < speaking_seconds("The weather is fine today, so we went out.") < 4
