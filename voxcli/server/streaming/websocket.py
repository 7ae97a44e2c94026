"""WebSockets of all streaming protocols: their deadlines, and their end when the server shuts down."""

import asyncio
import json
import logging
import math
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from voxcli.errors import ConsumerClosed
from voxcli.protocols.dialect import Problem
from voxcli.server.errors import Refusal, error_body_at, refuse
from voxcli.server.monitoring import Metrics
from voxcli.server.settings import ServerSettings
from voxcli.server.streaming.response import CONNECTION, Stalled

_log = logging.getLogger(__name__)

NORMAL, GOING_AWAY, POLICY, FAULT, TRY_LATER = 1000, 1001, 1008, 1011, 1013
"""Codes with which a socket is closed (RFC 6455, section 7.4.1, and IANA's registry)."""
_LONGEST_REASON = 123
"""Bytes: a control frame has 125 (RFC 6455, section 5.5), of which the code takes two."""
_KEY_IN_SUBPROTOCOL = "openai-"
"""Beginning of subprotocols that are not meant to be chosen: they carry a key or ask for a beta version."""
_RETRY_SECONDS = 10


class Socket:
    """One accepted WebSocket. Used by a task that receives and tasks that send, one message at a time."""

    def __init__(self, websocket: WebSocket, settings: ServerSettings) -> None:
        self.websocket = websocket
        self._settings = settings
        self._uses = 0
        self._draining = self._closed = False
        self._is_first = True
        self._text_is_complete = False
        self._now = asyncio.get_running_loop().time
        self._active = self._now()
        self._sending = asyncio.Lock()
        self._limit: asyncio.Timeout | None = None

    @property
    def is_used(self) -> bool:
        """Whether an utterance is open on it."""
        return self._uses > 0

    @property
    def text_is_complete(self) -> bool:
        """Whether nothing is awaited from the client while an utterance is open."""
        return self._text_is_complete

    @text_is_complete.setter
    def text_is_complete(self, value: bool) -> None:
        self._text_is_complete = value
        self._set_limit()

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep the socket open while the server drains, as long as the block runs."""
        self._uses += 1
        self._set_limit()
        try:
            yield
        finally:
            self._uses -= 1
            self._active = self._now()
            self._set_limit()

    async def receive(self) -> str | bytes:
        """Return the next message.

        Raises:
            ConsumerClosed: the client has left, or the socket was closed.
            Refusal: the client has sent nothing for too long. The caller tells it and closes the socket.
        """
        while True:
            if self._draining and not self.is_used:
                await self.close(GOING_AWAY, "The server is shutting down.")
                raise ConsumerClosed("the client")
            if self._deadline() <= self._now():
                raise Refusal(self._idle_problem())
            try:
                async with asyncio.timeout(None) as self._limit:
                    self._set_limit()
                    message = await self.websocket.receive()
                break
            except TimeoutError:
                continue
            finally:
                self._limit = None
        if message["type"] == "websocket.disconnect":
            self._closed = True
            raise ConsumerClosed("the client")
        self._is_first, self._active = False, self._now()
        text: str | None = message.get("text")
        data: str | bytes = text if text is not None else message.get("bytes") or b""
        return data

    async def send_json(self, message: Mapping[str, Any] | str) -> None:
        """Send a text message: JSON that is encoded already, or an object.

        Raises:
            ConsumerClosed: the client has left.
            Stalled: the client does not read. The connection is aborted.
        """
        text = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False, separators=(",", ":"))
        await self._send({"type": "websocket.send", "text": text})

    async def send_bytes(self, data: bytes) -> None:
        """Send a binary message. Raises as `send_json` does."""
        await self._send({"type": "websocket.send", "bytes": data})

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Close the socket, unless the client has."""
        if not self._closed:
            self._closed = True
            fitting = reason.encode()[:_LONGEST_REASON].decode(errors="ignore")
            with suppress(ConsumerClosed, Stalled, RuntimeError):
                await self._send({"type": "websocket.close", "code": code, "reason": fitting}, even_if_closed=True)

    def drain(self) -> None:
        """Close the socket as soon as nothing is spoken on it."""
        self._draining = True
        self._set_limit()

    async def _send(self, message: dict[str, Any], *, even_if_closed: bool = False) -> None:
        try:
            async with asyncio.timeout(self._settings.send_seconds), self._sending:
                if self._closed and not even_if_closed:
                    raise ConsumerClosed("the client")
                await self.websocket.send(message)
        except TimeoutError:
            self._abort()
            _log.warning("aborted a socket whose client stopped reading")
            raise Stalled from None
        except (WebSocketDisconnect, OSError):
            self._closed = True
            raise ConsumerClosed("the client") from None
        self._active = self._now()

    def _abort(self) -> None:
        self._closed = True
        if transport := self.websocket.scope.get("state", {}).get(CONNECTION):
            transport.abort()

    def _deadline(self) -> float:
        return self._active + self._idle_seconds()

    def _set_limit(self) -> None:
        """Let the client have as long as it may take now."""
        if self._limit and not self._limit.expired():
            deadline = self._now() if self._draining and not self.is_used else self._deadline()
            self._limit.reschedule(None if math.isinf(deadline) else deadline)

    def _idle_seconds(self) -> float:
        if self.is_used:
            return math.inf if self.text_is_complete else self._settings.writer_seconds
        return self._settings.receive_seconds if self._is_first else self._settings.socket_idle_seconds

    def _idle_problem(self) -> Problem:
        seconds = self._idle_seconds()
        what = "No more text arrived" if self.is_used else "No message arrived"
        return Problem(status=408, message=f"{what} within {seconds:g} seconds.", code="idle_timeout")


class Sockets:
    """The sockets that are open. Used on the event loop."""

    def __init__(self, settings: ServerSettings, metrics: Metrics) -> None:
        self._settings, self._metrics = settings, metrics
        self._open: set[Socket] = set()
        self._none_open = asyncio.Event()
        self._none_open.set()
        self._draining = False

    def __len__(self) -> int:
        return len(self._open)

    @asynccontextmanager
    async def accepted(self, websocket: WebSocket, protocol: str) -> AsyncIterator[Socket | None]:
        """Accept a WebSocket, and close it with the block; give None if it was refused.

        A fault inside the block closes it with 1011. ConsumerClosed and Stalled end the block quietly.

        protocol: its name in the metrics.
        """
        if problem := self._problem():
            await refuse(problem, error_body_at(websocket.scope), websocket.scope, websocket.receive, websocket.send)
            yield None
            return
        offered = websocket.scope.get("subprotocols", [])
        chosen = next((name for name in offered if not name.startswith(_KEY_IN_SUBPROTOCOL)), None)
        await websocket.accept(subprotocol=chosen)
        socket = Socket(websocket, self._settings)
        gauge = self._metrics.sockets_open.labels(protocol)
        gauge.inc()
        self._open.add(socket)
        self._none_open.clear()
        try:
            yield socket
            await socket.close()
        except (ConsumerClosed, Stalled):
            pass
        except Exception:  # noqa: BLE001 - the outermost handler of a socket
            _log.exception("a fault of voxcli itself")
            await socket.close(FAULT, "Internal server error.")
        finally:
            gauge.dec()
            self._open.discard(socket)
            if not self._open:
                self._none_open.set()

    def drain(self) -> None:
        """Close the sockets on which nothing is spoken, and the others as soon as that has ended."""
        self._draining = True
        for socket in list(self._open):
            socket.drain()

    async def wait_until_none(self) -> None:
        await self._none_open.wait()

    def _problem(self) -> Problem | None:
        if self._draining:
            message = "The server is shutting down and accepts no new requests."
            return Problem(status=503, message=message, code="draining", retry_after=_RETRY_SECONDS)
        if len(self._open) >= self._settings.max_sockets:
            message = "Too many sockets are open. Try again later."
            return Problem(status=503, message=message, code="busy", retry_after=_RETRY_SECONDS)
        return None
