"""Worker threads: generators that run on threads and are read from the event loop."""

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
"""Items that a generator may be ahead of its reader."""
_CALLS = 4
"""Concurrent calls. Further calls wait without occupying a thread."""


class Threads:
    """A pool of daemon threads, kept for reuse because PyTorch's per-thread setup is expensive.

    It never has more threads than were busy at once: one for each stream, and a few for calls.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._idle: list[queue.SimpleQueue[Callable[[], None] | None]] = []
        self._lock = threading.Lock()
        self._closed = False
        self._calls = asyncio.Semaphore(_CALLS)

    def start(self, work: Callable[[], None]) -> None:
        """Run a function on an idle or a new thread."""
        with self._lock:
            inbox = self._idle.pop() if self._idle else None
        if inbox is None:
            inbox = queue.SimpleQueue()
            threading.Thread(target=self._work, args=(inbox,), name=self._name, daemon=True).start()
        inbox.put(work)

    async def call(self, function: Callable[[], T]) -> T:
        """Await a blocking function. It keeps running if the caller is cancelled."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def work() -> None:
            try:
                result = function()
            except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
                _call_soon(loop, _settle, done, None, error)
            else:
                _call_soon(loop, _settle, done, result, None)

        async with self._calls:
            self.start(work)
            return await done

    def close(self) -> None:
        """End the idle threads now, and the others once they are idle."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for inbox in idle:
            inbox.put(None)

    def _work(self, inbox: "queue.SimpleQueue[Callable[[], None] | None]") -> None:
        while work := inbox.get():
            work()
            del work  # it may hold megabytes
            with self._lock:
                if self._closed:
                    return
                self._idle.append(inbox)


class Worker(Generic[T]):
    """Runs one generator from its first `next` to its `close` on one thread, a few items ahead of its reader."""

    def __init__(self, threads: Threads, new_pieces: Callable[[], Generator[T]], *, ahead: int = _PIECES_AHEAD) -> None:
        """Start the generator. Create, read and close the worker on the event loop."""
        self._loop = asyncio.get_running_loop()
        self._new_pieces = new_pieces
        self._made: asyncio.Queue[T | _End] = asyncio.Queue()
        self._room = threading.Semaphore(ahead)
        self._closed = False
        self._ended = asyncio.Event()
        threads.start(self._work)

    async def next(self) -> T | None:
        """Return the next item, or None after the last one. Raises what the generator raised."""
        item = await self._made.get()
        if isinstance(item, _End):
            self._made.put_nowait(item)
            if item.error:
                raise item.error
            return None
        self._room.release()
        return item

    def push(self, item: T) -> None:
        """Add an item besides those that the generator yields. Called by the generator, on its thread."""
        _call_soon(self._loop, self._push, item)

    async def close(self) -> None:
        """Close the generator on its own thread after the item it is working on, and wait for that.

        A reader that waits for the next item learns of the end at once.
        """
        if not self._closed:
            self._made.put_nowait(_End(None))
        self._closed = True
        self._room.release()
        await self._ended.wait()

    def _work(self) -> None:
        error: BaseException | None = None
        try:
            with closing(self._new_pieces()) as pieces:
                for piece in pieces:
                    self._room.acquire()
                    if self._closed:
                        break
                    _call_soon(self._loop, self._made.put_nowait, piece)
        except BaseException as raised:  # noqa: BLE001 - raised again where the pieces are read
            error = raised
        _call_soon(self._loop, self._end, _End(error))

    def _push(self, item: T) -> None:
        self._room.acquire(blocking=False)  # the reader releases it
        self._made.put_nowait(item)

    def _end(self, end: "_End") -> None:
        if end.error and self._closed:
            _log.warning("a stream failed after it was cancelled: %s", end.error)
        self._made.put_nowait(end)
        self._ended.set()


class _End:
    """Marks the end of the queue."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def _call_soon(loop: asyncio.AbstractEventLoop, function: Callable[..., object], *arguments: object) -> None:
    try:
        loop.call_soon_threadsafe(function, *arguments)
    except RuntimeError:  # the loop is closed
        _log.debug("the event loop is already closed")


def _settle(done: "asyncio.Future[T]", result: T, error: BaseException | None) -> None:
    if done.cancelled():
        return
    if error:
        done.set_exception(error)
    else:
        done.set_result(result)
