"""Socket and process: uvicorn opened, run, drained and closed."""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from voxcli.errors import DeviceError
from voxcli.server.service import Service
from voxcli.server.settings import ServerSettings
from voxcli.server.streaming.response import CONNECTION

_log = logging.getLogger(__name__)

_EVERYWHERE = "::"
"""Includes IPv4 where the system supports both on one socket."""
_LAST_SECONDS = 2
"""Seconds for the remaining connections after the last stream has ended."""
_CLOSING_SECONDS = 10
"""Seconds for the model to be unloaded."""


def open_socket(settings: ServerSettings) -> socket.socket:
    """Bind the port. From now on, connections wait until the server accepts them.

    Raises:
        DeviceError: the port is in use, or cannot be bound.
    """
    host, port = settings.host, settings.port
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        both = host == _EVERYWHERE and socket.has_dualstack_ipv6()
        return socket.create_server(address, family=family, dualstack_ipv6=both)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise DeviceError(
                f"Port {port} is taken by another program.", on_command_line="Choose another one with --port."
            ) from error
        reason = error.strerror or error
        raise DeviceError(
            f"Nothing can listen at {host}, port {port}: {reason}.",
            on_command_line="Choose others with --host and --port.",
        ) from error


class Host:
    """Runs one application on one socket until it is stopped, then waits for running streams."""

    def __init__(self, app: ASGIApp, service: Service, sock: socket.socket) -> None:
        self._service = service
        self._sock = sock
        self._stopping = asyncio.Event()
        self._server = _Server(
            uvicorn.Config(
                app,
                http=_connection_class(service.settings),
                ws="none",
                lifespan="off",
                loop="asyncio",
                log_config=None,
                log_level="error",
                access_log=False,
                proxy_headers=False,  # by default it trusts whatever connects from this machine
                server_header=False,
                timeout_graceful_shutdown=_LAST_SECONDS,
            )
        )

    def stop(self) -> None:
        """Accept no new requests, and end when the running ones are done or the deadline passes."""
        self._stopping.set()

    async def run(self, on_listening: Callable[[], None], on_ready: Callable[[], None] = lambda: None) -> bool:
        """Serve. Return whether all streams were finished.

        Args:
            on_listening: called when the server answers; the model may still be loading.
            on_ready: called when the model is loaded.

        Raises:
            VoxError: the model cannot be loaded.
        """
        serving = asyncio.create_task(self._server.serve(sockets=[self._sock]))
        starting = asyncio.create_task(self._service.start())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await self._server.up.wait()
            on_listening()
            await asyncio.wait({starting, stopping, serving}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                on_ready()
            await asyncio.wait({stopping, serving}, return_when=asyncio.FIRST_COMPLETED)
            return await self._service.drain()
        finally:
            for task in (starting, stopping):
                task.cancel()
            self._server.should_exit = True
            await serving
            await self._server.abort_connections()
            try:
                async with asyncio.timeout(_CLOSING_SECONDS):
                    await self._service.close()
            except TimeoutError:
                _log.warning("the model did not close in time, and ends with the process")


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the caller handles signals."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    async def abort_connections(self) -> None:
        """Abort connections whose client stopped reading: uvicorn leaves their sockets open."""
        for connection in list(self.server_state.connections):
            if isinstance(connection, _Connection):
                connection.transport.abort()
        await asyncio.sleep(0)  # lets asyncio close the sockets


_SAME_IN_EVERY_ANSWER = b"HTTP/1.1 "
_HALF_A_HEAD = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_LOOK_SECONDS = 0.05
"""Between two looks at a connection whose client will send nothing more."""


class _Connection(H11Protocol):
    """Sends every chunk at once, waits for a request for a limited time, and answers clients that only stopped sending.

    Its transport is exposed to the application, which may have to abort it.
    """

    receive_seconds = ServerSettings().receive_seconds

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        # asyncio sets it only on connections of its own. Without it, a chunk is delayed by 40 ms.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.app_state = {**self.app_state, CONNECTION: transport}
        self._ended = False
        """Whether the client will send nothing more."""
        self._look: asyncio.TimerHandle | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._limit_request()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._look, self._deadline):
            if timer:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._is_answering():
            self._limit_request()  # it began to send a request, and keep-alive has no timeout any more
        elif self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer a complete request even if nothing more is sent, as `nc -N` does, unless the client is gone.

        A client that closed its socket looks the same until something is sent to it. So the first bytes, which are
        the same in every answer, are sent at once: the system then reports an error if the socket was closed.
        """
        if not self._is_answering() or self.cycle.more_body:
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
        sock: socket.socket = self.transport.get_extra_info("socket")
        if self.transport.is_closing():
            return
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.transport.abort()
        else:
            self._look = self.loop.call_later(_LOOK_SECONDS, self._look_for_client)


def _connection_class(settings: ServerSettings) -> type[_Connection]:
    """Return the class with its timeout, as uvicorn creates the connections."""
    return type("_LimitedConnection", (_Connection,), {"receive_seconds": settings.receive_seconds})


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
