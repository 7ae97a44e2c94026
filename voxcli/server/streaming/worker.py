"""A generator that runs on a thread of its own and is read from the event loop: where threads meet asyncio."""

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Generic, TypeVar

_log = logging.getLogger(__name__)

T = TypeVar("T")

_PIECES_AHEAD = 16
"""Beyond, the generator waits for its reader."""
_CALLS = 4
"""At once. Whoever calls more waits, and no thread for him."""


class Threads:
    """Threads that wait for work. Each is kept for the next: what PyTorch sets up for a thread is set up once.

    There are never more than were busy at once: the streams, and a few calls. They end with the process, whatever they
    are doing.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._idle: list[queue.SimpleQueue[Callable[[], None] | None]] = []
        self._lock = threading.Lock()
        self._closed = False
        self._calls = asyncio.Semaphore(_CALLS)

    def start(self, work: Callable[[], None]) -> None:
        """Have something done by a thread that does nothing else meanwhile."""
        with self._lock:
            inbox = self._idle.pop() if self._idle else None
        if inbox is None:
            inbox = queue.SimpleQueue()
            threading.Thread(target=self._work, args=(inbox,), name=self._name, daemon=True).start()
        inbox.put(work)

    async def call(self, function: Callable[[], T]) -> T:
        """Wait for something that would hold up the event loop. It goes on to its end if nobody waits any more."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def work() -> None:
            try:
                result = function()
            except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
                _tell(loop, _settle, done, None, error)
            else:
                _tell(loop, _settle, done, result, None)

        async with self._calls:
            self.start(work)
            return await done

    def close(self) -> None:
        """Let the idle threads go, and the others once they are idle."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for inbox in idle:
            inbox.put(None)

    def _work(self, inbox: "queue.SimpleQueue[Callable[[], None] | None]") -> None:
        while work := inbox.get():
            work()
            del work  # which may hold megabytes
            with self._lock:
                if self._closed:
                    return
                self._idle.append(inbox)


class Worker(Generic[T]):
    """Runs one generator from its first `next` to its `close` on one thread, a few pieces ahead of its reader."""

    def __init__(self, threads: Threads, new_pieces: Callable[[], Generator[T]], *, ahead: int = _PIECES_AHEAD) -> None:
        """Start it. To be made, read and closed on the event loop."""
        self._loop = asyncio.get_running_loop()
        self._new_pieces = new_pieces
        self._made: asyncio.Queue[T | _End] = asyncio.Queue()
        self._room = threading.Semaphore(ahead)
        self._closed = False
        self._over = asyncio.Event()
        threads.start(self._work)

    async def next(self) -> T | None:
        """Return the next piece, or None after the last one. Raises what the generator has raised."""
        item = await self._made.get()
        if isinstance(item, _End):
            self._made.put_nowait(item)
            if item.error:
                raise item.error
            return None
        self._room.release()
        return item

    async def close(self) -> None:
        """Have the generator closed by its own thread as soon as it makes its next piece, and wait for that."""
        self._closed = True
        self._room.release()
        await self._over.wait()

    def _work(self) -> None:
        error: BaseException | None = None
        try:
            with closing(self._new_pieces()) as pieces:
                for piece in pieces:
                    self._room.acquire()
                    if self._closed:
                        break
                    _tell(self._loop, self._made.put_nowait, piece)
        except BaseException as raised:  # noqa: BLE001 - raised again where the pieces are read
            error = raised
        _tell(self._loop, self._end, _End(error))

    def _end(self, end: "_End") -> None:
        if end.error and self._closed:
            _log.warning("a stream failed after it was given up: %s", end.error)
        self._made.put_nowait(end)
        self._over.set()


class _End:
    """Comes behind the last piece."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def _tell(loop: asyncio.AbstractEventLoop, function: Callable[..., object], *arguments: object) -> None:
    try:
        loop.call_soon_threadsafe(function, *arguments)
    except RuntimeError:  # the loop is closed
        _log.debug("nobody is left to tell")


def _settle(done: "asyncio.Future[T]", result: T, error: BaseException | None) -> None:
    if done.cancelled():
        return
    if error:
        done.set_exception(error)
    else:
        done.set_result(result)
