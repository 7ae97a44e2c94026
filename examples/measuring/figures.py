"""What counts of streams that were listened to: when they began, how fast they went on, whether they ran dry."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Run:
    """One stream as its listener saw it."""

    started: float
    """Seconds on the clock of its process."""
    chunks: Sequence[tuple[float, float]]
    """When each came, in seconds from the start, and how many seconds of sound there were then."""

    @property
    def seconds(self) -> float:
        """Until the last chunk."""
        return self.chunks[-1][0]

    @property
    def sound(self) -> float:
        return self.chunks[-1][1]


@dataclass(frozen=True, slots=True)
class Figures:
    """Of several turns, in each of which so many streams began at once. Times are seconds."""

    streams: int
    turns: int
    first_p50: float
    first_p99: float
    first_patch: float
    """Median until a whole patch of sound was there: a first chunk may be less than a patch."""
    patch: float
    """Median, per patch behind the first."""
    factor: float
    """Median over the streams of time over sound, from the call to the last chunk."""
    factor_worst: float
    together: float
    """Median over the turns of the sound that all streams made, over the time from the first call to the last chunk."""
    dry_streams: int
    """Streams whose listener, had he begun with the first chunk, would have heard a gap."""
    dry_longest: float

    @classmethod
    def of(cls, turns: Sequence[Sequence[Run]], patch_seconds: float) -> "Figures":
        runs = [run for turn in turns for run in turn]
        firsts = [run.chunks[0][0] for run in runs]
        dry = [gap_seconds(run) for run in runs]
        factors = [run.seconds / run.sound for run in runs]
        return cls(
            streams=len(turns[0]),
            turns=len(turns),
            first_p50=statistics.median(firsts),
            first_p99=percentile(firsts, 0.99),
            first_patch=statistics.median(run.chunks[_first_whole(run, patch_seconds)][0] for run in runs),
            patch=statistics.median(seconds_per_patch(run, patch_seconds) for run in runs),
            factor=statistics.median(factors),
            factor_worst=max(factors),
            together=statistics.median(map(sound_per_second, turns)),
            dry_streams=sum(gap > 0 for gap in dry),
            dry_longest=max(dry),
        )


def percentile(values: Sequence[float], share: float) -> float:
    """Return the least of the values that so large a share of them does not exceed."""
    return sorted(values)[max(1, math.ceil(share * len(values))) - 1]


def seconds_per_patch(run: Run, patch_seconds: float) -> float:
    """Return the time per patch behind the first; `run` has at least two."""
    (came, before), (ended, sound) = run.chunks[_first_whole(run, patch_seconds)], run.chunks[-1]
    return (ended - came) / ((sound - before) / patch_seconds)


def gap_seconds(run: Run) -> float:
    """Return how long somebody who listens from the first chunk on would have heard nothing in between."""
    first = run.chunks[0][0]
    silent = sound = 0.0
    for came, then in run.chunks:
        silent += max(0.0, came - first - silent - sound)
        sound = then
    return silent


def sound_per_second(turn: Sequence[Run]) -> float:
    """Return how many times faster than real time the streams of a turn were together."""
    took = max(run.started + run.seconds for run in turn) - min(run.started for run in turn)
    return sum(run.sound for run in turn) / took


def _first_whole(run: Run, patch_seconds: float) -> int:
    """Find the chunk that ends the first patch, which may come in pieces."""
    return next(number for number, (_, sound) in enumerate(run.chunks) if sound > 0.99 * patch_seconds)
