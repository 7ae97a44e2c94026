"""Exit codes and signals."""

import os
import re
import signal
import sys
from collections.abc import Callable
from enum import IntEnum
from http import HTTPStatus
from types import FrameType, TracebackType
from typing import Any, Self

from voxcli.errors import (
    ConsumerClosed,
    DeviceError,
    ModelError,
    NotFound,
    RemoteError,
    RemoteRefused,
    RemoteTimeout,
    RequestError,
    TurnTimeout,
)

_END_OF_LINE = b"\r\x1b[2K\x1b[?25h"
"""Erases a line of progress, and shows the cursor again."""


class Terminated(BaseException):
    """SIGTERM was received. Like KeyboardInterrupt, only the outermost handler may catch it for good."""


class GracefulShutdown:
    """SIGINT and SIGTERM within a block: the first one asks for a clean end, the second one ends the process.

    The first one raises KeyboardInterrupt or `Terminated` in the main thread, unless `on_first` is given.
    """

    def __init__(self, on_first: Callable[[], object] | None = None) -> None:
        """on_first: called from the signal handler instead of raising."""
        self.interrupted: type[BaseException] | None = None
        """The exception that the first signal stands for."""
        self.silent = False
        """Whether something else on the terminal says that the program is stopping."""
        self._on_first = on_first
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._interrupt)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def raise_if_interrupted(self) -> None:
        """Raise again what a library may have swallowed: PyAV drops exceptions raised inside its error handling."""
        if self.interrupted:
            raise self.interrupted

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.interrupted:
            if self.silent:
                os.write(2, _END_OF_LINE)
            os._exit(128 + number)  # the exit code that shells use for a signal
        self.interrupted = KeyboardInterrupt if number == signal.SIGINT else Terminated
        if self._on_first:
            self._on_first()
            return
        if number == signal.SIGINT and sys.stderr.isatty() and not self.silent:
            # Not through the console, which is not reentrant and may be in the middle of a line.
            os.write(2, b"\nstopping...\n")
        raise self.interrupted


class ExitCode(IntEnum):
    """Stable codes for scripts."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    NOT_FOUND = 3
    BAD_INPUT = 4
    DEVICE = 5
    NETWORK = 6
    TIMEOUT = 7
    UNAUTHORIZED = 8
    PARTLY = 9
    INTERRUPTED = 130
    TERMINATED = 143


MEANINGS = {
    ExitCode.OK: "done",
    ExitCode.INTERNAL: "internal error, or `bench --fail-if` is met",
    ExitCode.USAGE: "invalid options or settings",
    ExitCode.NOT_FOUND: "no such model, voice or language, or damaged",
    ExitCode.BAD_INPUT: "invalid text, list, clip or name",
    ExitCode.DEVICE: "sound device, disk or GPU failed",
    ExitCode.NETWORK: "server unreachable, refused or lost",
    ExitCode.TIMEOUT: "timeout",
    ExitCode.UNAUTHORIZED: "not authorized",
    ExitCode.PARTLY: "some rows of `batch` failed",
    ExitCode.INTERRUPTED: "Ctrl-C",
    ExitCode.TERMINATED: "SIGTERM",
}
"""For the help."""

_BY_ERROR: dict[type[BaseException], ExitCode] = {
    RequestError: ExitCode.BAD_INPUT,
    NotFound: ExitCode.NOT_FOUND,
    ModelError: ExitCode.NOT_FOUND,
    RemoteError: ExitCode.NETWORK,
    RemoteTimeout: ExitCode.TIMEOUT,
    DeviceError: ExitCode.DEVICE,
    TurnTimeout: ExitCode.TIMEOUT,
    ConsumerClosed: ExitCode.OK,
    KeyboardInterrupt: ExitCode.INTERRUPTED,
    Terminated: ExitCode.TERMINATED,
}

_MAY_NAME_NOTHING = {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY}
_NAMED = r"\b(voices?|speakers?|languages?|models?)\b"
_NAMES_NOTHING = re.compile(
    rf"\b(no|unknown|invalid|unsupported)\s+(such\s+)?{_NAMED}|does not speak"
    rf"|{_NAMED}[^.]*\b(not found|not exist|not supported|not available|unknown|is invalid)\b",
    re.IGNORECASE,
)
"""How servers say that there is no voice, language or model of a name."""
_UNAUTHORIZED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}


def exit_code(error: BaseException) -> ExitCode:
    """Return the code of an error: that of its class, or of the nearest base class that has one."""
    if isinstance(error, RemoteRefused) and error.status in _UNAUTHORIZED:
        return ExitCode.UNAUTHORIZED
    if isinstance(error, RemoteRefused) and error.status in _MAY_NAME_NOTHING and _NAMES_NOTHING.search(str(error)):
        return ExitCode.NOT_FOUND
    for kind in type(error).__mro__:
        if kind in _BY_ERROR:
            return _BY_ERROR[kind]
    return ExitCode.INTERNAL
