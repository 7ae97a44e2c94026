"""An answer that sounds while it is made: whoever listens is watched, and a failure never looks like an end."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from voxcli.errors import ConsumerClosed, VoxError
from voxcli.protocols.dialect import AnswerForm, Framing
from voxcli.protocols.openai.events import error_event
from voxcli.server.errors import note, problem_of
from voxcli.server.monitoring import Ending, Metrics, Record
from voxcli.server.streaming.worker import Worker

_log = logging.getLogger(__name__)

T = TypeVar("T")

CONNECTION = "connection"
"""Under this name, the state of a request has the asyncio transport, if the server gives it away."""

_BLOCK = 2**16
_FLUSH_TIMEOUT = 5.0
"""For a client to take what was made before a failure."""


class DisconnectWatcher:
    """Knows when a client leaves. Servers tell that only to whoever waits for it."""

    def __init__(self, receive: Receive) -> None:
        """receive: of the ASGI call whose body has been read."""
        self._receive = receive
        self._gone = asyncio.create_task(self._watch())

    async def run_until_disconnect(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something for as long as the client is there.

        Raises:
            ConsumerClosed: it has left, and the work was cancelled.
        """
        task = asyncio.create_task(work)
        try:
            await asyncio.wait({task, self._gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
        if task.cancelled() or (self._gone.done() and task.exception()):
            raise ConsumerClosed("the client")
        return task.result()

    def check(self) -> None:
        """Raise ConsumerClosed if the client has left."""
        if self._gone.done():
            raise ConsumerClosed("the client")

    async def left(self) -> None:
        """Wait for that."""
        await asyncio.wait({self._gone})

    def stop_watching(self) -> None:
        """Take the client for gone, or look no longer whether it is."""
        self._gone.cancel()

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


class Stalled(Exception):
    """The client is there, and takes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Speech whose first piece is there."""

    worker: Worker[bytes]
    first: bytes
    form: AnswerForm
    watcher: DisconnectWatcher
    held: AsyncExitStack
    """What it keeps busy, to be given back."""
    record: Record
    send_seconds: float


class SpeechResponse(Response):
    """Sends one stream, and gives back what it holds, however it ends."""

    def __init__(self, stream: Stream, headers: dict[str, str], metrics: Metrics) -> None:
        if stream.form.whole:
            headers = {**headers, "content-length": str(len(stream.first))}
        self.status_code = 200
        self.background = None
        self.raw_headers = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        self._stream = stream
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        stream, ending = self._stream, Ending.FAILED
        try:
            async with stream.held, _aborting(scope):
                await (self._send_whole(send) if stream.form.whole else self._send_pieces(send))
                ending = Ending.DONE
        except ConsumerClosed:
            ending = Ending.CLIENT_LEFT
        except Stalled:
            ending = Ending.STALLED
            _log.warning("a client takes nothing any more, and was given up")
        except VoxError as error:
            note(error)
            with suppress(ConsumerClosed, Stalled):
                await self._break_off(error, scope, send)
        finally:
            stream.watcher.stop_watching()
            self._metrics.note(stream.record, ending)

    async def _send_pieces(self, send: Send) -> None:
        stream = self._stream
        await self._send_start(send)
        piece: bytes | None = stream.first
        while piece is not None:
            await self._send(send, piece)
            piece = await stream.watcher.run_until_disconnect(stream.worker.next())
        await self._send(send, b"", more=False)

    async def _send_whole(self, send: Send) -> None:
        """Send what needs the engine no longer, however long the client takes."""
        stream = self._stream
        await stream.held.aclose()
        await self._send_start(send)
        for start in range(0, len(stream.first), _BLOCK):
            await self._send(send, stream.first[start : start + _BLOCK])
        await self._send(send, b"", more=False)

    async def _send_start(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})

    async def _send(self, send: Send, data: bytes, *, more: bool = True) -> None:
        try:
            async with asyncio.timeout(self._stream.send_seconds):
                await send({"type": "http.response.body", "body": data, "more_body": more})
        except TimeoutError:
            raise Stalled from None
        if self._stream.record.first_byte is None:
            self._stream.record.first_byte = time.perf_counter()
        if more:
            self._stream.watcher.check()

    async def _break_off(self, error: VoxError, scope: Scope, send: Send) -> None:
        """End the connection, and not the body: what was made arrives, and nobody takes it for everything."""
        if self._stream.form.framing is Framing.SSE:
            await self._send(send, error_event(problem_of(error)))
        if connection := _connection(scope):
            connection.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(_FLUSH_TIMEOUT):
                    await self._stream.watcher.left()
            await _abort(scope)


def _connection(scope: Scope) -> asyncio.Transport | None:
    connection: asyncio.Transport | None = scope.get("state", {}).get(CONNECTION)
    return connection


@asynccontextmanager
async def _aborting(scope: Scope) -> AsyncIterator[None]:
    """End the connection at once if nobody is at its other end, or nobody who listens."""
    try:
        yield
    except (ConsumerClosed, Stalled):
        await _abort(scope)
        raise


async def _abort(scope: Scope) -> None:
    """End the connection with all that the client has not taken. Servers that keep it to themselves end it as well."""
    if connection := _connection(scope):
        connection.abort()
        await asyncio.sleep(0)  # in which the server hears of it
