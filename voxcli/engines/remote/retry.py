"""When it is worth asking a server again, and after how long."""

import random
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime

LONGEST_SECONDS = 120.0
"""Who is asked to wait longer is told so instead."""

_FOR_NOW = {408, 409, 425, 429}
_FOR_GOOD = {501, 505}
_FIRST_OF_SERVER = 500


def is_temporary(status: int, headers: Mapping[str, str]) -> bool:
    """Tell whether a server may take an answer back a moment later. What it says of this itself counts more.

    Args:
        headers: by lower-case names. `x-should-retry` is read as OpenAI's own clients do.
    """
    said = headers.get("x-should-retry")
    if said in ("true", "false"):
        return said == "true"
    return status in _FOR_NOW or (status >= _FIRST_OF_SERVER and status not in _FOR_GOOD)


def asked_wait(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that a server asks to be left alone, if it does.

    Args:
        headers: by lower-case names.
        now: in seconds since 1970, for a server that names a date.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        if seconds >= 0:  # nor is NaN
            return seconds
    try:
        return max(0.0, parsedate_to_datetime(headers["retry-after"]).timestamp() - now)
    except (KeyError, ValueError):
        return None


class Patience:
    """How often is tried again, and how long is waited before each time."""

    def __init__(self, waits_seconds: Sequence[float], rng: random.Random) -> None:
        self._left = list(waits_seconds)
        self._rng = rng

    def next_wait(self, asked: float | None) -> float | None:
        """Return the seconds until the next try, or None if there shall be no more.

        Clients that were sent away together must not come back together, so no two wait equally long.

        Args:
            asked: the least, as the server says.
        """
        if not self._left or (asked is not None and asked > LONGEST_SECONDS):
            return None
        own = self._left.pop(0)
        return own * self._rng.uniform(0.5, 1) if asked is None else asked + 0.1 * own * self._rng.random()
