"""One request, by a clock that we wind ourselves."""

from collections.abc import Callable

import pytest

from tests.bench.scripted import RATE, WORDS, Clock, Scripted, Step, even, quiet, tone
from voxcli.bench.measure.sample import NonStreamingEngine, Sample, take_sample
from voxcli.errors import NotFound, RemoteCut, RequestError, VoxError
from voxcli.synthesis.request import Speech, SynthesisRequest

REQUEST = SynthesisRequest(text=WORDS)


def sample(*script: Step | VoxError, last: float = 0.0, whole: bool = False, prebuffer: float = 0.0) -> Sample:
    clock = Clock()
    engine = Scripted(clock, [script], last)
    return take_sample(
        NonStreamingEngine(engine) if whole else engine,
        REQUEST,
        clock=clock,
        check=lambda: None,
        prebuffer_seconds=prebuffer,
    )


def test_every_number_is_exactly_what_the_script_makes_it() -> None:
    taken = sample((0.2, quiet(0.5)), (0.1, tone(0.5)), (0.3, tone(1)), last=0.4)
    assert taken.first_byte_seconds == pytest.approx(0.2)
    assert taken.first_chunk_seconds == pytest.approx(0.2)
    assert taken.first_sound_seconds == pytest.approx(0.3)
    assert taken.total_seconds == pytest.approx(1.0)
    assert taken.audio_seconds == pytest.approx(2.0)
    assert taken.real_time_factor == pytest.approx(0.5)
    assert taken.chunks == 3
    assert taken.bytes == 2 * 2 * RATE
    assert taken.starved_seconds == 0
    assert [pytest.approx(pair) for pair in taken.arrivals] == [(0.2, 0.5), (0.3, 1.0), (0.6, 2.0)]
    assert taken.error is None


def test_who_waits_for_the_whole_gets_the_same_sound_in_one_piece_at_the_end() -> None:
    script = (0.2, quiet(0.5)), (0.1, tone(0.5)), (0.3, tone(1))
    streamed, whole = sample(*script, last=0.4), sample(*script, last=0.4, whole=True)
    assert whole.first_byte_seconds == whole.first_chunk_seconds == whole.first_sound_seconds == pytest.approx(1.0)
    assert whole.total_seconds == pytest.approx(streamed.total_seconds)
    assert whole.audio_seconds == streamed.audio_seconds
    assert whole.bytes == streamed.bytes
    assert whole.chunks == 1


def test_a_player_starves_by_what_is_missing_and_less_with_a_prebuffer() -> None:
    script = (1.0, tone(0.5)), (0.4, tone(0.5)), (0.9, tone(0.5)), (0.5, tone(0.1))
    assert sample(*script).starved_seconds == pytest.approx(0.3)
    assert sample(*script, prebuffer=0.8).starved_seconds == 0


def test_an_engine_that_breaks_leaves_what_came_and_why() -> None:
    taken = sample((0.2, tone(0.5)), RemoteCut("gone"))
    assert isinstance(taken.error, RemoteCut)
    assert taken.audio_seconds == pytest.approx(0.5)


@pytest.mark.parametrize("error", [RequestError("no seed"), NotFound("no voice")])
def test_what_nobody_can_be_asked_for_is_no_measurement(error: VoxError) -> None:
    with pytest.raises(type(error)):
        sample(error)


def test_the_first_byte_of_a_watched_engine_is_the_first_one_behind_the_header() -> None:
    clock = Clock()

    class Server(Scripted):
        def stream_watched(self, request: SynthesisRequest, on_bytes: Callable[[bytes], None]) -> Speech:
            on_bytes(b"RIFF\xff\xff\xff\xffWAVEdata\xff\xff\xff\xff")
            clock.now += 0.7
            on_bytes(b"\0\0\0")
            clock.now += 0.1
            yield from self.stream(request)

    taken = take_sample(Server(clock, [even(0.2, 0.1, 2)]), REQUEST, clock=clock, check=lambda: None)
    assert taken.first_byte_seconds == pytest.approx(0.7)
    assert taken.first_chunk_seconds == pytest.approx(1.0)
    assert taken.bytes == 23


def test_stopping_closes_the_engine() -> None:
    clock = Clock()
    closed = []

    class Watchful(Scripted):
        def stream(self, request: SynthesisRequest) -> Speech:
            try:
                yield from super().stream(request)
            finally:
                closed.append(True)

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take_sample(Watchful(clock, [even(1, 1, 3)]), REQUEST, clock=clock, check=stop)
    assert closed == [True]
