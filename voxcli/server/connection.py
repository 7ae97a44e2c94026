"""HTTP connections: how they are read and answered, until the client is gone."""

import asyncio
import select
import socket
import sys
from collections.abc import Iterable, Mapping
from email.utils import formatdate
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from voxcli.server.private.sockets import NEEDED_KEY, PRIVATE, UNIX, PrivateSocket, is_own_peer
from voxcli.server.streaming.response import CONNECTION

_SAME_IN_EVERY_ANSWER = b"HTTP/1.1 "
_HALF_A_HEAD = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_PRIVATE_SECONDS = 24 * 60 * 60
"""For a request to arrive on a private connection, and for the next one: a program may connect before it has a text."""
_LOOK_SECONDS = 0.05
"""Between two looks at a connection whose client will send nothing more."""


class Connection(H11Protocol):
    """Sends every chunk at once, waits for a request for a limited time, and answers clients that only stopped sending.

    Its transport is exposed to the application, which may have to abort it.
    """

    receive_seconds: float = _PRIVATE_SECONDS
    keys: Mapping[object, str] = {}
    """Keys of private ports, by their address."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        sock: socket.socket = transport.get_extra_info("socket")
        self.app_state = {**self.app_state, CONNECTION: transport}
        self._is_unix = sys.platform != "win32" and sock.family == UNIX
        if self._is_unix:
            self.app_state[PRIVATE] = True
        else:
            # asyncio sets it only on connections of its own. Without it, a chunk is delayed by 40 ms.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.app_state[NEEDED_KEY] = self.keys.get(sock.getsockname(), "")
        if self._is_unix or self.app_state[NEEDED_KEY]:
            self.receive_seconds = self.timeout_keep_alive = _PRIVATE_SECONDS
        self._upgraded = False
        self._ended = False
        """Whether the client will send nothing more."""
        self._look: asyncio.TimerHandle | None = None
        self._deadline: asyncio.TimerHandle | None = None
        if self._is_unix and not is_own_peer(sock):
            transport.abort()
            return
        self._limit_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_timers()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._upgraded = True  # another protocol reads the connection from now on
        self._cancel_timers()
        super().handle_websocket_upgrade(event)

    def handle_events(self) -> None:
        self.server_state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
        super().handle_events()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._upgraded:
            return
        if not self._is_answering():
            self._limit_request()  # it began to send a request, and keep-alive has no timeout any more
        elif self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer a complete request even if nothing more is sent, as `nc -N` does, unless the client is gone.

        A client that closed its socket looks the same until something is sent to it. So the first bytes, which are
        the same in every answer, are sent at once: the system then reports an error if the socket was closed.

        The other end of a Unix socket is on this machine, and the system tells at once whether it is closed.
        """
        encrypted = self.transport.get_extra_info("ssl_object")  # TLS has no half of a connection
        if encrypted or not self._is_answering() or self.cycle.more_body or self._is_gone():
            return False  # close the connection
        if not self._ended:
            self._ended = True
            if not self.cycle.response_started:
                self.transport.write(_SAME_IN_EVERY_ANSWER)
                self.cycle.transport = _Begun(self.transport)  # type: ignore[assignment]
            self._look_for_client()
        return True

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._ended and not self._is_answering():
            self.transport.close()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _cancel_timers(self) -> None:
        for timer in (self._look, self._deadline):
            if timer:
                timer.cancel()

    def _limit_request(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.receive_seconds, self._close_unless_answering)

    def _close_unless_answering(self) -> None:
        self._deadline = None
        if self._is_answering() or self.transport.is_closing():
            return
        if self.conn.our_state is h11.IDLE and self.conn.trailing_data[0]:
            self.transport.write(_HALF_A_HEAD)
        self.transport.close()

    def _look_for_client(self) -> None:
        if self.transport.is_closing():
            return
        if self._is_gone():
            self.transport.abort()
        else:
            self._look = self.loop.call_later(_LOOK_SECONDS, self._look_for_client)

    def _is_gone(self) -> bool:
        """Tell whether the system knows that the client has closed its socket, or has ended."""
        sock: socket.socket = self.transport.get_extra_info("socket")
        return _is_hung_up(sock) if self._is_unix else bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))


def _is_hung_up(sock: socket.socket) -> bool:
    """Tell whether the other end of a Unix socket is closed, and not only its sending half.

    Linux and macOS report POLLHUP then, in whatever way its process ended. Windows has no such sockets in Python; on
    its private ports, as on every connection over TCP, the first bytes of an answer tell.
    """
    poll = select.poll()
    poll.register(sock, 0)
    return bool(poll.poll(0))


def connection_class(receive_seconds: float, private: Iterable[PrivateSocket]) -> type[Connection]:
    """Return the class with its settings, as uvicorn creates the connections."""
    keys = {one.sock.getsockname(): one.key for one in private if one.key}
    return type("_LimitedConnection", (Connection,), {"receive_seconds": receive_seconds, "keys": keys})


class _Begun:
    """A transport to which the first bytes of an answer have been written already."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._left = _SAME_IN_EVERY_ANSWER

    def write(self, data: bytes) -> None:
        if self._left and data:
            assert data.startswith(self._left)
            data, self._left = data[len(self._left) :], b""
        self._transport.write(data)

    def close(self) -> None:
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()
