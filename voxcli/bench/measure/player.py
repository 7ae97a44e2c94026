"""A player that plays sound while it comes, and may run dry."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

Arrivals: TypeAlias = Sequence[tuple[float, float]]
"""For every chunk, when it came and how much sound there was then with it, both in seconds."""

UNHEARD_SECONDS = 0.001
"""A player that has run dry for less than this has not: clocks and schedulers are no finer."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A time during which a player had nothing to play, in seconds since asking."""

    start: float
    end: float
    played: float
    """How much of the sound it had played before."""


def find_gaps(arrivals: Arrivals, prebuffer_seconds: float = 0.0) -> list[Gap]:
    """Find out when a player had nothing to play before the end.

    Args:
        prebuffer_seconds: of sound that it waits for before it begins; without, it begins at the first chunk.
    """
    if not arrivals:
        return []
    late = next((when for when, audio in arrivals if audio >= prebuffer_seconds), arrivals[-1][0])
    gaps: list[Gap] = []
    before = 0.0
    for when, audio in arrivals:
        dry = late + before  # when all that had come is played
        if when > dry:
            gaps.append(Gap(dry, when, before))
            late += when - dry
        before = audio
    return gaps


def starved_seconds(arrivals: Arrivals, prebuffer_seconds: float = 0.0) -> float:
    """Return how long in all a player had nothing to play before the end."""
    return sum((gap.end - gap.start for gap in find_gaps(arrivals, prebuffer_seconds)), 0.0)


def is_starved(seconds: float) -> bool:
    """Tell whether a listener would notice."""
    return seconds > UNHEARD_SECONDS
