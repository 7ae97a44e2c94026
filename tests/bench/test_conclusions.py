"""From a plan to runs, and from runs to conclusions."""

from dataclasses import replace

import pytest

from tests.bench.scripted import WORDS, Clock, Scripted, even, measure, tone
from voxcli.bench.measure.plan import Mode, Text
from voxcli.bench.measure.validity import Fault
from voxcli.bench.report.record import Group, NewProcess, Record
from voxcli.bench.report.tables import all_tables, setup_rows
from voxcli.bench.report.verdict import build_report
from voxcli.errors import RemoteRefused, RequestError
from voxcli.synthesis.request import Speech, SynthesisRequest


def group_of(record: Record, mode: Mode, subject: str = "model", text: str = "short") -> Group:
    [group] = [one for one in build_report(record).groups if (one.mode, one.subject, one.text) == (mode, subject, text)]
    return group


def test_medians_are_exactly_those_of_the_script() -> None:
    clock = Clock()
    firsts = [0.1, 0.1, 0.3, 0.3, 0.2, 0.2]  # each for one stream and one whole
    engine = Scripted(clock, [even(first, 0.1, 4) for first in firsts])
    record = measure(clock, {"model": engine})
    stream, whole = group_of(record, Mode.STREAM), group_of(record, Mode.WHOLE)
    assert stream.metrics["first_byte_seconds"].median == pytest.approx(0.2)
    assert stream.metrics["first_byte_seconds"].sd == pytest.approx(0.1)
    assert whole.metrics["first_byte_seconds"].median == pytest.approx(0.5)
    assert stream.metrics["audio_seconds"].mean == pytest.approx(2.0)
    assert stream.metrics["chunks"].max == 4
    assert whole.metrics["chunks"].max == 1
    [improvement] = build_report(record).improvements
    assert improvement.seconds == pytest.approx(0.3)
    assert improvement.percent == pytest.approx(60)


def test_the_improvement_overall_is_the_mean_of_all_texts() -> None:
    clock = Clock()
    texts = [Text("short", WORDS), Text("long", WORDS * 2)]
    record = measure(clock, {"model": Scripted(clock, [even(0.1, 0.1, 4)])}, texts=texts)
    short, long, overall = build_report(record).improvements
    assert (short.text, long.text, overall.text) == ("short", "long", None)
    assert overall.seconds == pytest.approx((short.seconds + long.seconds) / 2)
    assert overall.percent == pytest.approx(100 * overall.seconds / overall.whole_seconds)


def test_the_same_run_of_every_alternative_has_the_same_seed() -> None:
    clock = Clock()
    record = measure(clock, {"a": Scripted(clock, [even(1, 1, 2)]), "b": Scripted(clock, [even(1, 1, 2)])}, warmup=1)
    assert {(run.number, run.seed) for run in record.runs} == {(0, 0), (1, 1), (2, 2)}


class Seedless(Scripted):
    def stream(self, request: SynthesisRequest) -> Speech:
        if request.sampling.seed is not None:
            raise RequestError("This protocol has no seed.")
        yield from super().stream(request)


def test_who_takes_no_seeds_is_asked_without() -> None:
    clock = Clock()
    record = measure(clock, {"model": Seedless(clock, [even(1, 1, 2)])})
    assert {run.seed for run in record.runs} == {None}
    assert len(record.runs) == 6


def test_failed_runs_are_counted_and_never_averaged_in() -> None:
    clock = Clock()
    good, refused = even(0.5, 0.1, 2), [RemoteRefused("http://a rejected the request (404): Not Found", 404)]
    record = measure(clock, {"model": Scripted(clock, [good, refused, good])}, modes=[Mode.STREAM], runs=6)
    group = group_of(record, Mode.STREAM)
    assert (group.good, group.failed) == (4, 2)
    assert group.metrics["first_byte_seconds"].max == pytest.approx(0.5)
    report = build_report(record)
    assert "2 of 6 runs failed and are not included" in report.verdict
    assert report.remarks[0] == "2 of 6 runs failed (stream): refused. http://a rejected the request (404): Not Found"


def test_when_nothing_goes_well_there_is_no_number() -> None:
    clock = Clock()
    record = measure(clock, {"model": Scripted(clock, [[RemoteRefused("no (404)", 404)]])})
    report = build_report(record)
    assert report.verdict == "No result: all 6 runs failed."
    assert all(not group.metrics for group in report.groups)
    assert {run.failure.fault for run in record.runs if run.failure} == {Fault.REFUSED}


def test_warm_ups_count_nowhere() -> None:
    clock = Clock()
    slow, fast = even(9, 1, 2), even(0.5, 0.1, 2)
    record = measure(clock, {"model": Scripted(clock, [slow, slow, *[fast] * 6])}, warmup=1)
    assert len(record.runs) == 8
    assert group_of(record, Mode.STREAM).metrics["first_byte_seconds"].max == pytest.approx(0.5)


def test_the_verdict_says_who_starves() -> None:
    clock = Clock()
    record = measure(clock, {"model": Scripted(clock, [even(0.5, 1.0, 4)])})
    verdict = build_report(record).verdict
    assert verdict == (
        "With streaming the first byte arrives after 500 ms instead of 3.50 s (86 % sooner), generation takes 1.75 "
        "times as long as playback, and playback would stall in 3 of 3 runs."
    )


def two(first: float, second: float, runs: int = 5) -> Record:
    clock = Clock()
    engines = {name: Scripted(clock, [even(each, 0.1, 4)]) for name, each in (("a", first), ("b", second))}
    return measure(clock, engines, modes=[Mode.STREAM], runs=runs)


@pytest.mark.parametrize(
    ("second", "runs", "said"),
    [(0.15, 5, "b after 150 ms (50 % later)"), (0.1, 5, "b after 100 ms (no difference)"), (0.15, 2, "b after 150 ms")],
)
def test_the_verdict_of_several_sets_each_beside_the_first(second: float, runs: int, said: str) -> None:
    verdict = build_report(two(0.1, second, runs)).verdict
    assert verdict == f"First byte: a after 100 ms, {said}; playback never stalls."


def test_a_server_that_streams_nothing_is_judged_by_the_whole() -> None:
    clock = Clock()
    record = measure(clock, {"model": Scripted(clock, [[RemoteRefused("no", 404)], even(0.5, 0.1, 4)])}, runs=1)
    assert build_report(record).verdict == (
        "The first byte of the whole audio arrives after 800 ms, and generation is 2.5 times as fast as real time; "
        "1 of 2 runs failed and is not included."
    )


def test_a_noisy_and_a_busy_machine_are_said() -> None:
    clock = Clock()
    paces = [0.1, 0.3, 0.1, 0.3, 0.2, 0.2]
    engine = Scripted(clock, [even(0.1, pace, 4) for pace in paces])
    record = measure(clock, {"model": engine}, modes=[Mode.STREAM], runs=6)
    busy = replace(record, machine=replace(record.machine, load=3.0))
    remarks = " ".join(build_report(busy).remarks)
    assert "noisy" in remarks
    assert "busy" in remarks


def test_an_outlier_is_said() -> None:
    clock = Clock()
    engine = Scripted(clock, [even(0.1, 0.1, 4)] * 5 + [even(2.0, 0.1, 4)])
    record = measure(clock, {"model": engine}, modes=[Mode.STREAM], runs=6)
    assert group_of(record, Mode.STREAM).outliers == 1
    assert any("is an outlier" in remark for remark in build_report(record).remarks)


def test_what_was_stopped_early_says_so() -> None:
    clock = Clock()
    record = measure(clock, {"model": Scripted(clock, [[(0.1, tone(1))]])})
    half = replace(record, partial=True, runs=record.runs[:2])
    assert build_report(half).remarks == ("Stopped early, after 2 runs.",)
    cold = NewProcess(subject="model", start_seconds=0.2, load_seconds=1.5, first_chunk_seconds=0.1)
    colds = replace(half, runs=(), subjects=(), cold=(cold, cold))
    report = build_report(colds)
    assert report.verdict == "Only cold starts were measured."
    [table] = all_tables(colds, report)
    assert [row[0] for row in table.rows] == ["1", "2"]
    both = replace(colds, warm=(cold,))
    assert build_report(both).verdict == "Only cold and warm starts were measured."
    assert len(list(all_tables(both, build_report(both)))) == 2


def test_the_time_from_enter_to_the_first_byte_is_said_for_each_kind_of_start() -> None:
    clock = Clock()
    record = measure(clock, {"model": Scripted(clock, [even(0.1, 0.1, 4)])}, modes=[Mode.STREAM])
    cold, warm = (
        [NewProcess(subject="model", start_seconds=0.2, load_seconds=load, first_chunk_seconds=0.3) for load in loads]
        for loads in ((1.5, 2.5, 9.5), (0.0, 0.1, 0.2))
    )
    started = replace(record, cold=tuple(cold), warm=tuple(warm))
    assert build_report(started).verdict.endswith(
        "; from Enter to the first byte of a new process it takes 3.00 s with a cold start and 600 ms with the engine "
        "loaded."
    )
    assert "Enter" not in build_report(record).verdict
    tables = list(all_tables(started, build_report(started)))
    assert [table.title.partition(":")[0] for table in tables[-2:]] == ["Cold start", "Warm start"]
    assert [table.columns[-1] for table in tables[-2:]] == ["Enter to first byte"] * 2


def test_it_is_said_where_a_model_runs() -> None:
    clock = Clock()
    record = measure(clock, {"model": Scripted(clock, [even(0.1, 0.1, 4)])})
    [subject] = record.subjects
    assert dict(setup_rows(record))["model"].startswith("in this process")
    resident = replace(record, subjects=(replace(subject, resident=True),))
    assert dict(setup_rows(resident))["model"].startswith("in the engine that stays loaded")
