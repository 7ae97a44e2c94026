"""Machine slower than real time: the run of a job in time that we wind ourselves.

The engine, the loudspeaker's callback and the writer of the text take their time from one clock; what is between them
is what `voxcli say` runs. Each sentence has a level of its own, so that a gap within it is told from one before it.
"""

import random
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np

from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.cli.commands.speak_job import SpeakJob, SpeakRun
from voxcli.cli.console import Console
from voxcli.cli.reports.text import Buffering, TextReport
from voxcli.cli.text_source import Source, Whole
from voxcli.devices.playback import Playback
from voxcli.engines.settings import EngineSettings
from voxcli.synthesis.pace import speaking_seconds
from voxcli.synthesis.pipeline import Delivery, synthesize
from voxcli.synthesis.request import Abilities, SentenceMark, Speech, SynthesisRequest

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
        if failure[0]:
            return  # what never started to play would never end
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

    def mark(self, mark: SentenceMark) -> None: ...

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
