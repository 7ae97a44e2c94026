"""Unix sockets, for both sides: how long their paths may be, and to whom the other end belongs."""

import socket
import struct
import sys

MOST_PATH_BYTES = 100
"""Of the path of a socket: macOS allows 103, Linux 107."""
_CREDENTIALS = struct.Struct("3i")  # pid, uid and gid


def peer_user(sock: socket.socket) -> int | None:
    """Return the user id of the other end; None where it is not told: on other sockets, and systems but Linux."""
    if sys.platform != "linux" or sock.family != socket.AF_UNIX:
        return None
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    user: int = _CREDENTIALS.unpack(credentials)[1]
    return user
