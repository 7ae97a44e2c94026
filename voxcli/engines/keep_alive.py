"""Keep-alive times: how long an engine stays loaded after its last request, in the words that ollama has for them."""

import math
import re

DEFAULT_KEEP_ALIVE = "5m"

ADVICE = "Give a time such as 5m, 1h30m or 90 (seconds); 0 keeps nothing, -1 keeps it for ever."

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NUMBER = r"\d+(?:\.\d*)?|\.\d+"
_PIECE = re.compile(rf"\s*({_NUMBER})\s*(ms|[smhd])")
_WRITTEN = re.compile(rf"([+-]?)(?:({_NUMBER})|((?:{_PIECE.pattern})+))")
_ENDLESS_SECONDS = 10 * 365 * _UNITS["d"]
"""A longer time is as good as for ever, and more than some timers can count."""


def parse_keep_alive(written: str) -> float:
    """Return a time in seconds; infinity for ever, 0 for an engine that is not kept.

    Args:
        written: a number of seconds such as "90", or numbers with units such as "1h30m"; a negative one is for ever.
            See https://docs.ollama.com/faq and Go's time.ParseDuration; days are our own.

    Raises:
        ValueError: it is neither.
    """
    found = _WRITTEN.fullmatch(written.strip().lower())
    if found is None:
        raise ValueError(f"{written!r} is not a time.")
    sign, number, pieces = found[1], found[2], found[3]
    counts = [(number, "s")] if number else _PIECE.findall(pieces)
    seconds = sum(float(count) * _UNITS[unit] for count, unit in counts)
    return math.inf if seconds and (sign == "-" or seconds > _ENDLESS_SECONDS) else seconds


def describe_keep_alive(seconds: float) -> str:
    """Return a time as a person says it, such as "1 hour 30 minutes"."""
    if math.isinf(seconds):
        return "for ever"
    whole, milliseconds = divmod(round(1000 * seconds), 1000)
    words = []
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, whole = divmod(whole, size)
        words += [f"{count} {unit}{'s' if count != 1 else ''}"] if count else []
    words += [f"{milliseconds} ms"] if milliseconds else []
    return " ".join(words) or "0 seconds"
