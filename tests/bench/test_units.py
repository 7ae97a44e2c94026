"""Numbers as people read them."""

import pytest

from voxcli.bench.measure.metrics import Unit
from voxcli.bench.report.statistics import in_words, percent, seconds, spread_in_words, summarize


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.0, "0 ms"), (0.00071, "0.71 ms"), (0.0094, "9.4 ms"), (0.2499, "250 ms"), (1.234, "1.23 s"), (61.25, "61.2 s")],
)
def test_a_time_has_the_unit_and_the_digits_that_suit_it(value: float, words: str) -> None:
    assert seconds(value) == words


def test_what_was_not_measured_is_a_dash() -> None:
    assert seconds(None) == "–"


def test_a_mean_and_its_spread_share_a_unit() -> None:
    assert spread_in_words(summarize([1.0, 1.2]), Unit.SECONDS) == "1.10 ± 0.14 s"
    assert spread_in_words(summarize([0.1]), Unit.SECONDS) == "100 ms"


def test_bytes_and_ratios() -> None:
    assert in_words(14156, Unit.BYTES) == "14 kB"
    assert in_words(0.43849, Unit.NONE) == "0.438"
    assert [in_words(value, Unit.NONE) for value in (533, 1204, 99.96)] == ["533", "1204", "100"]


def test_what_is_not_all_never_looks_like_it() -> None:
    assert percent(79 / 80) == "98.7 %"
    assert percent(0.9999) == "99.9 %"
    assert percent(1.0) == "100 %"
    assert percent(0.29) == "29 %"
