"""How long a text takes, and what an engine needs to keep up."""

import random

import pytest

from voxcli.synthesis.auto_steps import LEAST_STEPS, MOST_STEPS, AutoSteps
from voxcli.synthesis.pace import Pace, speaking_seconds
from voxcli.synthesis.timing import Timings


def test_the_estimated_length_of_a_text() -> None:
    assert 2 < speaking_seconds("今天天气很好，我们去公园。") < 4
    assert 2 < speaking_seconds("The weather is fine today, so we went out.") < 4
    assert speaking_seconds("in 1789") > speaking_seconds("in abcd")  # digits are spelled out


def test_what_a_steady_engine_needs_is_what_it_makes_too_little() -> None:
    pace = Pace()
    for _ in range(200):
        pace.note(0.16, 0.32)
    assert pace.factor == pytest.approx(2)
    assert pace.needed(10, deviations=0) == pytest.approx(10)
    assert 10 < pace.needed(10) < 11.5


def test_an_engine_that_varies_needs_more_and_one_known_from_few_chunks_too() -> None:
    dice = random.Random(1)
    steady, varying, new = Pace(), Pace(), Pace()
    for _ in range(100):
        steady.note(0.16, 0.2)
        varying.note(0.16, 0.2 * dice.lognormvariate(0, 0.5))
    new.note(0.16, 0.2)
    assert varying.needed(10) - varying.needed(10, deviations=0) > 2 * (steady.needed(10) - steady.needed(10, 0))
    assert new.needed(10) > steady.needed(10)


def test_the_speed_is_that_of_the_last_seconds() -> None:
    pace = Pace()
    for _ in range(100):
        pace.note(0.16, 0.1)
    for _ in range(100):
        pace.note(0.16, 0.4)
    assert pace.factor == pytest.approx(2.5, rel=0.05)


def steps_chosen(fixed: float, per_step: float, parts: int, *, noise: float = 0.0) -> list[int]:
    """Return the steps for each part on a machine that takes so much work for a second of audio."""
    dice, timings = random.Random(3), Timings(first_chunk=0.5)
    auto = AutoSteps(timings)
    for _ in range(parts):
        steps = auto()
        for _ in range(20):
            timings.audio += 0.16
            timings.chunks += 1
            timings.working += 0.16 * (fixed + per_step * steps) * dice.lognormvariate(0, noise)
        timings.working += 0.1
    return auto.used


def test_a_machine_that_is_fast_enough_keeps_all_steps() -> None:
    assert set(steps_chosen(0.3, 0.05, 8)) == {MOST_STEPS}


def test_a_slow_machine_takes_as_many_steps_as_keep_up() -> None:
    used = steps_chosen(0.3, 0.1, 12)
    assert used[0] == MOST_STEPS  # nothing is known yet
    assert used[-1] == 6  # with 0.1 s before each sentence, seven would not
    assert len(set(used[3:])) == 1, "it goes up and down"


def test_it_never_takes_fewer_than_are_worth_hearing() -> None:
    assert steps_chosen(2, 0.5, 4)[1:] == [LEAST_STEPS] * 3


@pytest.mark.parametrize("noise", [0.1, 0.3])
def test_chance_does_not_move_it_far(noise: float) -> None:
    assert {4, 5, 6, 7} >= set(steps_chosen(0.3, 0.1, 20, noise=noise)[4:])


def test_it_takes_more_again_when_the_machine_is_free() -> None:
    timings = Timings(first_chunk=0.5)
    auto = AutoSteps(timings)
    for part in range(30):
        steps = auto()
        timings.audio += 3
        timings.chunks += 20
        timings.working += 3 * (0.2 + 0.03 * steps) * (3 if part < 5 else 1)
    assert min(auto.used) < 6
    assert auto.used[-1] == MOST_STEPS
