"""Keep-alive: an idle server ends after a while, and is the first process to go when memory runs out."""

import asyncio
import math
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from voxcli.protocols.dialect import FieldError

HEADER = "x-voxcli-keep-alive"
"""Of a request for speech: seconds, negative for ever."""
FOR_EVER = -1.0
"""In place of a number of seconds."""
_LONGEST_LOOK = 10.0
"""Seconds between two looks at the clock: timers do not run while the machine is suspended."""
_OOM_SCORE = Path("/proc/self/oom_score_adj")
_IDLE_SCORE = 500
"""Of 1000: the kernel ends an idle server before a program that somebody works with."""


def read_seconds(header: str | None) -> float | None:
    """Return the value of the header; None if there is none.

    Raises:
        FieldError: it is not a number.
    """
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise FieldError(f"{HEADER!r} must be a number of seconds.", HEADER)
    return seconds


def seconds_with_suspension() -> float:
    """Return seconds on a clock that goes on while the machine is suspended, and that cannot be set.

    Linux calls it CLOCK_BOOTTIME. CLOCK_MONOTONIC stops there, but not on macOS; on Windows, neither does Python's own.
    """
    clock = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))
    if clock is not None:
        with suppress(OSError):
            return time.clock_gettime(clock)
    return time.monotonic()


class KeepAlive:
    """Counts what a server does, and ends it when it has done nothing for a while. Used on the event loop."""

    def __init__(
        self,
        seconds: float = FOR_EVER,
        *,
        is_fixed: bool = True,
        clock: Callable[[], float] = seconds_with_suspension,
        look_seconds: float = _LONGEST_LOOK,
        score: Path = _OOM_SCORE,
    ) -> None:
        """
        Args:
            seconds: without any use, after which the server ends; negative for never, 0 for as soon as it is idle.
            is_fixed: whether requests cannot change that, and the process stays as important while it is idle.
            clock: seconds from any origin.
            look_seconds: between two looks at the clock, at most.
            score: the file that says how soon the kernel may end this process.
        """
        self.seconds = seconds
        self.is_fixed = is_fixed
        self._clock, self._look_seconds = clock, look_seconds
        self._score = score
        self._usual_score: str | None = None
        self._uses = 0
        self._used_at = clock()
        self._timer: asyncio.TimerHandle | None = None
        self._on_expired: Callable[[], None] | None = None

    @property
    def idle_seconds(self) -> float:
        """For how long nothing has been done; 0 while something is."""
        return 0.0 if self._uses else self._clock() - self._used_at

    @property
    def remaining_seconds(self) -> float:
        """Until the server ends unless it is used; negative for ever."""
        return FOR_EVER if self.seconds < 0 else max(0.0, self.seconds - self.idle_seconds)

    def start(self, on_expired: Callable[[], None]) -> None:
        """Count from now on, and call a function when it is over."""
        self._on_expired = on_expired
        self.touch()

    def close(self) -> None:
        self._on_expired = None
        self._cancel()

    def begin(self) -> None:
        """Note the beginning of a use."""
        self._uses += 1
        self._cancel()
        self._set_score(idle=False)

    def end(self) -> None:
        """Note the end of a use."""
        self._uses -= 1
        self.touch()

    def touch(self, seconds: float | None = None) -> None:
        """Count from now on.

        seconds: see `__init__`; None for what they were.
        """
        if seconds is not None and not self.is_fixed:
            self.seconds = seconds
        self._used_at = self._clock()
        if not self._uses and self._on_expired:
            self._set_score(idle=True)
            self._look()

    def _look(self) -> None:
        self._cancel()
        if self.seconds < 0 or self._on_expired is None:
            return
        if left := self.remaining_seconds:
            self._timer = asyncio.get_running_loop().call_later(min(left, self._look_seconds), self._look)
        else:
            self._on_expired()

    def _cancel(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _set_score(self, *, idle: bool) -> None:
        """Raise the score while idle, and put it back. Where that is not possible, it makes no difference to users."""
        if self.is_fixed:
            return
        with suppress(OSError, ValueError):
            if idle and self._usual_score is None:
                usual = self._score.read_text("ascii").strip()
                self._score.write_text(str(max(int(usual), _IDLE_SCORE)), "ascii")
                self._usual_score = usual
            elif not idle and self._usual_score is not None:
                self._score.write_text(self._usual_score, "ascii")
                self._usual_score = None
