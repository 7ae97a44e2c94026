"""Measurement loop of `voxcli bench`, which a signal stops with partial results."""

import shlex
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import product

from voxcli.bench.measure.load import under_load
from voxcli.bench.measure.machine import find_machine
from voxcli.bench.measure.plan import BenchRequest, Level, Plan, Text
from voxcli.bench.measure.runner import Bench, RunnerOptions
from voxcli.bench.report.record import NewProcess, Record, Run, Settings
from voxcli.cli.commands.bench.new_process import start_process
from voxcli.cli.commands.bench.subjects import Candidate, OpenSubject, opened, short_name
from voxcli.cli.commands.bench.view import Meter, shown_progress
from voxcli.cli.commands.chosen import engine_name
from voxcli.cli.console import Console
from voxcli.cli.exits import Terminated
from voxcli.synthesis.request import Sampling, SynthesisRequest, Voice

_AT_LEAST = 20
"""Smallest length in characters that a text counts for in the progress bar, as each run has a fixed cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Everything that `voxcli bench` was asked to measure."""

    texts: Sequence[Text]
    subjects: Sequence[Candidate]
    settings: Settings
    levels: Sequence[Level]
    new_request: Callable[[str, Voice, Sampling], SynthesisRequest]
    """Makes the request for a text."""
    sampling: Sampling
    """Its seed, if there is one, is that of the first run."""
    cold_starts: int
    warm_starts: int
    """Also says that the engine which stays loaded is measured, and not a model in this process."""
    say_arguments: Sequence[str]
    """Of `voxcli say`, without --remote."""


@dataclass(slots=True)
class Measured:
    """Results so far."""

    subjects: Sequence[OpenSubject]
    runs: list[Run]
    cold: list[NewProcess]
    warm: list[NewProcess]
    seedless: set[str]
    stopped: BaseException | None = None


def measure(job: Job, console: Console, check: Callable[[], None]) -> tuple[Record, BaseException | None]:
    """Measure, and return the record, and the exception that stopped it early, if any.

    Args:
        check: raises if the work has to stop.

    Raises:
        VoxError: an engine cannot be opened or does not support the request.
    """
    created, started = datetime.now().astimezone(), time.perf_counter()
    machine = find_machine()
    measured = _measure_all(job, console, check)
    subjects = [replace(one.subject, seeded=one.subject.name not in measured.seedless) for one in measured.subjects]
    record = Record(
        created=created.isoformat(timespec="seconds"),
        command=shlex.join(["voxcli", *sys.argv[1:]]),
        partial=measured.stopped is not None,
        took_seconds=round(time.perf_counter() - started, 3),
        settings=job.settings,
        machine=machine,
        texts=tuple(job.texts),
        subjects=tuple(subjects),
        runs=tuple(measured.runs),
        cold=tuple(measured.cold),
        warm=tuple(measured.warm),
    )
    return record, measured.stopped


def _measure_all(job: Job, console: Console, check: Callable[[], None]) -> Measured:
    cold: list[NewProcess] = []
    warm: list[NewProcess] = []
    try:
        # First, while nothing is loaded in this process that would compete for memory.
        cold += _start_processes(job, console, loads=True)
        console.note("loading: " + ", ".join(engine_name(candidate.engine) for candidate in job.subjects))
        with opened(job.subjects, job.settings.modes, console, at_once=_at_once(job.levels), check=check) as subjects:
            warm += _start_processes(job, console, loads=False)
            return _measure_loaded(job, subjects, (cold, warm), console, check)
    except (KeyboardInterrupt, Terminated) as stopped:
        return Measured([], [], cold, warm, set(), stopped)


def _start_processes(job: Job, console: Console, *, loads: bool) -> Iterator[NewProcess]:
    """Run new processes, which load the model themselves or speak through the engine that stays loaded."""
    times, kind = (job.cold_starts, "cold") if loads else (job.warm_starts, "warm")
    for number, candidate in product(range(times), job.subjects):
        engine = candidate.engine
        server = ["--remote", candidate.server or (engine.remote.url if engine.remote else "")]
        how = [] if engine.remote else ["--no-warm"] if loads else ["--keep-alive", f"{engine.keep_alive:g}"]
        console.note(f"{kind} start {number + 1} of {times}: {engine_name(engine)}")
        yield start_process(short_name(engine), [*job.say_arguments, *server, *how], job.texts[0].text)


def _at_once(levels: Sequence[Level]) -> bool:
    """Whether requests are sent while others are running."""
    return any(level.rate or (level.concurrency or 0) > 1 for level in levels)


def _measure_loaded(
    job: Job,
    subjects: Sequence[OpenSubject],
    starts: tuple[list[NewProcess], list[NewProcess]],
    console: Console,
    check: Callable[[], None],
) -> Measured:
    by_name = {text.name: text.text for text in job.texts}
    voices = {one.subject.name: candidate.voice for one, candidate in zip(subjects, job.subjects, strict=True)}
    bench = Bench(
        {one.subject.name: one.engines for one in subjects},
        RunnerOptions(
            new_request=lambda asked, seed: job.new_request(
                by_name[asked.text], voices[asked.subject], replace(job.sampling, seed=seed)
            ),
            clock=time.perf_counter,
            seed=job.sampling.seed,
            prebuffer_seconds=job.settings.prebuffer_seconds,
        ),
    )
    plan = Plan(
        [one.subject.name for one in subjects],
        [text.name for text in job.texts],
        job.settings.modes,
        job.settings.runs,
        job.settings.warmup,
    )
    measured = Measured(subjects, [], *starts, bench.seedless)
    try:
        with closing(_made(job, plan, bench, console, check)) as runs:
            for run in runs:
                measured.runs.append(run)
    except (KeyboardInterrupt, Terminated) as stopped:
        measured.stopped = stopped
    return measured


def _made(job: Job, plan: Plan, bench: Bench, console: Console, check: Callable[[], None]) -> Generator[Run]:
    return (_under_load if job.levels else _one_by_one)(job, plan, bench, console, check)


def _one_by_one(job: Job, plan: Plan, bench: Bench, console: Console, check: Callable[[], None]) -> Generator[Run]:
    asks = plan.one_by_one()
    sizes = {text.name: max(_AT_LEAST, len(text.text)) for text in job.texts}
    with shown_progress(console, sum(sizes[ask.text] for ask in asks)) as meter:
        for ask in asks:
            meter.begin(_describe(ask, plan))
            yield bench.run(ask, _checking(meter, check))
            meter.advance(sizes[ask.text])
            check()


def _under_load(job: Job, plan: Plan, bench: Bench, console: Console, check: Callable[[], None]) -> Generator[Run]:
    tests = plan.under_load(job.levels, job.settings.requests)
    with shown_progress(console, sum(len(test.warmup) + len(test.requests) for test in tests)) as meter:
        for test in tests:
            meter.begin(_describe(test.requests[0], plan))
            with closing(under_load(test, bench.run, _checking(meter, check), job.settings.seed)) as runs:
                for run in runs:
                    yield run
                    meter.advance(1)


def _checking(meter: Meter, check: Callable[[], None]) -> Callable[[], None]:
    def check_and_redraw() -> None:
        check()
        meter.redraw()

    return check_and_redraw


def _describe(ask: BenchRequest, plan: Plan) -> str:
    who = [ask.subject] if len(plan.subjects) > 1 else []
    what = str(ask.level) if ask.level else ask.text
    return ", ".join([*who, what, str(ask.mode), *(["warm-up"] if ask.warmup else [])])
