"""Playback on machines slower than real time: the run of a job in time that we wind ourselves.

The engine, the loudspeaker's callback and the writer of the text take their time from one clock; what is between them
is what `voxcli say` runs. Each sentence has a level of its own, so that a gap within it is told from one before it.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
import pytest

from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.cli.commands.speak_job import SpeakJob, SpeakRun
from voxcli.cli.console import Console
from voxcli.cli.run_report import Buffering, TextReport
from voxcli.cli.text_source import Source, Whole
from voxcli.devices.playback import Playback
from voxcli.engines.remote.settings import RemoteSettings
from voxcli.engines.settings import EngineSettings
from voxcli.synthesis.pace import speaking_seconds
from voxcli.synthesis.pipeline import Delivery, synthesize
from voxcli.synthesis.request import Abilities, Speech, SynthesisRequest
from voxcli.text.parts import Silence

RATE = 1000
PATCH_SECONDS = 0.16
PREFILL_SECONDS = 0.1
SPLIT_SECONDS = 0.01
_BLOCK = 20
_TAKEN_AT_ONCE, _TAKEN_AT_ONCE_LATE = 100, 310  # samples that PortAudio requests when the device starts

SENTENCES = [
    "It began.",
    "Nobody in the little town by the river had expected the letter to arrive on a Sunday.",
    "The old man read it twice, folded it, and put it away.",
    "Then he went out into the garden, where it had begun to rain, and stood there for a long time without a hat.",
    "In the evening he told us what it said.",
    "It was from his brother, of whom we had heard nothing in the thirty years since he had left for the coast.",
]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class SlowEngine:
    """Takes its time for each patch. Each sentence has a level of its own."""

    slots = 1
    draws_voices = False

    def __init__(self, clock: Clock, speed: Callable[[float], float], error: float = 1.0) -> None:
        """
        Args:
            speed: seconds of audio per second of work, at a time.
            error: true duration of a text, as a multiple of the estimated one.
        """
        self._clock, self._speed, self._error = clock, speed, error
        self.levels = 0

    def stream(self, request: SynthesisRequest) -> Speech:
        self.levels += 1
        seconds = speaking_seconds(request.text) * self._error / request.speed
        self._clock.now += PREFILL_SECONDS
        for patch in range(max(1, round(seconds / PATCH_SECONDS))):
            # Half of the time for a patch is that of its steps.
            share = 0.5 + 0.5 * request.sampling.steps / 10
            self._clock.now += share * PATCH_SECONDS / self._speed(self._clock.now)
            samples = np.full(round(PATCH_SECONDS * RATE), self.levels / 100, np.float32)
            if patch == 0:  # it can be heard before all of it is decoded
                yield AudioChunk(samples[:40], RATE)
                self._clock.now += SPLIT_SECONDS
                samples = samples[40:]
            yield AudioChunk(samples, RATE)

    def close(self) -> None: ...


class DistantEngine(SlowEngine):
    """A slow engine in another process, which works while others do."""

    def stream(self, request: SynthesisRequest) -> Speech:
        began = self._clock.now
        own = Clock()
        for chunk in SlowEngine(own, self._speed, self._error).stream(request):
            self._clock.now = max(self._clock.now, began + own.now)
            yield chunk


class Loudspeaker:
    """A sink that plays as the clock goes on, through the queue of the real one."""

    def __init__(self, clock: Clock, start_buffer: Callable[[float], float], opening_seconds: float = 0.0) -> None:
        """opening_seconds: for which the first chunk waits."""
        self._clock = clock
        self._opening_seconds = opening_seconds
        self._playback = Playback(start_samples=120, start_buffer=lambda waiting: start_buffer(waiting / RATE) * RATE)
        self._played: list[Samples] = []
        self._played_until: float | None = None
        self.heard_at: float | None = None

    @property
    def underruns(self) -> int:
        return self._playback.underruns

    @property
    def samples(self) -> Samples:
        return np.concatenate(self._played)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self._play()
        self._playback.end()
        self._start()
        while not self._playback.finished:
            self._clock.now += 1
            self._play()

    def write(self, chunk: AudioChunk) -> None:
        self._clock.now += self._opening_seconds
        self._opening_seconds = 0.0
        self._play()
        self._playback.put(chunk.samples)
        self._start()

    def idle(self) -> None:
        self._play()
        self._playback.rest()
        self._start()

    def _start(self) -> None:
        if self._played_until is None and self._playback.ready:
            self.heard_at = self._played_until = self._clock.now
            self._fill(_TAKEN_AT_ONCE_LATE if self._playback.most_held > 500 else _TAKEN_AT_ONCE)

    def _play(self) -> None:
        """Play what was due by now."""
        while self._played_until is not None and self._played_until + _BLOCK / RATE <= self._clock.now:
            self._played_until += _BLOCK / RATE
            self._fill(_BLOCK)

    def _fill(self, frames: int) -> None:
        block = np.empty((frames, 1), np.float32)
        self._playback.fill(block)
        self._played.append(block[:, 0])


@dataclass
class Heard:
    started: float
    """Seconds until something was heard."""
    gaps: list[float]
    """Seconds of silence within sentences."""
    pauses: list[float]
    """Seconds of silence between two sentences."""
    underruns: int
    told: list[Buffering]
    steps: list[int]


class Told(TextReport):
    """What is said of the start buffer."""

    def __init__(self) -> None:
        super().__init__(Console(quiet=True))
        self.buffers: list[Buffering] = []

    def buffering(self, wait: Buffering) -> None:
        self.buffers.append(wait)


def heard(
    text: str | Callable[[Clock], Source],
    speed: float | Callable[[float], float],
    *,
    error: float = 1.0,
    rate: float = 1.0,
    gap: float | None = None,
    start_buffer: float | None = None,
    auto_steps: bool = False,
    opening_seconds: float = 0.0,
    settings: EngineSettings | None = None,
) -> Heard:
    clock = Clock()
    job = SpeakJob(
        text=Whole(text) if isinstance(text, str) else text(clock),
        markdown=False,
        split=True,
        engine=settings or EngineSettings(),
        delivery=Delivery(speed=rate, gap_seconds=gap),
        targets=[],
        start_buffer=start_buffer,
        auto_steps=auto_steps,
    )
    report = Told()
    run = SpeakRun(job, report, lambda: None, clock=clock)
    kind = DistantEngine if settings else SlowEngine
    engine = kind(clock, speed if callable(speed) else lambda now: speed, error)
    with Loudspeaker(clock, run.start_buffer, opening_seconds) as sink:
        pieces = synthesize(
            engine, run.parts(sink, Abilities()), job.delivery, stopwatch=run.stopwatch, steps=run.steps
        )
        with closing(pieces):
            run.write(pieces, sink)
    assert sink.heard_at is not None
    steps = run.summary("slow", sink, [], None).steps or []
    return Heard(sink.heard_at, *silences(sink.samples), sink.underruns, report.buffers, steps)


def silences(samples: Samples) -> tuple[list[float], list[float]]:
    """Return the silences within and between sentences, which are runs of one level."""
    sounding = np.flatnonzero(samples)
    within, between = [], []
    for last, next_one in pairwise(sounding.tolist()):
        if next_one - last > 1:
            same = samples[last] == samples[next_one]
            (within if same else between).append((next_one - last - 1) / RATE)
    return within, between


def jittery(speed: float, spread: float, seed: int) -> Callable[[float], float]:
    """Return a speed of which each patch has another, as on a machine that others use too."""
    dice = random.Random(seed)
    return lambda now: speed / dice.lognormvariate(0, spread)


@pytest.mark.parametrize("speed", [0.3, 0.6, 0.9, 0.97, 1.1, 4])
@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("error", [0.7, 1.0, 1.3])
def test_a_text_of_known_length_has_no_gaps_even_if_its_length_is_estimated_wrongly(
    speed: float, count: int, error: float
) -> None:
    text = " ".join(SENTENCES[1 : 1 + count])
    sound = heard(text, speed, error=error)
    assert sound.gaps == []
    assert sound.underruns == 0
    needed = max(0.0, speaking_seconds(text) * 1.3 * (1 / speed - 1))
    if needed < 25:  # otherwise it waits before each sentence
        # Too long for its estimate, it may have to wait for the next sentence, as long as a reader breathes.
        assert max(sound.pauses, default=0) <= 0.6
        assert sound.started <= PREFILL_SECONDS + 1.15 * max(1, error) * needed + 4 * PATCH_SECONDS / speed + 0.5


@pytest.mark.parametrize("speed", [0.4, 0.6, 0.9])
def test_it_does_not_wait_much_longer_than_it_has_to(speed: float) -> None:
    text = " ".join(SENTENCES[1:4])
    seconds = speaking_seconds(text)
    assert heard(text, speed).started >= seconds * (1 / speed - 1)
    assert heard(text, speed).started <= 1.5 * seconds * (1 / speed - 1) + 1


@pytest.mark.parametrize("speed", [0.3, 0.6, 0.9])
def test_it_says_at_which_speed_it_speaks_and_when_it_starts(speed: float) -> None:
    sound = heard(" ".join(SENTENCES[1:3] if speed < 0.8 else SENTENCES[1:5]), speed)
    [told] = sound.told
    assert told.speed == pytest.approx(speed, rel=0.01)
    assert PREFILL_SECONDS + 4 * PATCH_SECONDS / speed + told.seconds == pytest.approx(sound.started, rel=0.3)
    assert not told.by_sentence


def test_what_is_said_fits_a_line() -> None:
    wait = Buffering(speed=0.6, seconds=5.2, started=False, by_sentence=False, on_server=False)
    assert str(wait) == "this machine speaks at 0.6× speed: starting in 5 s, without gaps"
    wait = Buffering(speed=0.97, seconds=3, started=True, by_sentence=True, on_server=True)
    assert str(wait) == "the server speaks at 0.97× speed: going on in 3 s, with pauses between sentences"
    assert len(str(wait)) <= 80


@pytest.mark.parametrize("speed", [1.2, 8])
def test_an_engine_that_is_fast_enough_is_heard_with_its_second_patch(speed: float) -> None:
    sound = heard(" ".join(SENTENCES[1:]), speed)
    assert sound.started == pytest.approx(PREFILL_SECONDS + SPLIT_SECONDS + 2 * PATCH_SECONDS / speed)
    assert (sound.gaps, sound.underruns, sound.told) == ([], 0, [])


@pytest.mark.parametrize("speed", [0.3, 0.6])
def test_a_long_text_pauses_between_sentences_and_has_no_gap_within_one(speed: float) -> None:
    text = " ".join(SENTENCES * 5)
    sound = heard(text, speed)
    assert (sound.gaps, sound.underruns) == ([], 0)
    assert sound.started < 30
    [told] = sound.told
    assert told.by_sentence
    assert told.started  # the first sentence is too short to wait for


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("speed", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("spread", [0.3])
def test_speeds_that_vary_from_patch_to_patch_are_allowed_for(speed: float, spread: float, seed: int) -> None:
    sound = heard(" ".join(SENTENCES), jittery(speed, spread, seed))
    assert sum(sound.gaps) == 0


@pytest.mark.parametrize(("before", "after"), [(0.9, 0.5), (0.6, 0.3), (1.3, 0.6)])
def test_an_engine_that_becomes_slower_pauses_between_sentences(before: float, after: float) -> None:
    text = " ".join(SENTENCES * 2)
    sound = heard(text, lambda now: before if now < 14 else after)
    assert len(sound.gaps) <= 1  # in the sentence in which it happens
    assert sound.pauses


def test_without_a_start_buffer_each_patch_is_a_gap() -> None:
    sound = heard(SENTENCES[1], 0.5, start_buffer=0)
    assert sound.underruns == len(sound.gaps) > 10


def test_a_start_buffer_of_some_seconds_is_waited_for_and_again_after_a_gap() -> None:
    sound = heard(SENTENCES[3], 0.5, start_buffer=1.5)
    assert sound.started == pytest.approx(PREFILL_SECONDS + SPLIT_SECONDS + 10 * PATCH_SECONDS / 0.5)
    assert 0 < len(sound.gaps) <= 4
    assert min(sound.gaps) > 1


@dataclass(frozen=True)
class Written:
    """A text of which a word is written every so many seconds."""

    clock: Clock
    text: str
    word_seconds: float

    def pieces(self, before_waiting: Callable[[], None]) -> Iterator[str | Silence]:
        due = 0.0
        for word in self.text.split(" "):
            due += self.word_seconds
            if due > self.clock.now:
                before_waiting()
                self.clock.now = due
            yield word + " "


@pytest.mark.parametrize("speed", [0.3, 0.6, 0.9, 1.1])
@pytest.mark.parametrize("word_seconds", [0.1, 0.5])
@pytest.mark.parametrize("error", [0.7, 1.3])
def test_a_text_that_still_arrives_is_heard_with_pauses_between_sentences_only(
    speed: float, word_seconds: float, error: float
) -> None:
    text = " ".join(SENTENCES)
    sound = heard(lambda clock: Written(clock, text, word_seconds), speed, error=error)
    assert (sound.gaps, sound.underruns) == ([], 0)
    # The first sentence has two words, and is heard when it is complete.
    assert sound.started <= 3 * word_seconds + PREFILL_SECONDS + 6 * PATCH_SECONDS / speed


@pytest.mark.parametrize("rate", [0.5, 2.0])
@pytest.mark.parametrize("speed", [0.3, 0.6, 0.9])
def test_another_speaking_rate_is_allowed_for(rate: float, speed: float) -> None:
    sound = heard(" ".join(SENTENCES[1:3]), speed, rate=rate)
    assert (sound.gaps, sound.underruns) == ([], 0)
    assert sound.started == pytest.approx(heard(" ".join(SENTENCES[1:3]), speed).started / rate, rel=0.35, abs=0.5)


def test_steps_follow_the_speed_of_the_machine_only_when_asked() -> None:
    text = " ".join(SENTENCES * 2)
    plain, auto = heard(text, 0.8), heard(text, 0.8, auto_steps=True)
    assert plain.steps == [10]
    assert auto.steps[0] == 10
    assert set(auto.steps[4:]) <= {4, 5, 6, 7}
    assert (auto.gaps, auto.underruns) == ([], 0)
    assert auto.started < plain.started / 3
    assert sum(auto.pauses) < 3


@pytest.mark.parametrize("speed", [0.2, 0.6])
def test_silence_between_two_sentences_does_not_count_as_the_next_one(speed: float) -> None:
    text = " ".join(SENTENCES)
    sound = heard(lambda clock: Written(clock, text, 0.1), speed, gap=0.4)
    assert (sound.gaps, sound.underruns) == ([], 0)


@pytest.mark.parametrize("opening_seconds", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("speed", [0.5, 0.8])
def test_what_another_process_makes_while_the_loudspeaker_opens_does_not_seem_made_at_once(
    speed: float, opening_seconds: float
) -> None:
    settings = EngineSettings(remote=RemoteSettings(url="http://127.0.0.1:1"))
    text = " ".join(SENTENCES[1:3])
    sound = heard(text, speed, opening_seconds=opening_seconds, settings=settings)
    assert (sound.gaps, sound.underruns) == ([], 0)
    [told] = sound.told
    assert told.on_server
    assert told.speed == pytest.approx(speed, rel=0.1)
