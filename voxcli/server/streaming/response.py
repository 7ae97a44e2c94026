"""Streaming response: sent while it is generated, aborted on disconnect, and never ended normally after an error."""

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
from voxcli.server.monitoring import Ending, Metrics, RequestRecord
from voxcli.server.streaming.worker import Worker

_log = logging.getLogger(__name__)

T = TypeVar("T")

CONNECTION = "connection"
"""Key of the request state under which the server exposes its asyncio transport."""

_BLOCK = 2**16
_FLUSH_TIMEOUT = 5.0
"""Seconds for a client to receive what was generated before an error."""


class DisconnectWatcher:
    """Notices when a client disconnects, which ASGI servers report only through `receive`."""

    def __init__(self, receive: Receive) -> None:
        """receive: of the ASGI call whose body has been read."""
        self._receive = receive
        self._gone = asyncio.create_task(self._watch())

    async def run_until_disconnect(self, work: Coroutine[Any, Any, T]) -> T:
        """Await a coroutine, and cancel it if the client disconnects.

        Raises:
            ConsumerClosed: the client has disconnected.
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
        """Raise ConsumerClosed if the client has disconnected."""
        if self._gone.done():
            raise ConsumerClosed("the client")

    async def disconnected(self) -> None:
        """Wait until the client has disconnected."""
        await asyncio.wait({self._gone})

    def stop_watching(self) -> None:
        """Stop waiting for the disconnect; running work is cancelled as if it had happened."""
        self._gone.cancel()

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


class Stalled(Exception):
    """The client is connected but does not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseStream:
    """Speech whose first chunk has been generated."""

    worker: Worker[bytes]
    first: bytes
    form: AnswerForm
    watcher: DisconnectWatcher
    held: AsyncExitStack
    """Resources to release: the slot, the engine, the worker."""
    record: RequestRecord
    send_seconds: float


class SpeechResponse(Response):
    """Sends one stream, and releases its resources however it ends."""

    def __init__(self, stream: ResponseStream, headers: dict[str, str], metrics: Metrics) -> None:
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
            _log.warning("aborted a stream whose client stopped reading")
        except VoxError as error:
            note(error)
            with suppress(ConsumerClosed, Stalled):
                await self._close_early(error, scope, send)
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
        """Release the engine, then send the complete body."""
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

    async def _close_early(self, error: VoxError, scope: Scope, send: Send) -> None:
        """Close the connection without ending the body: the client receives what exists and sees that it is cut."""
        if self._stream.form.framing is Framing.SSE:
            await self._send(send, error_event(problem_of(error)))
        if connection := _connection(scope):
            connection.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(_FLUSH_TIMEOUT):
                    await self._stream.watcher.disconnected()
            await _abort(scope)


def _connection(scope: Scope) -> asyncio.Transport | None:
    connection: asyncio.Transport | None = scope.get("state", {}).get(CONNECTION)
    return connection


@asynccontextmanager
async def _aborting(scope: Scope) -> AsyncIterator[None]:
    """Abort the connection if the client has disconnected or stopped reading."""
    try:
        yield
    except (ConsumerClosed, Stalled):
        await _abort(scope)
        raise


async def _abort(scope: Scope) -> None:
    """Abort the connection and discard unsent data. Without access to the transport, the server closes it itself."""
    if connection := _connection(scope):
        connection.abort()
        await asyncio.sleep(0)  # lets the server notice
