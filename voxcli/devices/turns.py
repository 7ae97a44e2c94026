"""Turns at the loudspeaker: of all programs of this user that take one, one speaks at a time, in the order they came.

A turn is a file in a folder of this user, whose name sorts after those that came before, and one lock that its holder
has while it speaks. The system releases the lock of a process that is killed, and the files of processes that are gone
are deleted by those who wait.
"""

import itertools
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout

from voxcli.errors import DeviceError, TurnTimeout
from voxcli.processes import is_running, started_at

_SUFFIX = ".turn"
POLL_SECONDS = 0.025
"""Between two looks at the queue."""
_GRACE_SECONDS = 2.0
"""The one who is next may be stopped (Ctrl-Z). It is passed over after silence of this length."""
_counter = itertools.count()


def still_speaking(seconds: float) -> TurnTimeout:
    """Return the error for having waited that long for the loudspeaker."""
    return TurnTimeout(f"Others were still speaking after {seconds:g} s, so this was not spoken.")


class Turn:
    """A place in the queue for the loudspeaker, from its creation until `leave`."""

    def __init__(self, folder: Path) -> None:
        """Queue behind everyone who is in the folder now.

        Raises:
            DeviceError: the folder cannot be used.
        """
        self._folder = folder
        name = f"{time.monotonic_ns():020d}-{next(_counter):06d}-{os.getpid()}-{started_at(os.getpid()) or 0}{_SUFFIX}"
        self._path = folder / name
        self._free_since: float | None = None
        """Since when no one has been speaking, though someone is before this one."""
        # Taken on one thread, and released on another.
        self._lock = FileLock(folder / "speaking.lock", thread_local=False)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path.touch(mode=0o600, exist_ok=False)
        except OSError as error:
            raise DeviceError(f"The queue in {folder} cannot be used: {error.strerror or error}.") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    @property
    def ahead(self) -> int:
        """How many others are to speak before, or are speaking."""
        return sum(1 for path in self._folder.glob(f"*{_SUFFIX}") if path.name < self._path.name and _is_waiting(path))

    def wait(self, check: Callable[[], None] = lambda: None, seconds: float | None = None) -> None:
        """Return when it is this one's turn.

        Args:
            check: called now and then; raises to give up.
            seconds: the longest wait; None waits as long as it takes.

        Raises:
            TurnTimeout: others are still speaking after that.
        """
        started = time.monotonic()
        while not self.take():
            check()
            if seconds is not None and time.monotonic() - started >= seconds:
                raise still_speaking(seconds)
            time.sleep(POLL_SECONDS)

    def take(self) -> bool:
        """Take the turn if it has come, and tell whether it has. To be called every `POLL_SECONDS`.

        Raises:
            DeviceError: the folder cannot be used any more.
        """
        now, is_next = time.monotonic(), not self.ahead
        if not self._acquire():
            self._free_since = None
        elif is_next or (self._free_since is not None and now - self._free_since > _GRACE_SECONDS):
            return True
        else:
            self._lock.release()
            self._free_since = now if self._free_since is None else self._free_since
        return False

    def leave(self) -> None:
        """Let the next one speak. May be called again."""
        self._lock.release(force=True)
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _acquire(self) -> bool:
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            return False
        except OSError as error:
            raise DeviceError(f"The queue in {self._folder} cannot be used: {error.strerror or error}.") from error
        return True


def _is_waiting(path: Path) -> bool:
    """Tell whether the process of a turn still runs. Deletes the file if not."""
    try:
        pid, started = (int(number) for number in path.stem.split("-")[2:])
    except ValueError:
        return False  # not one of ours
    if is_running(pid, started or None):
        return path.exists()
    with suppress(OSError):
        path.unlink(missing_ok=True)
    return False
