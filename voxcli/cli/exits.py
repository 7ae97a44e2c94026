"""Exit codes, and which error becomes which."""

import os
import signal
import sys
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
)


class Terminated(BaseException):
    """SIGTERM came. Like KeyboardInterrupt, nobody but the outermost handler may hold it up."""


class GracefulShutdown:
    """Within it, the first signal is an exception in the main thread, and the second one ends the process."""

    def __init__(self) -> None:
        self._interrupted: type[BaseException] | None = None
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
        """Raise again what a library may have swallowed: PyAV loses what is raised while it makes its own errors."""
        if self._interrupted:
            raise self._interrupted

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._interrupted:
            os._exit(128 + number)  # the shell's way of saying which signal it was
        self._interrupted = KeyboardInterrupt if number == signal.SIGINT else Terminated
        if number == signal.SIGINT and sys.stderr.isatty():
            # Not through the console: it may be in the middle of a line, and it is not reentrant.
            os.write(2, b"\nstopping...\n")
        raise self._interrupted


class ExitCode(IntEnum):
    """What a script can rely on."""

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
    ExitCode.INTERNAL: "a fault of voxcli itself, or what `bench --fail-if` looks for",
    ExitCode.USAGE: "wrong options, or a wrong settings file",
    ExitCode.NOT_FOUND: "no such model, voice or language, or it is damaged",
    ExitCode.BAD_INPUT: "the text, a clip or a file name cannot be used",
    ExitCode.DEVICE: "loudspeaker, microphone, disk or accelerator",
    ExitCode.NETWORK: "a server that cannot be reached, says no, or stops before the end",
    ExitCode.TIMEOUT: "a server that does not answer in time",
    ExitCode.UNAUTHORIZED: "a server that wants a key, or another one",
    ExitCode.INTERRUPTED: "Ctrl-C",
    ExitCode.TERMINATED: "SIGTERM",
}
"""The codes that this version can end with. The others are reserved."""

_BY_ERROR: dict[type[BaseException], ExitCode] = {
    RequestError: ExitCode.BAD_INPUT,
    NotFound: ExitCode.NOT_FOUND,
    ModelError: ExitCode.NOT_FOUND,
    RemoteError: ExitCode.NETWORK,
    RemoteTimeout: ExitCode.TIMEOUT,
    DeviceError: ExitCode.DEVICE,
    ConsumerClosed: ExitCode.OK,
    KeyboardInterrupt: ExitCode.INTERRUPTED,
    Terminated: ExitCode.TERMINATED,
}

_WANTS_A_KEY = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}


def exit_code(error: BaseException) -> ExitCode:
    """Look an error up by its class, the nearest ancestor first."""
    if isinstance(error, RemoteRefused) and error.status in _WANTS_A_KEY:
        return ExitCode.UNAUTHORIZED
    for kind in type(error).__mro__:
        if kind in _BY_ERROR:
            return _BY_ERROR[kind]
    return ExitCode.INTERNAL
