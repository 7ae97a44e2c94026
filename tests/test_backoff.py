"""Retries: how often, how long apart, and for which answers."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxcli.backoff import LONGEST_DELAY, Backoff, RetryableError, is_retryable, parse_retry_after, with_retries

DELAYS = st.lists(st.floats(0.01, 10), max_size=5)


class Flaky:
    """Fails some times, then succeeds."""

    def __init__(self, failures: int) -> None:
        self.failures, self.attempts = failures, 0

    def __call__(self) -> int:
        self.attempts += 1
        if self.attempts <= self.failures:
            raise RetryableError(ValueError(f"failure {self.attempts}."))
        return self.attempts


@given(delays=DELAYS, failures=st.integers(0, 8))
def test_each_delay_is_one_more_attempt_and_the_last_error_is_raised(delays: list[float], failures: int) -> None:
    flaky, slept = Flaky(failures), list[float]()
    if failures <= len(delays):
        assert with_retries(flaky, Backoff(delays), slept.append) == failures + 1
    else:
        with pytest.raises(ValueError, match=f"failure {len(delays) + 1}"):
            with_retries(flaky, Backoff(delays), slept.append)
    assert slept == delays[:failures]


def test_any_other_error_ends_the_attempts_at_once() -> None:
    def attempt() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        with_retries(attempt, Backoff([1, 1]), lambda seconds: pytest.fail("slept"))


@given(delay=st.floats(0.01, 10), seed=st.integers(0, 99), asked=st.none() | st.floats(0, LONGEST_DELAY))
def test_jitter_stays_within_bounds(delay: float, seed: int, asked: float | None) -> None:
    wait = Backoff([delay], random.Random(seed)).next_delay(asked)
    assert wait is not None
    assert (delay / 2 <= wait <= delay) if asked is None else (asked <= wait <= asked + 0.1 * delay)


def test_a_server_that_asks_for_too_long_gets_no_retry() -> None:
    assert Backoff([1.0]).next_delay(LONGEST_DELAY + 1) is None


def test_progress_starts_the_delays_again() -> None:
    backoff = Backoff([1.0, 2.0])
    assert (backoff.next_delay(), backoff.next_delay(), backoff.next_delay()) == (1, 2, None)
    backoff.reset()
    assert backoff.next_delay() == 1


@pytest.mark.parametrize(
    ("status", "headers", "retryable"),
    [
        (200, None, False),
        (404, None, False),
        (501, None, False),
        (408, None, True),
        (429, None, True),
        (503, None, True),
        (503, {"x-should-retry": "false"}, False),
        (400, {"x-should-retry": "true"}, True),
        (409, {"x-should-retry": "perhaps"}, True),
    ],
)
def test_which_statuses_are_retried(status: int, headers: dict[str, str] | None, retryable: bool) -> None:
    assert is_retryable(status, headers, also={409}) is retryable


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": "Thu, 01 Jan 1970 00:17:10 GMT"}, 30),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:10 GMT"}, 0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
    ],
)
def test_how_long_a_server_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert parse_retry_after(headers, now=1000) == seconds
