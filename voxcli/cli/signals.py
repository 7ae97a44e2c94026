"""Ctrl-C and SIGTERM: the first one stops in good order, the second one at once."""

import os
import signal
import sys
from types import FrameType, TracebackType
from typing import Any, Self


class Terminated(BaseException):
    """SIGTERM came. Like KeyboardInterrupt, nobody but the outermost handler may hold it up."""


class TwoStrikes:
    """Within it, the first signal is an exception in the main thread, and the second one ends the process."""

    def __init__(self) -> None:
        self._struck: type[BaseException] | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._strike)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def raise_if_struck(self) -> None:
        """Raise again what a library may have swallowed: PyAV loses what is raised while it makes its own errors."""
        if self._struck:
            raise self._struck

    def _strike(self, number: int, frame: FrameType | None) -> None:
        if self._struck:
            os._exit(128 + number)  # the shell's way of saying which signal it was
        self._struck = KeyboardInterrupt if number == signal.SIGINT else Terminated
        if number == signal.SIGINT and sys.stderr.isatty():
            # Not through the console: it may be in the middle of a line, and it is not reentrant.
            os.write(2, b"\nstopping...\n")
        raise self._struck
