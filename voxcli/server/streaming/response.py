"""Streaming response: sent while it is generated, aborted on disconnect, and never ended normally after an error."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from voxcli.errors import ConsumerClosed, NotFound, RequestError, VoxError
from voxcli.protocols.dialect import AnswerForm, Framing
from voxcli.protocols.openai.events import error_event
from voxcli.server.errors import Refusal, note, problem_of
from voxcli.server.monitoring import Ending, RequestRecord
from voxcli.server.streaming.spool import SpooledSpeech

_log = logging.getLogger(__name__)

T = TypeVar("T")

CONNECTION = "connection"
"""Key of the request state under which the server exposes its asyncio transport."""


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
    """Speech whose first bytes have been generated."""

    speech: SpooledSpeech
    first: bytes
    form: AnswerForm
    watcher: DisconnectWatcher
    record: RequestRecord
    send_seconds: float
    """For the client to accept something while the engine waits for it."""
    pause_seconds: float
    """The same, while nothing waits for the client."""


class SpeechResponse(Response):
    """Sends one stream, and stops its generation if the client does not want the rest."""

    def __init__(
        self,
        stream: ResponseStream,
        headers: dict[str, str],
        on_end: Callable[[RequestRecord, Ending], None],
        on_failure: Callable[[Exception], None] = lambda error: None,
    ) -> None:
        """
        Args:
            on_end: called when the client has received everything, or will not receive more.
            on_failure: called with the error that ends the stream, before the client can know of it.
        """
        if stream.form.whole:
            headers = {**headers, "content-length": str(stream.speech.spool.size)}
        self.status_code = 200
        self.background = None
        self.raw_headers = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        self._stream = stream
        self._on_end, self._on_failure = on_end, on_failure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        stream, ending = self._stream, Ending.FAILED
        try:
            async with aborting(scope):
                await self._send_pieces(send)
                ending = Ending.DONE
        except ConsumerClosed:
            ending = Ending.CLIENT_LEFT
        except Stalled:
            ending = Ending.STALLED
            _log.warning("aborted a stream whose client stopped reading")
        except VoxError as error:
            note(error)
            self._on_failure(error)
            with suppress(ConsumerClosed, Stalled):
                await self._close_early(error, scope, send)
        except Exception as error:
            self._on_failure(error)
            raise
        finally:
            await stream.speech.close()
            stream.watcher.stop_watching()
            self._on_end(stream.record, ending)

    async def _send_pieces(self, send: Send) -> None:
        stream = self._stream
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        piece: bytes | None = stream.first
        while piece is not None:
            await self._send(send, piece)
            piece = await stream.watcher.run_until_disconnect(stream.speech.next())
        await self._send(send, b"", more=False)

    async def _send(self, send: Send, data: bytes, *, more: bool = True) -> None:
        """Send bytes. A client may pause for longer while it holds nothing up but a little memory or disk space."""
        stream, now = self._stream, asyncio.get_running_loop().time

        def set_limit(full: bool) -> None:
            limit.reschedule(now() + (stream.send_seconds if full else stream.pause_seconds))

        try:
            async with asyncio.timeout(None) as limit:
                set_limit(stream.speech.spool.is_full)
                stream.speech.spool.on_full = set_limit
                message = {"type": "http.response.body", "body": data, "more_body": more}
                await stream.watcher.run_until_disconnect(sent(send, message))
        except TimeoutError:
            raise Stalled from None
        finally:
            stream.speech.spool.on_full = lambda full: None
        if stream.record.first_byte is None:
            stream.record.first_byte = time.perf_counter()
        if more:
            stream.watcher.check()

    async def _close_early(self, error: VoxError, scope: Scope, send: Send) -> None:
        """Close the connection without ending the body: the client receives what exists and sees that it is cut."""
        if self._stream.form.framing is Framing.SSE:
            await self._send(send, error_event(problem_of(error)))
        if connection := _connection(scope):
            connection.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._stream.pause_seconds):
                    await self._stream.watcher.disconnected()
            await _abort(scope)


async def sent(send: Send, message: Message) -> None:
    """Send a message, as a coroutine that a task can run."""
    await send(message)


def _connection(scope: Scope) -> asyncio.Transport | None:
    connection: asyncio.Transport | None = scope.get("state", {}).get(CONNECTION)
    return connection


@asynccontextmanager
async def aborting(scope: Scope) -> AsyncIterator[None]:
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


def ending_of(error: BaseException) -> Ending:
    """Return how a request ended that ended with an error."""
    match error:
        case ConsumerClosed():
            return Ending.CLIENT_LEFT
        case Refusal() | RequestError() | NotFound():
            return Ending.REFUSED
        case _:
            return Ending.FAILED
