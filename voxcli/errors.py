"""Exceptions whose messages are shown to the user.

    VoxError
    ├── RequestError    invalid, or not supported by this engine or protocol; nothing was run
    ├── NotFound        no such voice, model or language (the message lists the known ones)
    ├── ModelError      damaged, or failed while running
    ├── RemoteError     cannot reach the server
    │   ├── RemoteRefused   the server rejected the request
    │   │   └── RemoteUnknown   it has no such model or voice; a NotFound too
    │   ├── RemoteTimeout   the server did not answer in time
    │   └── RemoteCut       the connection was lost before the end
    └── DeviceError     loudspeaker, disk, accelerator
        ├── OutOfMemory     the memory does not hold what is asked for
        └── TurnTimeout     others were speaking for too long

HTTP statuses and exit codes are assigned elsewhere: in `server.errors` and `cli.exits`.
"""

from collections.abc import Iterable, Mapping
from typing import Any


class VoxError(Exception):
    """A message says what happened, with what, and what to do next."""

    def __init__(self, message: str, *, on_command_line: str = "") -> None:
        """
        Args:
            message: for every user, so without command-line options and commands.
            on_command_line: what to do next, with options and commands; only the command line shows it.
        """
        super().__init__(message)
        self._on_command_line = on_command_line

    @property
    def for_command_line(self) -> str:
        """The message and what to do next on the command line."""
        return f"{self} {self._on_command_line}".rstrip()

    def to_dict(self) -> dict[str, Any]:
        """Return the error as values of JSON, from which `error_from_dict` makes it again in another process.

        A class that is defined elsewhere is described as its nearest base class here.
        """
        kind = next(base.__name__ for base in type(self).__mro__ if base.__module__ == __name__)
        return {"kind": kind, "message": str(self), "on_command_line": self._on_command_line}


class RequestError(VoxError):
    """The request is invalid or not supported; nothing was run."""


class NotFound(VoxError):
    """There is no voice, model, language or file of that name."""


class ModelError(VoxError):
    """A model is damaged, or failed while running."""


class RemoteError(VoxError):
    """A server cannot be reached."""


class RemoteRefused(RemoteError):
    """A server answered, and said no."""

    def __init__(
        self, message: str, status: int, *, on_command_line: str = "", retry_after: float | None = None
    ) -> None:
        """retry_after: seconds after which the server asks to come again, if it does."""
        super().__init__(message, on_command_line=on_command_line)
        self.status = status
        self.retry_after = retry_after

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "status": self.status}


class RemoteUnknown(NotFound, RemoteRefused):
    """A server has no model or voice of the requested name."""


class RemoteTimeout(RemoteError):
    """A server did not answer in time."""


class RemoteCut(RemoteError):
    """A server stopped before the end of its answer."""


class DeviceError(VoxError):
    """The loudspeaker, the disk or the accelerator cannot do it."""


class OutOfMemory(DeviceError):
    """The memory of a device does not hold what is asked for."""


class TurnTimeout(DeviceError):
    """Others have been speaking for longer than was to be waited."""


_KINDS = {
    kind.__name__: kind
    for kind in (
        VoxError,
        RequestError,
        NotFound,
        ModelError,
        RemoteError,
        RemoteTimeout,
        RemoteCut,
        DeviceError,
        OutOfMemory,
        TurnTimeout,
    )
}
_KINDS_WITH_STATUS = {kind.__name__: kind for kind in (RemoteRefused, RemoteUnknown)}
_NO_MESSAGE = "The engine failed, and did not say why."


def error_from_dict(document: Mapping[str, Any]) -> VoxError:
    """Return the error that `VoxError.to_dict` has described; of an unknown kind it becomes a ModelError.

    Never raises: what is missing in the description or of another type is left out of the error.
    """
    kind, message, advice, status = (document.get(key) for key in ("kind", "message", "on_command_line", "status"))
    message = message if isinstance(message, str) and message else _NO_MESSAGE
    advice = advice if isinstance(advice, str) else ""
    name = kind if isinstance(kind, str) else ""
    if name in _KINDS_WITH_STATUS and isinstance(status, int):
        return _KINDS_WITH_STATUS[name](message, status, on_command_line=advice)
    return _KINDS.get(name, ModelError)(message, on_command_line=advice)


class ConsumerClosed(Exception):
    """The reader closed the pipe or the connection. Not an error: the work just stops."""


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the nearest of `names`, or an empty string if none is near.

    Near is what a slip of the fingers makes: a letter wrong, missing, doubled or swapped with the next one, in long
    names two or three; or the beginning of one name only.
    """
    by_folded = {candidate.casefold(): candidate for candidate in names}
    folded = name.casefold()
    slips = {candidate: _slips(folded, candidate) for candidate in by_folded}
    near = sorted(
        (count, not candidate.startswith(folded), candidate)
        for candidate, count in slips.items()
        if count <= _allowed_slips(folded, candidate)
    )
    begun = [candidate for candidate in by_folded if candidate.startswith(folded)] if len(folded) > 2 else []
    if not near and len(begun) == 1:
        near = [(0, False, begun[0])]
    return f" Did you mean '{by_folded[near[0][2]]}'?" if near else ""


def _allowed_slips(name: str, candidate: str) -> int:
    shorter = min(len(name), len(candidate))
    return 0 if shorter < 2 else 1 if shorter < 6 else 2 if shorter < 12 else 3


def _slips(name: str, other: str) -> int:
    """Count the letters to insert, delete, replace or swap with the next one (optimal string alignment)."""
    if abs(len(name) - len(other)) > 3:
        return 4
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(name, start=1):
        before, above, row = row, before, [i]
        for j, second in enumerate(other, start=1):
            least = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != second))
            if i > 1 and j > 1 and letter == other[j - 2] and name[i - 2] == second:
                least = min(least, above[j - 2] + 1)
            row.append(least)
    return row[-1]
