"""Retries over HTTP: which statuses are worth another attempt, how long to wait before it, and the loop itself."""

import logging
import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import TypeVar

RETRYABLE_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})

LONGEST_DELAY = 120.0
"""Seconds. A server that asks for a longer wait gets no further attempt."""

_log = logging.getLogger(__name__)

T = TypeVar("T")


class RetryableError(Exception):
    """An attempt failed with a temporary error."""

    def __init__(self, error: Exception, retry_after: float | None = None) -> None:
        """
        Args:
            error: what `with_retries` raises when no attempt is left.
            retry_after: seconds that the server asks to wait, if it does.
        """
        super().__init__(str(error))
        self.error = error
        self.retry_after = retry_after


class Backoff:
    """The delays between attempts, one after another."""

    def __init__(self, delays: Sequence[float], rng: random.Random | None = None) -> None:
        """
        Args:
            delays: seconds, one for each retry.
            rng: adds jitter, so that clients that failed together do not retry together. None waits exactly `delays`.
        """
        self._delays = tuple(delays)
        self._used = 0
        self._rng = rng

    def next_delay(self, retry_after: float | None = None) -> float | None:
        """Return the seconds to wait before the next attempt, or None to give up.

        Args:
            retry_after: seconds the server asks to wait at least; more than `LONGEST_DELAY` ends the retries.
        """
        if self._used == len(self._delays) or (retry_after is not None and retry_after > LONGEST_DELAY):
            return None
        delay = self._delays[self._used]
        self._used += 1
        if retry_after is not None:
            return retry_after + 0.1 * delay * (self._rng.random() if self._rng else 0)
        return delay * self._rng.uniform(0.5, 1) if self._rng else delay

    def reset(self) -> None:
        """Start again with the first delay, after an attempt that made progress."""
        self._used = 0


def with_retries(attempt: Callable[[], T], backoff: Backoff, sleep: Callable[[float], None] = time.sleep) -> T:
    """Call `attempt` until it succeeds, raises anything but `RetryableError`, or the backoff runs out.

    Each retry is logged as a warning.

    Raises:
        Exception: the `error` of the last `RetryableError`.
    """
    while True:
        try:
            return attempt()
        except RetryableError as failure:
            delay = backoff.next_delay(failure.retry_after)
            if delay is None:
                raise failure.error from failure
            _log.warning("%s Trying again in %.2g s.", failure, delay)
            sleep(delay)


def is_retryable(status: int, headers: Mapping[str, str] | None = None, also: Collection[int] = ()) -> bool:
    """Whether a response with this status is worth another attempt.

    Args:
        headers: by lower-case names. `x-should-retry`, true or false, overrides the status, as in OpenAI's clients.
        also: statuses that count besides `RETRYABLE_STATUSES`.
    """
    advice = (headers or {}).get("x-should-retry")
    if advice in ("true", "false"):
        return advice == "true"
    return status in RETRYABLE_STATUSES or status in also


def parse_retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Read how many seconds a server asks to wait; None if it does not ask.

    Args:
        headers: by lower-case names. `retry-after-ms` and `retry-after`, in seconds or as a date, are read.
        now: seconds since 1970, to which a date is compared.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        if seconds >= 0:  # false for NaN too
            return seconds
    try:
        return max(0.0, parsedate_to_datetime(headers["retry-after"]).timestamp() - now)
    except (KeyError, ValueError):
        return None
