"""Words for how long an engine stays loaded."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxcli.engines.keep_alive import DEFAULT_KEEP_ALIVE, describe_keep_alive, parse_keep_alive


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("5m", 300.0),
        ("1h", 3600.0),
        ("1h30m", 5400.0),
        ("1h 30m", 5400.0),
        ("90s", 90.0),
        ("1.5h", 5400.0),
        ("500ms", 0.5),
        ("2M", 120.0),
        ("90", 90.0),
        ("2.5", 2.5),
        ("+10", 10.0),
        (" 1d ", 86400.0),
        ("0", 0.0),
        ("0s", 0.0),
        ("-0", 0.0),
        ("-1", math.inf),
        ("-1m", math.inf),
        ("-1h30m", math.inf),
        ("99999999999h", math.inf),
    ],
)
def test_a_time_is_read_as_ollama_reads_it(written: str, seconds: float) -> None:
    assert parse_keep_alive(written) == seconds


@pytest.mark.parametrize("written", ["", "m", "soon", "5 minutes", "5m later", "1m-5s", "--1", "1,5h", "True", "nan"])
def test_other_words_are_refused(written: str) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        parse_keep_alive(written)


@given(st.integers(0, 300_000_000))
def test_a_time_means_the_same_in_every_unit(milliseconds: int) -> None:
    seconds, rest = divmod(milliseconds, 1000)
    expected = pytest.approx(milliseconds / 1000)
    assert parse_keep_alive(f"{milliseconds}ms") == expected
    assert parse_keep_alive(f"{milliseconds / 1000:f}") == expected
    assert parse_keep_alive(f"{seconds // 3600}h{seconds // 60 % 60}m{seconds % 60}s{rest}ms") == expected


@given(st.integers(0, 300_000_000))
def test_what_is_shown_is_what_was_written(milliseconds: int) -> None:
    shown = describe_keep_alive(milliseconds / 1000).replace(" ms", "ms")
    for word in ("day", "hour", "minute", "second"):
        shown = shown.replace(f" {word}s", word[0]).replace(f" {word}", word[0])
    assert parse_keep_alive(shown) == pytest.approx(milliseconds / 1000)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (DEFAULT_KEEP_ALIVE, "5 minutes"),
        ("5400", "1 hour 30 minutes"),
        ("61", "1 minute 1 second"),
        ("500ms", "500 ms"),
        ("-1", "for ever"),
        ("0", "0 seconds"),
    ],
)
def test_a_time_is_shown_as_it_is_said(written: str, shown: str) -> None:
    assert describe_keep_alive(parse_keep_alive(written)) == shown
