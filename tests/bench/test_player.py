"""A player that may run dry."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.scripted import Clock, tone
from voxcli.bench.measure.metrics import find_gaps, starved_seconds
from voxcli.synthesis.request import Speech
from voxcli.synthesis.timing import Stopwatch

STEPS = st.lists(st.tuples(st.integers(1, 900), st.integers(1, 900)), min_size=1, max_size=30)
"""Thousandths of a second that each chunk takes, and that it lasts."""


def arrivals_of(steps: list[tuple[int, int]]) -> list[tuple[float, float]]:
    when = np.cumsum([took for took, _ in steps]) / 1000
    audio = np.cumsum([lasts for _, lasts in steps]) / 1000
    return list(zip(when.tolist(), audio.tolist(), strict=True))


@given(STEPS)
def test_it_starves_as_the_stopwatch_says(steps: list[tuple[int, int]]) -> None:
    clock = Clock()

    def made() -> Speech:
        for took, lasts in steps:
            clock.now += took / 1000
            yield tone(lasts / 1000)

    stopwatch = Stopwatch(clock)
    list(stopwatch.timed(made()))
    assert starved_seconds(arrivals_of(steps)) == pytest.approx(stopwatch.timings.starved, abs=1e-9)


@given(STEPS, st.integers(0, 5000), st.integers(0, 5000))
def test_more_in_advance_never_starves_more(steps: list[tuple[int, int]], one: int, other: int) -> None:
    less, more = sorted((one, other))
    arrivals = arrivals_of(steps)
    assert starved_seconds(arrivals, more / 1000) <= starved_seconds(arrivals, less / 1000) + 1e-9


@given(STEPS)
def test_who_waits_for_everything_never_starves(steps: list[tuple[int, int]]) -> None:
    arrivals = arrivals_of(steps)
    assert starved_seconds(arrivals, arrivals[-1][1]) == 0


def test_a_gap_says_where_the_sound_stood_still() -> None:
    [gap] = find_gaps([(1.0, 0.5), (1.4, 1.0), (2.3, 1.5)])
    assert (gap.start, gap.end, gap.played) == pytest.approx((2.0, 2.3, 1.0))


def test_nothing_that_came_starves_nobody() -> None:
    assert starved_seconds([]) == 0
