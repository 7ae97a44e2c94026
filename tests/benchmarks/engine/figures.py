"""Figures of timed streams, and of processes: first chunk, time per patch, real-time factor, gaps, loading, memory."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Run:
    """Timing of one stream, as its consumer saw it."""

    started: float
    """Seconds on the clock of its process."""
    chunks: Sequence[tuple[float, float]]
    """For each chunk: seconds from the start, and seconds of sound received by then."""

    @property
    def seconds(self) -> float:
        """Seconds to the last chunk."""
        return self.chunks[-1][0]

    @property
    def sound(self) -> float:
        return self.chunks[-1][1]


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures over several rounds of concurrent streams. Times are seconds."""

    streams: int
    rounds: int
    first_p50: float
    first_p99: float
    first_patch: float
    """Median time to a whole patch of sound: a first chunk may be less than a patch."""
    patch: float
    """Median time per patch after the first."""
    factor: float
    """Real-time factor, median over all streams: time to the last chunk over seconds of sound."""
    factor_worst: float
    together: float
    """Throughput, median over the rounds: sound of all streams over the time from the first call to the last chunk."""
    dry_streams: int
    """Streams with a gap, if played from the first chunk."""
    dry_longest: float

    @classmethod
    def of(cls, rounds: Sequence[Sequence[Run]], patch_seconds: float) -> "Figures":
        runs = [run for round_ in rounds for run in round_]
        firsts = [run.chunks[0][0] for run in runs]
        dry = [gap_seconds(run) for run in runs]
        factors = [run.seconds / run.sound for run in runs]
        return cls(
            streams=len(rounds[0]),
            rounds=len(rounds),
            first_p50=statistics.median(firsts),
            first_p99=percentile(firsts, 0.99),
            first_patch=statistics.median(run.chunks[_first_whole(run, patch_seconds)][0] for run in runs),
            patch=statistics.median(seconds_per_patch(run, patch_seconds) for run in runs),
            factor=statistics.median(factors),
            factor_worst=max(factors),
            together=statistics.median(map(sound_per_second, rounds)),
            dry_streams=sum(gap > 0 for gap in dry),
            dry_longest=max(dry),
        )


@dataclass(frozen=True, slots=True)
class Load:
    """Seconds of one cold load."""

    whole: float
    """From the start of Python to the first chunk."""
    imports: float
    load: float
    first_chunk: float
    """From the end of loading."""

    @property
    def without_imports(self) -> float:
        return self.load + self.first_chunk


@dataclass(frozen=True, slots=True)
class Memory:
    """Peak memory in bytes."""

    resident: int
    """On the host."""
    allocated: int = 0
    """On the GPU, in tensors."""
    reserved: int = 0
    """On the GPU, including the cache of torch's allocator."""


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` of the values do not exceed."""
    return sorted(values)[max(1, math.ceil(share * len(values))) - 1]


def seconds_per_patch(run: Run, patch_seconds: float) -> float:
    """Return the time per patch after the first, or per patch if all come at once. `run` has at least two patches."""
    if len(run.chunks) == 1:
        return run.seconds / (run.sound / patch_seconds)
    (came, before), (ended, sound) = run.chunks[_first_whole(run, patch_seconds)], run.chunks[-1]
    return (ended - came) / ((sound - before) / patch_seconds)


def gap_seconds(run: Run) -> float:
    """Return the total length of the gaps if playback starts with the first chunk."""
    first = run.chunks[0][0]
    gaps = sound = 0.0
    for came, then in run.chunks:
        gaps += max(0.0, came - first - gaps - sound)
        sound = then
    return gaps


def sound_per_second(round_: Sequence[Run]) -> float:
    """Return the seconds of sound per second that all streams of a round made together."""
    took = max(run.started + run.seconds for run in round_) - min(run.started for run in round_)
    return sum(run.sound for run in round_) / took


def _first_whole(run: Run, patch_seconds: float) -> int:
    """Return the index of the chunk that completes the first patch."""
    return next(number for number, (_, sound) in enumerate(run.chunks) if sound > 0.99 * patch_seconds)
