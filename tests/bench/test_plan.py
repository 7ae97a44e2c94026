"""The order of the runs."""

import random
from collections import Counter
from itertools import pairwise

import pytest

from voxcli.bench.measure.plan import Level, Mode, Plan, poisson_times

PLAN = Plan(["a", "b"], ["short", "long"], [Mode.STREAM, Mode.WHOLE], runs=4, warmup=1)


def test_everything_is_asked_equally_often_and_warm_ups_come_first() -> None:
    asks = PLAN.one_by_one()
    counted = Counter((ask.subject, ask.text, ask.mode) for ask in asks if not ask.warmup)
    assert set(counted.values()) == {4}
    assert len(counted) == 8
    assert [ask.warmup for ask in asks] == [True] * 8 + [False] * 32


def test_alternatives_take_turns_within_each_text() -> None:
    asks = [ask for ask in PLAN.one_by_one() if not ask.warmup]
    for start in range(0, len(asks), 4):
        block = asks[start : start + 4]
        assert len({(ask.subject, ask.mode) for ask in block}) == 4
        assert len({(ask.text, ask.number) for ask in block}) == 1


def test_each_of_them_is_first_equally_often() -> None:
    asks = [ask for ask in PLAN.one_by_one() if not ask.warmup and ask.text == "short"]
    assert set(Counter((ask.subject, ask.mode) for ask in asks[::4]).values()) == {1}


def test_a_run_of_one_kind_is_never_followed_by_another_of_it() -> None:
    asks = [ask for ask in PLAN.one_by_one() if not ask.warmup]
    assert all((one.subject, one.mode) != (next_one.subject, next_one.mode) for one, next_one in pairwise(asks[:4]))


def test_under_load_every_stream_makes_so_many_runs_and_every_text_is_said() -> None:
    tests = PLAN.under_load([Level(concurrency=1), Level(concurrency=16), Level(rate=0.5)], None)
    assert [len(test.requests) for test in tests] == [8] * 4 + [64] * 4 + [16] * 4
    assert all(Counter(ask.text for ask in test.requests).total() == len(test.requests) for test in tests)
    assert {ask.text for ask in tests[0].requests} == {"short", "long"}
    assert [len(test.warmup) for test in tests] == [1] * 4 + [16] * 4 + [4] * 4
    assert all(ask.warmup for test in tests for ask in test.warmup)


def test_the_number_of_requests_can_be_said() -> None:
    [test, *_] = PLAN.under_load([Level(concurrency=4)], 10)
    assert len(test.requests) == 10


@pytest.mark.parametrize("rate", [0.5, 20.0])
def test_requests_that_know_nothing_of_each_other_come_at_the_rate_asked_for(rate: float) -> None:
    times = list(poisson_times(rate, 4000, random.Random(1)))
    gaps = [later - earlier for earlier, later in pairwise(times)]
    mean = sum(gaps) / len(gaps)
    spread = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert times[0] == 0
    assert mean == pytest.approx(1 / rate, rel=0.05)
    assert spread == pytest.approx(mean, rel=0.1)  # as of an exponential distribution
