"""Registry of resident engines: one private folder with an entry, a lock, a log and a socket for each."""

import json
import os
import signal
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxcli.errors import DeviceError
from voxcli.files import write_atomically
from voxcli.processes import is_running
from voxcli.unix_sockets import MOST_PATH_BYTES, peer_user

_PRIVATE = 0o700
_KILLED_SECONDS = 5.0
_KEPT_SECONDS = 30 * 24 * 60 * 60
"""How long the log of an engine is kept."""
_LOOK_SECONDS = 0.01
SEE_LOG = "Its log: voxcli ps --log. To speak without it: --no-warm."
"""Advice if an engine fails."""
LOADING, READY, FAILED = "loading", "ready", "failed"


class Unavailable(DeviceError):
    """No engine can be kept here. The model can still run in the calling process."""


@dataclass(frozen=True, slots=True)
class EngineEntry:
    """What an engine, or the process that starts it, wrote down about it."""

    key: str
    values: Mapping[str, Any]

    @property
    def pid(self) -> int:
        return int(self.values["pid"])

    @property
    def state(self) -> str:
        return str(self.values["state"])

    @property
    def model(self) -> str:
        return str(self.values["model"])

    def connect(self, seconds: float | None) -> socket.socket:
        """Connect to the engine, which must run as this user.

        seconds: timeout of the connection and of what is done with it; None for none.

        Raises:
            OSError: it does not listen, or belongs to somebody else.
        """
        if path := self.values.get("socket"):
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            address: Any = path
        else:
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            address = ("127.0.0.1", int(self.values["port"]))
        try:
            sock.settimeout(seconds)
            sock.connect(address)
            if peer_user(sock) not in (None, os.getuid()):
                raise PermissionError("the socket belongs to another user")
        except BaseException:
            sock.close()
            raise
        return sock


class Registry:
    """The engines of this user on this machine."""

    def __init__(self, folder: Path) -> None:
        """folder: of the entries; need not exist."""
        self.folder = folder

    def prepare(self) -> None:
        """Create the folder, which only this user may enter.

        Raises:
            Unavailable: it cannot be created, or belongs to somebody else.
        """
        _make_private(self.folder)

    def lock_path(self, key: str) -> Path:
        return self.folder / f"{key}.lock"

    def log_path(self, key: str) -> Path:
        return self.folder / f"{key}.log"

    def new_socket_path(self, key: str) -> Path:
        """Return a free path for the socket of this process, in the folder or, if that is too long, in a temporary one.

        Raises:
            Unavailable: there is no private place for it.
        """
        name = f"{key}-{os.getpid()}.sock"
        path = self.folder.absolute() / name
        if len(os.fsencode(path)) > MOST_PATH_BYTES:
            folder = Path(tempfile.gettempdir()) / f"voxcli-{os.getuid()}"
            _make_private(folder)
            path = folder / name
            if len(os.fsencode(path)) > MOST_PATH_BYTES:
                raise Unavailable(f"The path {path} is too long for a socket.")
        path.unlink(missing_ok=True)
        return path

    def find(self, key: str) -> EngineEntry | None:
        """Read the entry of an engine; None if there is none that this user wrote, or its process is gone."""
        path = self.folder / f"{key}.json"
        try:
            with path.open("rb") as file:
                if not _is_own(os.fstat(file.fileno())) or not _is_own(self.folder.stat()):
                    return None
                values = json.load(file)
            entry = EngineEntry(key, values)
            if values["machine"] != socket.gethostname():
                return None
            return entry if entry.state == FAILED or is_running(entry.pid, values["started"]) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def entries(self) -> Iterator[EngineEntry]:
        """Yield the engines that are running or starting."""
        with suppress(OSError):
            for path in sorted(self.folder.glob("*.json")):
                entry = self.find(path.stem)
                if entry and entry.state != FAILED:
                    yield entry

    def write(self, key: str, values: Mapping[str, Any]) -> None:
        """Write an entry, with the name of this machine. Raises OSError if the disk is full or the folder is gone."""
        text = json.dumps({**values, "machine": socket.gethostname()})
        write_atomically(self.folder / f"{key}.json", text.encode(), private=True, durable=False)

    def sweep(self) -> None:
        """Delete sockets of processes that were killed, and the logs and entries of engines not used for a month."""
        with suppress(OSError):
            for path in self.folder.iterdir():
                with suppress(OSError, ValueError):
                    if (path.suffix == ".sock" and not is_running(int(path.stem.rpartition("-")[2]), None)) or (
                        time.time() - path.stat().st_mtime > _KEPT_SECONDS and self.find(path.stem) is None
                    ):
                        path.unlink()

    def remove(self, entry: EngineEntry) -> None:
        """Delete an entry and its socket, unless another process has taken its place."""
        path = self.folder / f"{entry.key}.json"
        with suppress(OSError, ValueError):
            if json.loads(path.read_bytes()).get("pid") == entry.pid:
                path.unlink()
        if socket_path := entry.values.get("socket"):
            with suppress(OSError):
                Path(socket_path).unlink()


def _make_private(folder: Path) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=_PRIVATE, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or not _is_own(found):
            raise Unavailable(f"The folder {folder} belongs to another user.")
        if sys.platform != "win32" and stat.S_IMODE(found.st_mode) != _PRIVATE:
            folder.chmod(_PRIVATE)
    except OSError as error:
        raise Unavailable(f"The folder {folder} cannot be used: {error.strerror or error}.") from error


def _is_own(found: os.stat_result) -> bool:
    return sys.platform == "win32" or found.st_uid == os.getuid()


def kill(entry: EngineEntry) -> None:
    """End the process of an engine without asking it, if it still runs. A `voxcli serve` is left alone."""
    if entry.values.get("serves"):
        return
    if is_running(entry.pid, entry.values.get("started")):
        with suppress(OSError):
            os.kill(entry.pid, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
        wait_for_end(entry, _KILLED_SECONDS)


def wait_for_end(entry: EngineEntry, seconds: float) -> bool:
    """Wait until the process of an engine has ended. Return False if it has not."""
    deadline = time.monotonic() + seconds
    while is_running(entry.pid, entry.values.get("started")):
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_SECONDS)
    return True
