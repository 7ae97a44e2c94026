"""An engine that does what a script says, by a clock that only the script moves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from voxcli.audio.chunk import AudioChunk
from voxcli.bench.measure.plan import Mode, Plan, Text
from voxcli.bench.measure.runner import Bench, RunnerOptions
from voxcli.bench.measure.sample import NonStreamingEngine
from voxcli.bench.report.record import Machine, Record, Settings, Subject
from voxcli.errors import VoxError
from voxcli.synthesis.request import Sampling, Speech, SynthesisRequest

RATE = 1000
WORDS = "Hello there."
MACHINE = Machine(
    voxcli="1.2.3",
    commit="abc123",
    python="CPython 3.11.7",
    system="Linux-6.1",
    cpu="Slow & Steady 1",
    cores=4,
    load=0.5,
    torch="2.7.0",
    cuda="12.8",
    gpu="Fast 9000",
    driver="570.1",
)


class Clock:
    """Stands still unless it is moved."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


def tone(seconds: float) -> AudioChunk:
    return AudioChunk(np.full(round(seconds * RATE), 0.5, np.float32), RATE)


def quiet(seconds: float) -> AudioChunk:
    return AudioChunk(np.zeros(round(seconds * RATE), np.float32), RATE)


Step = tuple[float, AudioChunk]
"""How long it takes, and what comes of it."""


@dataclass
class Scripted:
    """Plays one script after another, and from the beginning again."""

    clock: Clock
    scripts: Sequence[Sequence[Step | VoxError]]
    last: float = 0.0
    """How long it takes to find out that there is no more."""
    requests: list[SynthesisRequest] = field(default_factory=list)
    slots: int = 1
    draws_voices: bool = False

    def stream(self, request: SynthesisRequest) -> Speech:
        script = self.scripts[len(self.requests) % len(self.scripts)]
        self.requests.append(request)
        for step in script:
            if isinstance(step, VoxError):
                raise step
            self.clock.now += step[0]
            yield step[1]
        self.clock.now += self.last

    def close(self) -> None:
        pass


def even(first: float, each: float, chunks: int, seconds: float = 0.5) -> list[Step]:
    """Chunks of one length, after a beginning."""
    return [(first if number == 0 else each, tone(seconds)) for number in range(chunks)]


def measure(
    clock: Clock,
    engines: Mapping[str, Scripted],
    *,
    texts: Sequence[Text] = (Text("short", WORDS),),
    modes: Sequence[Mode] = (Mode.STREAM, Mode.WHOLE),
    runs: int = 3,
    warmup: int = 0,
    prebuffer: float = 0.0,
) -> Record:
    """Measure all of them one by one."""
    words = {text.name: text.text for text in texts}
    bench = Bench(
        {name: {Mode.STREAM: engine, Mode.WHOLE: NonStreamingEngine(engine)} for name, engine in engines.items()},
        RunnerOptions(
            new_request=lambda asked, seed: SynthesisRequest(text=words[asked.text], sampling=Sampling(seed=seed)),
            clock=clock,
            prebuffer_seconds=prebuffer,
        ),
    )
    plan = Plan(list(engines), list(words), modes, runs, warmup)
    made = [bench.run(ask, lambda: None) for ask in plan.one_by_one()]
    return record_of(made, texts, list(engines), modes=modes, runs=runs, warmup=warmup, prebuffer=prebuffer)


def record_of(
    made: Sequence[object],
    texts: Sequence[Text],
    subjects: Sequence[str],
    *,
    modes: Sequence[Mode],
    runs: int = 3,
    warmup: int = 0,
    prebuffer: float = 0.0,
    concurrency: Sequence[int] = (),
) -> Record:
    """Put runs into a record whose circumstances are always the same."""
    return Record(
        created="2026-01-02T03:04:05+00:00",
        command="voxcli bench short",
        partial=False,
        took_seconds=12.5,
        settings=Settings(
            modes=tuple(modes),
            runs=runs,
            warmup=warmup,
            requests=None,
            concurrency=tuple(concurrency),
            rates=(),
            prebuffer_seconds=prebuffer,
            steps=10,
            guidance=2.0,
            seed=0,
            speed=1.0,
            voice=None,
        ),
        machine=MACHINE,
        texts=tuple(texts),
        subjects=tuple(Subject(name=name, model="model", device="cuda:0", dtype="bfloat16") for name in subjects),
        runs=tuple(made),  # type: ignore[arg-type]
    )
