"""Sockets on which Wyoming is spoken: their connections, and the end of those."""

import asyncio
import socket
from contextlib import suppress

from voxcli.errors import ConsumerClosed
from voxcli.server.service import Service
from voxcli.server.streaming.response import Stalled
from voxcli.server.wyoming.session import PROTOCOL, WyomingSession

_LAST_SECONDS = 2
"""For the last frames of a connection after the last text has been spoken."""


class WyomingServer:
    """Accepts connections on one socket, which the caller closes."""

    def __init__(self, service: Service, sock: socket.socket) -> None:
        self._service, self._socket = service, sock
        self._server: asyncio.Server | None = None
        self._sessions: dict[asyncio.Task[None], WyomingSession] = {}

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, sock=self._socket)

    def drain(self) -> None:
        """Accept no more connections, and end those that there are when they have spoken what they were told to."""
        if self._server:
            self._server.close()
        for session in self._sessions.values():
            session.drain()

    async def close(self) -> None:
        """End all connections."""
        self.drain()
        if self._sessions:
            await asyncio.wait(self._sessions, timeout=_LAST_SECONDS)
        for task in self._sessions:
            task.cancel()
        if self._sessions:
            await asyncio.wait(self._sessions)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        session = self._sessions[task] = WyomingSession(self._service, reader, writer)
        sockets = self._service.metrics.sockets_open.labels(PROTOCOL)
        sockets.inc()
        try:
            await session.run(full=len(self._sessions) > self._service.settings.max_sockets)
        except (ConsumerClosed, Stalled, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            sockets.dec()
            writer.close()
            with suppress(TimeoutError, OSError):
                async with asyncio.timeout(_LAST_SECONDS):
                    await writer.wait_closed()
            del self._sessions[task]
