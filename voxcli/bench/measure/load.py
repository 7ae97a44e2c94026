"""Many requests at once: as many as ever are answered, or as many as come."""

import queue
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from typing import TypeAlias

from voxcli.bench.measure.plan import Ask, LoadTest, poisson_times
from voxcli.bench.report.record import Run

Measure: TypeAlias = Callable[[Ask, Callable[[], None]], Run]

_GLANCE_SECONDS = 0.1
"""How often somebody who waits looks whether to stop. Windows has no ears for Ctrl-C during one wait."""
_FAREWELL_SECONDS = 2.0
"""How long streams that are stopped may take to end."""


class _Stopped(BaseException):
    """Nobody waits for the answer any more."""


def under_load(test: LoadTest, measure: Measure, check: Callable[[], None], seed: int = 0) -> Generator[Run]:
    """Make all requests of a test, those that warm up first, and yield the runs as they end.

    Closing it stops what still runs at its next chunk, and waits a moment for that.

    Args:
        measure: makes one request. Called from several threads.
        check: called while waiting; raises if the work shall stop.
        seed: of the moments at which requests come.

    Raises:
        whatever `measure` raises.
    """
    at_once = test.level.concurrency
    if test.warmup:
        yield from _closed_loop(test.warmup, at_once or len(test.warmup), measure, check)
    if at_once:
        yield from _closed_loop(test.asks, at_once, measure, check)
    elif test.level.rate:
        times = list(poisson_times(test.level.rate, len(test.asks), random.Random(seed)))
        yield from _open_loop(test.asks, times, measure, check)


def _closed_loop(asks: Sequence[Ask], at_once: int, measure: Measure, check: Callable[[], None]) -> Generator[Run]:
    """Keep so many requests going at any time."""
    left = deque(asks)
    crowd = _Crowd(measure)

    def work() -> None:
        while True:
            try:
                ask = left.popleft()
            except IndexError:
                return
            crowd.measure(ask)

    with crowd:
        for _ in range(min(at_once, len(asks))):
            crowd.start(work)
        yield from crowd.runs(len(asks), check)


def _open_loop(
    asks: Sequence[Ask], times: Sequence[float], measure: Measure, check: Callable[[], None]
) -> Generator[Run]:
    """Begin every request at its time, whatever has become of those before."""
    crowd = _Crowd(measure)

    def send() -> None:
        began = time.monotonic()
        for ask, due in zip(asks, times, strict=True):
            if crowd.stopped.wait(max(0.0, began + due - time.monotonic())):
                return
            crowd.start(lambda ask=ask: crowd.measure(ask))  # type: ignore[misc]

    with crowd:
        crowd.start(send)
        yield from crowd.runs(len(asks), check)


class _Crowd:
    """Threads that make requests, and what comes of it."""

    def __init__(self, measure: Measure) -> None:
        self.stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self._measure = measure
        self._done: queue.SimpleQueue[Run | BaseException] = queue.SimpleQueue()

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        deadline = time.monotonic() + _FAREWELL_SECONDS
        for thread in list(self._threads):
            thread.join(max(0.0, deadline - time.monotonic()))

    def start(self, work: Callable[[], None]) -> None:
        # A daemon: a server that stays silent must not keep the program from ending.
        thread = threading.Thread(target=work, name="bench", daemon=True)
        self._threads.append(thread)
        thread.start()

    def measure(self, ask: Ask) -> None:
        """Make one request; whatever becomes of it is handed over."""
        try:
            self._done.put(self._measure(ask, self._raise_if_stopped))
        except _Stopped:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
            self._done.put(error)

    def runs(self, count: int, check: Callable[[], None]) -> Generator[Run]:
        """Yield so many runs as they end."""
        for _ in range(count):
            yield self._next(check)

    def _next(self, check: Callable[[], None]) -> Run:
        while True:
            check()
            try:
                done = self._done.get(timeout=_GLANCE_SECONDS)
            except queue.Empty:
                continue
            if isinstance(done, BaseException):
                raise done
            return done

    def _raise_if_stopped(self) -> None:
        if self.stopped.is_set():
            raise _Stopped
