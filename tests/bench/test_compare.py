"""Then and now, and conditions under which now is not good enough."""

from dataclasses import replace

import pytest

from tests.bench.scripted import WORDS, Clock, Scripted, even, measure
from tests.refusals import refused
from voxcli.bench.measure.metrics import FIRST_BYTE
from voxcli.bench.measure.plan import Mode, Text
from voxcli.bench.report.compare import (
    Change,
    check_comparable,
    find_changes,
    find_differences,
    find_pairs,
    side_by_side,
)
from voxcli.bench.report.gate import check_conditions, find_breaches, parse_condition
from voxcli.bench.report.record import Record
from voxcli.errors import RemoteCut, RequestError

WOBBLE = (0.98, 1.0, 1.02, 0.99, 1.01, 1.0)


def bench(
    first: float, *, runs: int = 6, name: str = "model", text: str = "short", words: str = WORDS, fail: int = 0
) -> Record:
    clock = Clock()
    scripts = [even(first * wobble, 0.1, 4) for wobble in WOBBLE][: runs - fail] + [[RemoteCut("gone")]] * fail
    return measure(clock, {name: Scripted(clock, scripts)}, modes=[Mode.STREAM], runs=runs, texts=[Text(text, words)])


def only_change(base: Record, new: Record, statistic: str = "p50") -> Change:
    [change] = find_changes(find_pairs(base, new), [FIRST_BYTE], statistic)
    return change


def test_the_same_is_no_difference() -> None:
    change = only_change(bench(0.1), bench(0.1))
    assert change.description == "no difference"
    assert change.ratio == pytest.approx(1)


def test_what_differs_beyond_chance_is_said_with_where_the_ratio_lies() -> None:
    change = only_change(bench(0.1), bench(0.15))
    assert change.description == "50 % more"
    assert change.low is not None
    assert change.high is not None
    assert 1.4 < change.low < 1.5 < change.high < 1.6
    assert only_change(bench(0.15), bench(0.1)).description == "33 % less"


def test_what_seems_to_differ_but_may_not_is_not_called_the_same() -> None:
    clock = Clock()
    wild = [Scripted(clock, [even(first, 0.1, 4) for first in firsts]) for firsts in ((0.1, 0.4), (0.3, 0.1, 0.4))]
    base, new = (measure(clock, {"model": engine}, modes=[Mode.STREAM], runs=6) for engine in wild)
    change = only_change(base, new)
    assert change.ratio == pytest.approx(1.2)
    assert change.description == "not significant"


def test_from_few_runs_nothing_is_concluded() -> None:
    assert only_change(bench(0.1, runs=3), bench(0.2, runs=3)).description == "too few runs to tell"


def test_a_text_is_known_by_its_words_and_one_subject_may_stand_for_another() -> None:
    base = bench(0.1, name="old", text="named")
    assert len(find_pairs(base, bench(0.1, name="new", text="otherwise"))) == 1
    assert find_pairs(base, bench(0.1, words="Something else.")) == []


def test_what_else_differs_is_said() -> None:
    base = bench(0.1)
    new = replace(
        base, machine=replace(base.machine, torch="2.8.0", load=3.0), settings=replace(base.settings, steps=5)
    )
    assert list(find_differences(base, new)) == ["torch: 2.7.0 → 2.8.0", "steps: 10 → 5"]
    small = replace(base, subjects=(replace(base.subjects[0], quantize="int8"),))
    assert list(find_differences(base, small)) == ["quantize: none → int8"]


def test_several_of_one_bench_are_compared_with_the_first() -> None:
    clock = Clock()
    engines = {name: Scripted(clock, [even(first, 0.1, 4)]) for name, first in (("a", 0.1), ("b", 0.2), ("c", 0.1))}
    record = measure(clock, engines, modes=[Mode.STREAM], runs=5)
    changes = find_changes(side_by_side(record), [FIRST_BYTE])
    assert [(change.kind.subject, change.description) for change in changes] == [
        ("b", "100 % more"),
        ("c", "no difference"),
    ]


def breaches(*conditions: str, record: Record, base: Record | None = None) -> list[str]:
    return find_breaches([parse_condition(text) for text in conditions], record, base)


@pytest.mark.parametrize(
    ("condition", "broken"),
    [
        ("ttfb_p50>90ms", True),
        ("ttfb>0.09s", True),
        ("ttfb_p50>110ms", False),
        ("ttfb_min < 99ms", True),
        ("first_byte_seconds_max>=0.102s", True),
        ("rtf_mean>0.5", False),
        ("audio_p50<3s", True),
        ("starved_max>0s", False),
        ("chunks_median>=4", True),
        ("failed>0", False),
    ],
)
def test_values_are_held_against_their_limits(condition: str, broken: bool) -> None:
    assert bool(breaches(condition, record=bench(0.1))) is broken


def test_a_breach_says_which_where_and_how_much() -> None:
    assert breaches("ttfb_p50>90ms", record=bench(0.1)) == ["ttfb_p50>90ms: model, short, stream: 100 ms"]
    assert breaches("failed>0", record=bench(0.1, fail=2)) == ["failed>0: model, short, stream: 2"]


@pytest.mark.parametrize(
    ("then", "now", "broken"), [(0.1, 0.1, False), (0.1, 0.105, False), (0.1, 0.15, True), (0.15, 0.1, False)]
)
def test_a_change_breaks_a_condition_if_it_is_too_large(then: float, now: float, broken: bool) -> None:
    assert bool(breaches("ttfb_p50>10%", record=bench(now), base=bench(then))) is broken


def test_a_change_that_may_be_chance_breaks_nothing() -> None:
    clock = Clock()
    firsts = [0.1, 0.3, 0.1, 0.3, 0.2, 0.25]
    noisy = measure(
        clock, {"model": Scripted(clock, [even(first, 0.1, 4) for first in firsts])}, modes=[Mode.STREAM], runs=6
    )
    change = only_change(bench(0.19), noisy)
    assert change.ratio is not None
    assert change.ratio > 1.1
    assert breaches("ttfb_p50>10%", record=noisy, base=bench(0.19)) == []


def test_where_nothing_went_well_every_condition_is_broken() -> None:
    silent = bench(0.1, fail=6)
    assert len(breaches("ttfb_p50>1s", "rtf<0.1", record=silent)) == 2
    assert len(breaches("ttfb_p50>10%", record=silent, base=bench(0.1))) == 1


def test_nothing_in_common_is_no_success() -> None:
    [breach] = breaches("ttfb_p50>10%", record=bench(0.1), base=bench(0.1, words="Something else."))
    assert "no text in common" in breach


@pytest.mark.parametrize(
    "text", ["", "ttfb", "ttfb>", "ttfb_p42>1s", "tfb>1s", "ttfb>1", "rtf>1s", "failed>10%", "failed_max>1", "ttfb>1kg"]
)
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(RequestError):
        parse_condition(text)


def test_a_condition_that_can_never_be_told_is_refused_before_anything_is_measured() -> None:
    with pytest.raises(RequestError, match="20 runs"):
        check_conditions([parse_condition("ttfb_p95>1s")], 5, compares=False)
    with refused("--compare"):
        check_conditions([parse_condition("ttfb>10%")], 5, compares=False)
    check_conditions([parse_condition("ttfb>10%"), parse_condition("failed>0")], 1, compares=True)


@pytest.mark.parametrize("resident", [False, True])
def test_a_model_in_its_own_process_is_not_compared_with_an_engine_that_stays_loaded(resident: bool) -> None:
    clock = Clock()
    record = measure(clock, {"model": Scripted(clock, [even(0.1, 0.1, 4)])})
    [subject] = record.subjects
    base = replace(record, subjects=(replace(subject, resident=resident),))
    check_comparable(base, resident=resident, name="base")
    with pytest.raises(RequestError, match="so its times are not comparable") as mixed:
        check_comparable(base, resident=not resident, name="base")
    assert "--warm" in mixed.value.for_command_line
    server = replace(record, subjects=(replace(subject, url="http://127.0.0.1:9"),))
    check_comparable(server, resident=not resident, name="base")
