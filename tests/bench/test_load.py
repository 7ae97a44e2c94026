"""Many requests at once, to an engine that really takes its time."""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from itertools import pairwise

import pytest

from tests.bench.scripted import WORDS, Clock, Scripted, even, measure, record_of
from tests.server.tone import ToneEngine, until
from voxcli.bench.measure.load import under_load
from voxcli.bench.measure.plan import Level, LoadTest, Mode, Plan, Text
from voxcli.bench.measure.runner import Bench, RunnerOptions
from voxcli.bench.measure.validity import Failure, Fault
from voxcli.bench.report.markdown import to_markdown
from voxcli.bench.report.record import Record, Run
from voxcli.bench.report.verdict import build_report, highest_sustained
from voxcli.errors import RequestError
from voxcli.synthesis.request import Speech, SynthesisRequest


def bench_of(engine: ToneEngine) -> Bench:
    options = RunnerOptions(new_request=lambda name, seed: SynthesisRequest(text=WORDS), clock=time.perf_counter)
    return Bench({"tone": {Mode.STREAM: engine}}, options)


def plan(level: Level, *, requests: int, warmup: int = 0) -> LoadTest:
    [test] = Plan(["tone"], ["short"], [Mode.STREAM], 5, warmup).under_load([level], requests)
    return test


def test_as_many_as_asked_for_run_at_any_time_and_no_more() -> None:
    engine = ToneEngine(slots=8, pace=0.05)
    runs = list(under_load(plan(Level(concurrency=3), requests=9), bench_of(engine).run, lambda: None))
    assert len(runs) == 9
    assert engine.most_running == 3
    assert {run.number for run in runs} == set(range(9))


def test_warm_ups_run_before_everything_else() -> None:
    engine = ToneEngine(slots=8)
    test = plan(Level(concurrency=2), requests=4, warmup=1)
    runs = list(under_load(test, bench_of(engine).run, lambda: None))
    assert [run.warmup for run in runs] == [True] * 2 + [False] * 4


def test_an_open_loop_does_not_wait_for_those_before() -> None:
    engine = ToneEngine(slots=64, chunks=1, hold_at=0)
    test = plan(Level(rate=200.0), requests=6)
    threading.Thread(target=_let_go_when_all_are_in, args=(engine, 6)).start()
    runs = list(under_load(test, bench_of(engine).run, lambda: None))
    assert engine.most_running == 6  # none was answered before all had come
    assert len(runs) == 6
    starts = sorted(run.started_seconds for run in runs)
    assert all(later >= earlier for earlier, later in pairwise(starts))


def _let_go_when_all_are_in(engine: ToneEngine, count: int) -> None:
    until(lambda: engine.running == count)
    engine.go.set()


def test_stopping_ends_the_streams_at_their_next_chunk() -> None:
    engine = ToneEngine(slots=8, chunks=10_000, pace=0.01)
    checks = iter([None] * 2)

    def check() -> None:
        if next(checks, "stop") == "stop":
            raise KeyboardInterrupt

    runs = under_load(plan(Level(concurrency=4), requests=8), bench_of(engine).run, check)
    with pytest.raises(KeyboardInterrupt), closing(runs):
        list(runs)
    assert engine.idle.wait(10)


def test_what_nobody_can_be_asked_for_ends_it() -> None:
    class Refusing(ToneEngine):
        def stream(self, request: SynthesisRequest) -> Speech:
            raise RequestError("no such thing")
            yield

    with pytest.raises(RequestError, match="no such thing"):
        list(under_load(plan(Level(concurrency=2), requests=4), bench_of(Refusing()).run, lambda: None))


def loaded(*levels: tuple[int, Callable[[int], float]]) -> Record:
    """Runs at several levels, of which each starves by what a function of its number says."""
    clock = Clock()
    [run] = measure(clock, {"model": Scripted(clock, [even(0.5, 0.1, 4)])}, modes=[Mode.STREAM], runs=1).runs
    runs: list[Run] = []
    for concurrency, starves in levels:
        for number in range(100):
            level = Level(concurrency=concurrency)
            again = replace(
                run, level=level, number=number, started_seconds=float(number), starved_seconds=starves(number)
            )
            runs.append(again)
    return record_of(
        runs, [Text("short", WORDS)], ["model"], modes=[Mode.STREAM], concurrency=[level for level, _ in levels]
    )


def test_the_highest_level_is_the_last_before_one_stream_in_a_hundred_too_many_starves() -> None:
    record = loaded(
        (1, lambda n: 0.0), (4, lambda n: 0.2 * (n == 5)), (16, lambda n: 0.2 * (n < 2)), (64, lambda n: 0.0)
    )
    report = build_report(record)
    sustained = highest_sustained(report.groups, "model")
    assert sustained is not None
    assert sustained.level == Level(concurrency=4)
    assert [group.starved for group in report.groups] == [0, 1, 2, 0]
    assert report.verdict == (
        "Up to 4 at once, but not more, at least 99 % of the streams never stall; at that load the first byte arrives "
        "after 500 ms and 2 s of audio are generated per second."
    )


def test_sound_per_second_counts_all_streams_together() -> None:
    [group] = build_report(loaded((4, lambda n: 0.0))).groups
    assert group.audio_per_second == pytest.approx(100 * 2.0 / (99 + 0.8))
    assert group.requests_per_second == pytest.approx(100 / (99 + 0.8))
    assert group.metrics["first_byte_seconds"].p99 == pytest.approx(0.5)


def test_who_waits_here_for_a_turn_is_said() -> None:
    record = loaded((4, lambda n: 0.0))
    one = replace(record, subjects=(replace(record.subjects[0], slots=1),))
    assert not any("at a time" in remark for remark in build_report(record).remarks)
    assert any("model runs 1 at a time" in remark for remark in build_report(one).remarks)


def test_streams_that_fail_are_not_said_to_run_dry() -> None:
    record = loaded((2, lambda n: 0.0))
    failed = [replace(run, failure=Failure(Fault.REFUSED, "busy") if run.number < 50 else None) for run in record.runs]
    verdict = build_report(replace(record, runs=tuple(failed))).verdict
    assert verdict.startswith("Already with 2 at once, 50 % of the streams stall or fail;")


def test_every_number_under_load_stands_in_markdown() -> None:
    record = loaded((1, lambda n: 0.0), (4, lambda n: 0.0))
    written = to_markdown(record, build_report(record))
    assert written.count("| 4 at once | stream | 500 ms | 500 ms | 500 ± 0 ms |") == 3  # first byte, chunk, sound


def test_a_level_that_nobody_bears_is_said() -> None:
    report = build_report(loaded((2, lambda n: 0.2 * (n % 2))))
    assert report.verdict.startswith("Already with 2 at once, 50 % of the streams stall;")
