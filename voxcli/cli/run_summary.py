"""Summary of a run: what was made, how soon it was to be heard, and how fast."""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from voxcli.synthesis.timing import Timings

_PROCESSED_BEFORE = time.process_time()
_IMPORTED = time.perf_counter()
_NAMED_SECONDS = 0.05
"""Shorter shares of the time to the first sound are not named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """What a run did."""

    model: str
    timings: Timings
    audio_seconds: float
    """Duration of what was written or played, with its pauses."""
    sound_after: float | None
    """Seconds from the start of the program to the first sound."""
    loading_seconds: float
    """Of that, the time until the engine was ready."""
    waiting_seconds: float
    """Of that, the time spent waiting for text."""
    underruns: int | None
    """None if nothing was played."""
    outputs: list[str]
    """Files."""
    seed: int | None


def summary_line(summary: RunSummary) -> str:
    """Return what a run made, how soon it was to be heard, and how fast, as one line."""
    played = summary.underruns is not None
    made = [*summary.outputs, *(["played"] if played else [])]
    parts = [", ".join(made)] if made else []
    parts += [f"{summary.audio_seconds:.1f} s", summary.model]
    voice = summary.timings.first_sound
    if summary.sound_after is None or voice is None:
        parts.append("no sound")
    else:
        named = {"loading": summary.loading_seconds, "text": summary.waiting_seconds}
        shares = [f"{name} {brief(seconds)}" for name, seconds in named.items() if seconds >= _NAMED_SECONDS]
        shares.append(f"voice {brief(voice)}")
        verb = "heard" if played else "sound"
        parts.append(f"{verb} after {brief(summary.sound_after)} ({', '.join(shares)})")
    return " · ".join([*parts, *speed_parts(summary.timings, summary.underruns)])


def speed_parts(timings: Timings, underruns: int | None) -> Sequence[str]:
    """Return the speed against real time, and the underruns if something was played."""
    parts = []
    if timings.real_time_factor:
        speed = 1 / timings.real_time_factor
        parts.append(f"{speed:.0f}× real time" if speed >= 10 else f"{speed:.1f}× real time")
    if underruns is not None:
        parts.append(f"{underruns} underrun{'' if underruns == 1 else 's'}")
    return parts


def brief(seconds: float) -> str:
    """Return a duration in two or three digits."""
    if seconds < 0.1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"


def seconds_since_start() -> float:
    """Return the time since this program was started: since the user pressed Enter.

    Linux records it in ticks of 10 ms (proc(5), starttime). Elsewhere the time before this module was imported is taken
    to be the processor time used for it.
    """
    here = _PROCESSED_BEFORE + time.perf_counter() - _IMPORTED
    with suppress(OSError, AttributeError, ValueError, IndexError):
        started = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        since = time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK")
        return max(since, time.perf_counter() - _IMPORTED)
    return here
