"""Summary of a run: what was made, how fast, and how soon after Enter it was to be heard."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

from voxcli.processes import started_at
from voxcli.synthesis.timing import Timings

_PROCESSED_BEFORE = time.process_time()
_IMPORTED = time.perf_counter()
_WAS_A_SHELL = sum(os.times()[2:4]) > 0
"""Whether this process has waited for others: as a shell, which then became this program instead of starting it."""
_ALWAYS_NAMED, _NAMED_SECONDS = ("start", "first chunk"), 0.02
"""Other parts of the time to the first sound are named if they are not shorter than this."""
_FASTER, _SLOWER = 1.05, 0.95
"""Speeds between these are as fast as real time, as far as one digit tells."""


class Laps:
    """What the time from Enter to the first sound is spent on, one thing after another."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        """By name, in the order in which they began. They add up to the whole time."""
        self._last = time.perf_counter() - seconds_since_start()

    def end(self, name: str, at: float | None = None) -> None:
        """Count the time since the last lap ended, or since Enter, towards a name.

        at: the end of this lap, as `time.perf_counter` tells it; None is now. A time before the last lap has no effect.
        """
        now = time.perf_counter() if at is None else at
        if now >= self._last:
            self.seconds[name] = self.seconds.get(name, 0.0) + now - self._last
            self._last = now


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """What a run did."""

    model: str
    timings: Timings
    audio_seconds: float
    """Duration of what was written or played, with its pauses."""
    before_sound: dict[str, float] | None
    """The parts of the time from Enter to the first sound, in seconds; None if there was no sound."""
    underruns: int | None
    """None if nothing was played."""
    outputs: list[str]
    """Files."""
    seed: int | None
    steps: list[int] | None
    """Solver steps of each part; None if the voice is not sampled."""
    auto_steps: bool = False
    """Whether they followed the speed of the engine."""

    @property
    def sound_after(self) -> float | None:
        """Seconds from Enter to the first sound."""
        return sum(self.before_sound.values()) if self.before_sound else None


def summary_phrases(summary: RunSummary) -> list[str]:
    """Return what a run made, how fast, and how soon it was to be heard, as phrases of one line."""
    played = summary.underruns is not None
    made = ", ".join([*summary.outputs, *(["played"] if played else [])])
    facts = [*([made] if made else []), f"{summary.audio_seconds:.1f} s", summary.model]
    facts += speed_parts(summary.timings, summary.underruns)
    if summary.auto_steps and summary.steps:
        least, most = min(summary.steps), max(summary.steps)
        facts.append(f"{most} steps" if least == most else f"{least} to {most} steps")
    after = summary.sound_after
    if summary.before_sound is None or after is None:
        return _separated([*facts, "no sound"])
    digits = 2 if after < 10 else 1
    named = [
        f"{name} {seconds:.{digits}f}"
        for name, seconds in summary.before_sound.items()
        if seconds >= max(_NAMED_SECONDS, 10**-digits / 2) or name in _ALWAYS_NAMED
    ]
    verb = "heard" if played else "sound"
    return [*_separated([*facts, f"{verb} after {after:.{digits}f} s"]), *_in_brackets(named)]


def speed_parts(timings: Timings, underruns: int | None) -> Sequence[str]:
    """Return the speed against real time, and the underruns if something was played."""
    parts = []
    if timings.real_time_factor:
        parts.append(described_speed(1 / timings.real_time_factor))
    if underruns is not None:
        parts.append(f"{underruns} underrun{'' if underruns == 1 else 's'}")
    return parts


def described_speed(speed: float) -> str:
    """Return a speed in words, such as "4.1× faster than real time"."""
    if speed >= _FASTER:
        return f"{speed:.0f}× faster than real time" if speed >= 10 else f"{speed:.1f}× faster than real time"
    if speed >= _SLOWER:
        return "as fast as real time"
    return f"{speed:.1f}× real time, slower than speech" if speed >= 0.1 else "far slower than speech"


def brief(seconds: float) -> str:
    """Return a duration in two or three digits."""
    if seconds < 0.1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"


def seconds_since_start() -> float:
    """Return the time since this program was started: since the user pressed Enter.

    Linux records it in ticks of 10 ms (proc(5), starttime). Elsewhere, and where a shell ran other programs first, the
    time before this module was imported is taken to be the processor time used for it.
    """
    here = _PROCESSED_BEFORE + time.perf_counter() - _IMPORTED
    started = started_at(os.getpid())
    if started is None or _WAS_A_SHELL:
        return here
    since = time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK")
    return max(since, time.perf_counter() - _IMPORTED)


def _separated(facts: Sequence[str]) -> list[str]:
    return [*(f"{fact} ·" for fact in facts[:-1]), facts[-1]]


def _in_brackets(facts: Sequence[str]) -> list[str]:
    """Return facts as phrases of a list in brackets."""
    phrases = [f"{fact}," for fact in facts[:-1]] + [f"{fact})" for fact in facts[-1:]]
    return [f"({phrase}" for phrase in phrases[:1]] + phrases[1:]
