"""Metrics of a benchmark, each defined in one sentence, and the simulated player behind the stalls."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class Unit(StrEnum):
    """Unit of a metric; ratios and counts have none."""

    SECONDS = "s"
    BYTES = "bytes"
    NONE = ""


@dataclass(frozen=True, slots=True)
class Metric:
    """One number that is measured in every run."""

    field: str
    """Name of the field in `Run`."""
    short: str
    """Name in conditions of --fail-if."""
    title: str
    unit: Unit
    meaning: str


FIRST_BYTE = Metric(
    "first_byte_seconds",
    "ttfb",
    "first byte",
    Unit.SECONDS,
    "from the request to the first byte of audio, not counting HTTP and file headers; "
    "for a model in this process, to the first chunk",
)
FIRST_CHUNK = Metric(
    "first_chunk_seconds",
    "first_chunk",
    "first chunk",
    Unit.SECONDS,
    "from the request to the first samples that can be played",
)
FIRST_SOUND = Metric(
    "first_sound_seconds",
    "first_sound",
    "first sound",
    Unit.SECONDS,
    "from the request to the chunk with the first 10 ms above -50 dBFS",
)
TOTAL = Metric("total_seconds", "total", "total", Unit.SECONDS, "from the request to the end of the response")
AUDIO = Metric("audio_seconds", "audio", "audio", Unit.SECONDS, "duration of the decoded samples")
REAL_TIME_FACTOR = Metric(
    "real_time_factor", "rtf", "real-time factor", Unit.NONE, "total divided by audio; below 1 is faster than real time"
)
CHUNKS = Metric("chunks", "chunks", "chunks", Unit.NONE, "number of chunks in which the samples arrived")
BYTES = Metric(
    "bytes",
    "bytes",
    "bytes",
    Unit.BYTES,
    "size of the encoded audio; for a model in this process, of its samples in 16 bits",
)
STARVED = Metric(
    "starved_seconds",
    "starved",
    "starved",
    Unit.SECONDS,
    "how long playback would have stalled, had it started at the first chunk or with --prebuffer of audio",
)

METRICS = (FIRST_BYTE, FIRST_CHUNK, FIRST_SOUND, TOTAL, AUDIO, REAL_TIME_FACTOR, CHUNKS, BYTES, STARVED)


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
