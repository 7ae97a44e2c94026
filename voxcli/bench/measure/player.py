"""Simulated playback: when a player would stall because the next chunk has not arrived."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

Arrivals: TypeAlias = Sequence[tuple[float, float]]
"""For each chunk, its time of arrival and the duration of all audio so far, both in seconds."""

_INAUDIBLE_SECONDS = 0.001
"""Shorter stalls are ignored: clocks and schedulers are not more precise."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A stall of the playback, in seconds since the request."""

    start: float
    end: float
    played: float
    """Seconds of audio played before."""


def find_gaps(arrivals: Arrivals, prebuffer_seconds: float = 0.0) -> list[Gap]:
    """Return the stalls of a playback.

    Args:
        prebuffer_seconds: audio to wait for before playback starts; 0 starts it at the first chunk.
    """
    if not arrivals:
        return []
    late = next((when for when, audio in arrivals if audio >= prebuffer_seconds), arrivals[-1][0])
    gaps: list[Gap] = []
    before = 0.0
    for when, audio in arrivals:
        played_at = late + before  # when everything that had arrived is played
        if when > played_at:
            gaps.append(Gap(played_at, when, before))
            late += when - played_at
        before = audio
    return gaps


def starved_seconds(arrivals: Arrivals, prebuffer_seconds: float = 0.0) -> float:
    """Return the total duration of all stalls."""
    return sum((gap.end - gap.start for gap in find_gaps(arrivals, prebuffer_seconds)), 0.0)


def is_starved(seconds: float) -> bool:
    """Whether stalls of this total duration count."""
    return seconds > _INAUDIBLE_SECONDS
