"""Socket and process: uvicorn opened, run, drained and closed."""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import uvicorn
from starlette.types import ASGIApp

from voxcli.errors import DeviceError
from voxcli.server.connection import connection_class
from voxcli.server.operating.tls import Certificate
from voxcli.server.private.sockets import PrivateSocket
from voxcli.server.service import Service
from voxcli.server.settings import ServerSettings
from voxcli.server.wyoming.server import WyomingServer

_log = logging.getLogger(__name__)

_EVERYWHERE = "::"
"""Includes IPv4 where the system supports both on one socket."""
_LAST_SECONDS = 2
"""Seconds for the remaining connections after the last stream has ended."""
_MESSAGE_BYTES = 16 * 2**20
"""Of one message on a WebSocket, such as a session's settings with a recording."""
_CLOSING_SECONDS = 10
"""Seconds for the model to be unloaded."""


def open_socket(settings: ServerSettings) -> socket.socket:
    """Bind the port. From now on, connections wait until the server accepts them.

    Raises:
        DeviceError: the port is in use, or cannot be bound.
    """
    return bound_socket(settings.host, settings.port, "--port", "--host and --port")


def bound_socket(host: str, port: int, option: str, options: str) -> socket.socket:
    """Bind any port, as `open_socket` does.

    Args:
        option: of the command line, that chooses another port.
        options: those that choose another address.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        both = host == _EVERYWHERE and socket.has_dualstack_ipv6()
        return socket.create_server(address, family=family, dualstack_ipv6=both)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise DeviceError(
                f"Port {port} is taken by another program.", on_command_line=f"Choose another one with {option}."
            ) from error
        reason = error.strerror or error
        raise DeviceError(
            f"Nothing can listen at {host}, port {port}: {reason}.",
            on_command_line=f"Choose others with {options}.",
        ) from error


class Host:
    """Runs one application on its sockets until it is stopped, then waits for running streams."""

    def __init__(
        self,
        app: ASGIApp,
        service: Service,
        *sockets: socket.socket | PrivateSocket,
        wyoming: socket.socket | None = None,
    ) -> None:
        """
        Args:
            sockets: public and private ones; the caller closes them.
            wyoming: on which Wyoming is spoken instead of HTTP; the caller closes it too.

        Raises:
            RequestError: the certificate cannot be used.
        """
        self.service = service
        self._wyoming = WyomingServer(service, wyoming) if wyoming else None
        self._sockets = [one.sock if isinstance(one, PrivateSocket) else one for one in sockets]
        self._private = [one for one in sockets if isinstance(one, PrivateSocket)]
        self._stopping = asyncio.Event()
        if not service.keep_alive.is_fixed:
            service.stop = self.stop
        self._server = _Server(
            uvicorn.Config(
                app,
                http=connection_class(service.settings.receive_seconds, self._private),
                ws="websockets-sansio",
                ws_max_size=_MESSAGE_BYTES,
                ws_ping_interval=service.settings.ping_seconds,
                ws_ping_timeout=service.settings.ping_seconds,
                ws_per_message_deflate=False,  # audio gains nothing by it
                lifespan="off",
                loop="asyncio",
                log_config=None,
                log_level="error",
                access_log=False,
                proxy_headers=False,  # by default it trusts whatever connects from this machine
                server_header=False,
                timeout_graceful_shutdown=_LAST_SECONDS,
            ),
            service.settings,
            [one for one in sockets if not isinstance(one, PrivateSocket)],
        )

    def stop(self, now: bool = False) -> None:
        """Accept no new requests, and end when the running ones are done or the deadline passes.

        now: cut off the running ones.
        """
        self.service.admission.drain()
        if now:
            self.service.abort()
        self._stopping.set()

    async def run(self, on_listening: Callable[[], None], on_ready: Callable[[], None] = lambda: None) -> bool:
        """Serve. Return whether all streams were finished.

        Args:
            on_listening: called when the server answers; the model may still be loading.
            on_ready: called when the model is loaded.

        Raises:
            VoxError: the model cannot be loaded.
        """
        serving = asyncio.create_task(self._server.serve(sockets=self._sockets))
        starting = asyncio.create_task(self.service.start())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await self._server.up.wait()
            if self._wyoming:
                await self._wyoming.start()
            on_listening()
            await asyncio.wait({starting, stopping, serving}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                on_ready()
                self.service.keep_alive.start(self.stop)
            await asyncio.wait({stopping, serving}, return_when=asyncio.FIRST_COMPLETED)
            if self._wyoming:
                self._wyoming.drain()
            return await self.service.drain()
        finally:
            for task in (starting, stopping):
                task.cancel()
            for end in self.service.at_end:
                await end()
            for private in self._private:
                private.remove()  # a program that comes now finds nothing, and starts another server
            self._server.leave()
            if self._wyoming:
                await self._wyoming.close()
            await serving
            await self._server.abort_connections()
            try:
                async with asyncio.timeout(_CLOSING_SECONDS):
                    await self.service.close()
            except TimeoutError:
                _log.warning("the model did not close in time, and ends with the process")


def _is_no_cut(record: logging.LogRecord) -> bool:
    """Tell whether a record of uvicorn is about anything else than answers cut off at the end, which is told once."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, asyncio.CancelledError) and "graceful shutdown exceeded" not in record.getMessage()


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the caller handles signals."""

    def __init__(self, config: uvicorn.Config, settings: ServerSettings, public: list[socket.socket]) -> None:
        """public: sockets on which connections are encrypted if there is a certificate."""
        super().__init__(config)
        self._certificate = Certificate(settings.tls) if settings.tls else None
        self._handshake_seconds = settings.receive_seconds
        self._public = public
        logging.getLogger("uvicorn.error").addFilter(_is_no_cut)
        self.up = asyncio.Event()
        self._leaving = asyncio.Event()

    def leave(self) -> None:
        """Accept no more connections, and end."""
        self.should_exit = True
        self._leaving.set()

    async def main_loop(self) -> None:
        """Wait, without the ten looks a second that uvicorn takes: an idle server leaves the processor asleep."""
        await self._leaving.wait()

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        encrypted = self._public if self._certificate else []
        await super().startup([sock for sock in sockets or () if sock not in encrypted])
        if self._certificate:
            await self._listen_encrypted(self._certificate)
        self.up.set()

    async def _listen_encrypted(self, certificate: Certificate) -> None:
        """Do what uvicorn does, which knows one way for all sockets only."""
        connection: Callable[..., asyncio.Protocol] = self.config.http_protocol_class
        known = {"config": self.config, "server_state": self.server_state, "app_state": self.lifespan.state}
        for sock in self._public:
            listening = await asyncio.get_running_loop().create_server(
                partial(connection, **known),
                sock=sock,
                ssl=certificate.context,
                ssl_handshake_timeout=self._handshake_seconds,
                backlog=self.config.backlog,
            )
            self.servers.append(listening)

    async def abort_connections(self) -> None:
        """Abort connections whose client stopped reading: uvicorn leaves their sockets open."""
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # lets asyncio close the sockets
