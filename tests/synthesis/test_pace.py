"""How long a text takes, and what an engine needs to keep up."""

import random

import pytest

from voxcli.synthesis.pace import Pace, speaking_seconds


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
