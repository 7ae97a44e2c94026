"""Many numbers in a few."""

import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxcli.bench.report.statistics import count_outliers, minimum_runs, ratio_interval, summarize

NUMBERS = st.lists(st.floats(0.001, 1000), min_size=2, max_size=120)


@given(NUMBERS)
def test_it_agrees_with_python(values: list[float]) -> None:
    summary = summarize(values)
    assert summary.count == len(values)
    assert summary.mean == pytest.approx(statistics.mean(values))
    assert summary.sd == pytest.approx(statistics.stdev(values), abs=1e-9)
    assert summary.median == pytest.approx(statistics.median(values))
    assert (summary.min, summary.max) == (min(values), max(values))


@pytest.mark.parametrize(("statistic", "runs"), [("p90", 10), ("p95", 20), ("p99", 100)])
def test_a_percentile_is_left_out_until_there_is_one_number_beyond_it(statistic: str, runs: int) -> None:
    assert minimum_runs(statistic) == runs
    values = [float(number) for number in range(runs)]
    assert getattr(summarize(values[:-1]), statistic) is None
    assert getattr(summarize(values), statistic) == pytest.approx(np.percentile(values, int(statistic[1:])))


def test_one_number_has_no_spread() -> None:
    assert summarize([3.0]).sd is None


def test_a_number_far_from_the_others_is_found() -> None:
    assert count_outliers([1.0, 1.01, 0.99, 1.02, 5.0]) == 1
    assert count_outliers([1.0, 1.01, 0.99, 1.02, 1.03]) == 0
    assert count_outliers([1.0] * 5) == 0
    assert count_outliers([1.0, 9.0]) == 0


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_the_interval_of_a_ratio_holds_the_true_one() -> None:
    draw = np.random.default_rng(3)
    held = 0
    for _ in range(100):
        base, new = draw.normal(1.0, 0.1, 20).tolist(), draw.normal(1.2, 0.1, 20).tolist()
        low, high = ratio_interval(base, new, "mean", rng()) or (0, 0)
        held += low <= 1.2 <= high
    assert held >= 88  # of 95 expected


def test_the_same_numbers_are_never_told_apart() -> None:
    values = [1.0, 1.1, 0.9, 1.05, 0.95]
    low, high = ratio_interval(values, values, "p50", rng()) or (0, 0)
    assert low <= 1 <= high


def test_from_few_numbers_or_zeros_there_is_no_interval() -> None:
    assert ratio_interval([1.0] * 4, [1.0] * 9, "p50", rng()) is None
    assert ratio_interval([1.0] * 9, [1.0] * 9, "p90", rng()) is None
    assert ratio_interval([0.0] * 9, [1.0] * 9, "p50", rng()) is None
