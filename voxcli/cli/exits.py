"""Exit codes, and which error becomes which."""

from enum import IntEnum
from http import HTTPStatus

from voxcli.cli.signals import Terminated
from voxcli.errors import (
    DeviceError,
    ListenerGone,
    ModelError,
    NotFound,
    RemoteError,
    RemoteRefused,
    RemoteTimeout,
    RequestError,
)


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
    ListenerGone: ExitCode.OK,
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
