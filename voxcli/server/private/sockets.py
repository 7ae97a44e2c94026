"""Private sockets: a Unix socket that only this user can open, or a loopback port with a key where there are none."""

import errno
import os
import secrets
import socket
import stat
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from starlette.types import Scope

from voxcli.errors import DeviceError
from voxcli.unix_sockets import MOST_PATH_BYTES, peer_user

PRIVATE = "private"
"""Key of the request state: whether the request came over a private connection."""
NEEDED_KEY = "private key"
"""Key of the request state: the key that a request on a private port has to show before it counts as private."""

_KEY_BYTES = 32
_ROOT = 0

if sys.platform != "win32":  # where Python has no Unix sockets, and mypy does not know of them
    UNIX = socket.AF_UNIX


class PrivateSocket:
    """A listening socket whose connections are private. Close it after the server; that removes its file."""

    def __init__(self, sock: socket.socket, *, key: str = "", path: Path | None = None) -> None:
        """
        Args:
            key: that requests have to show, as a bearer token; empty on a Unix socket.
            path: of a Unix socket.
        """
        self.sock, self.key, self.path = sock, key, path
        self._file = _identity(path) if path else None

    @property
    def port(self) -> int:
        """The port; 0 for a Unix socket."""
        return 0 if self.path else int(self.sock.getsockname()[1])

    def remove(self) -> None:
        """Remove the file, unless another server has replaced it. Connections that are open stay so."""
        if self.path and self._file and _identity(self.path) == self._file:
            with suppress(OSError):
                self.path.unlink()
        self._file = None

    def close(self) -> None:
        """Remove the file and close the socket."""
        self.remove()
        self.sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_private_socket(path: Path) -> PrivateSocket:
    """Open a Unix socket, with mode 0600, in a folder that only this user can enter.

    A file that a server has left behind, to which nothing listens any more, is replaced.

    Raises:
        DeviceError: another server listens there, something else is in the way, the path is too long, or this system
            allows no Unix sockets.
    """
    if len(os.fsencode(path)) > MOST_PATH_BYTES:
        raise DeviceError(f"The path of a socket is too long, with more than {MOST_PATH_BYTES} bytes: {path}.")
    if sys.platform == "win32":
        raise DeviceError("This system has no Unix sockets.")
    try:
        sock = _bound(path)
    except OSError as error:
        raise DeviceError(f"Nothing can listen at {path}: {error.strerror or error}.") from error
    return PrivateSocket(sock, path=path)


def open_keyed_socket() -> PrivateSocket:
    """Open a port of this machine, for systems without Unix sockets. Its key is a new random one.

    Raises:
        DeviceError: no port can be opened.
    """
    try:
        sock = socket.create_server(("127.0.0.1", 0))
    except OSError as error:
        raise DeviceError(f"Nothing can listen on this machine: {error.strerror or error}.") from error
    return PrivateSocket(sock, key=secrets.token_urlsafe(_KEY_BYTES))


def is_private(scope: Scope) -> bool:
    """Tell whether a request came over a private connection."""
    return scope.get("state", {}).get(PRIVATE) is True


def is_own_peer(sock: socket.socket) -> bool:
    """Tell whether the other end of a Unix socket belongs to this user, as far as the system says.

    The modes of the socket and of its folder keep other users out. This is for the case that the user has changed
    them, and for Linux only: other systems have other calls.
    """
    return sys.platform == "win32" or peer_user(sock) in (None, os.getuid(), _ROOT)


def _bound(path: Path) -> socket.socket:
    sock = socket.socket(UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)  # there is no moment at which another user could open it
    try:
        try:
            sock.bind(os.fspath(path))
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not _is_abandoned(path):
                raise
            path.unlink()
            sock.bind(os.fspath(path))
    except BaseException:
        sock.close()
        raise
    finally:
        os.umask(before)
    sock.listen()  # from now on it does not look abandoned
    return sock


def _is_abandoned(path: Path) -> bool:
    """Tell whether a file is a socket of this user to which nothing listens."""
    status = path.lstat()
    if not stat.S_ISSOCK(status.st_mode) or status.st_uid != os.getuid():
        return False
    with socket.socket(UNIX, socket.SOCK_STREAM) as client:
        client.setblocking(False)
        try:
            client.connect(os.fspath(path))
        except ConnectionRefusedError:
            return True
        except OSError:  # a full queue: somebody listens, even if it does not answer
            return False
    return False


def _identity(path: Path) -> tuple[int, ...] | None:
    """Tell a file from another one with the same name, which may even get the number of the first one."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns
