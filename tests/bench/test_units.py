"""Numbers as people read them."""

import pytest

from voxcli.bench.measure.metrics import Unit
from voxcli.bench.report.statistics import format_mean_sd, format_percent, format_seconds, format_value, summarize


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.0, "0 ms"), (0.00071, "0.71 ms"), (0.0094, "9.4 ms"), (0.2499, "250 ms"), (1.234, "1.23 s"), (61.25, "61.2 s")],
)
def test_a_time_has_the_unit_and_the_digits_that_suit_it(value: float, words: str) -> None:
    assert format_seconds(value) == words


def test_what_was_not_measured_is_a_dash() -> None:
    assert format_seconds(None) == "–"


def test_a_mean_and_its_spread_share_a_unit() -> None:
    assert format_mean_sd(summarize([1.0, 1.2]), Unit.SECONDS) == "1.10 ± 0.14 s"
    assert format_mean_sd(summarize([0.1]), Unit.SECONDS) == "100 ms"


def test_bytes_and_ratios() -> None:
    assert format_value(14156, Unit.BYTES) == "14 kB"
    assert format_value(0.43849, Unit.NONE) == "0.438"
    assert [format_value(value, Unit.NONE) for value in (533, 1204, 99.96)] == ["533", "1204", "100"]


def test_what_is_not_all_never_looks_like_it() -> None:
    assert format_percent(79 / 80) == "98.7 %"
    assert format_percent(0.9999) == "99.9 %"
    assert format_percent(1.0) == "100 %"
    assert format_percent(0.29) == "29 %"
