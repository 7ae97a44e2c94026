"""Load generator: requests at a fixed concurrency (closed loop) or a fixed rate (open loop)."""

import queue
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from typing import TypeAlias

from voxcli.bench.measure.plan import BenchRequest, LoadTest, poisson_times
from voxcli.bench.report.record import Run

Measure: TypeAlias = Callable[[BenchRequest, Callable[[], None]], Run]

_POLL_SECONDS = 0.1
"""Longest single wait for a run: on Windows, a wait on a queue cannot be interrupted by Ctrl-C."""
_SHUTDOWN_SECONDS = 2.0
"""Time that cancelled streams get to end."""


class _Cancelled(BaseException):
    """The load test was closed while a request was running."""


def under_load(test: LoadTest, measure: Measure, check: Callable[[], None], seed: int = 0) -> Generator[Run]:
    """Make all requests of a test, the warm-ups first, and yield the runs as they end.

    Closing the generator cancels the running requests at their next chunk, and waits for that for a short time.

    Args:
        measure: makes one request. Called from several threads. Its errors pass through.
        check: called while waiting; raises to stop.
        seed: of the random times of an open loop.
    """
    at_once = test.level.concurrency
    if test.warmup:
        yield from _closed_loop(test.warmup, at_once or len(test.warmup), measure, check)
    if at_once:
        yield from _closed_loop(test.requests, at_once, measure, check)
    elif test.level.rate:
        times = list(poisson_times(test.level.rate, len(test.requests), random.Random(seed)))
        yield from _open_loop(test.requests, times, measure, check)


def _closed_loop(
    requests: Sequence[BenchRequest], at_once: int, measure: Measure, check: Callable[[], None]
) -> Generator[Run]:
    """Keep `at_once` requests running at any time."""
    left = deque(requests)
    workers = _LoadWorkers(measure)

    def work() -> None:
        while True:
            try:
                request = left.popleft()
            except IndexError:
                return
            workers.measure(request)

    with workers:
        for _ in range(min(at_once, len(requests))):
            workers.start(work)
        yield from workers.runs(len(requests), check)


def _open_loop(
    requests: Sequence[BenchRequest], times: Sequence[float], measure: Measure, check: Callable[[], None]
) -> Generator[Run]:
    """Start each request at its time, whether or not earlier ones have ended."""
    workers = _LoadWorkers(measure)

    def send() -> None:
        started = time.monotonic()
        for request, due in zip(requests, times, strict=True):
            if workers.stopped.wait(max(0.0, started + due - time.monotonic())):
                return
            workers.start(lambda request=request: workers.measure(request))  # type: ignore[misc]

    with workers:
        workers.start(send)
        yield from workers.runs(len(requests), check)


class _LoadWorkers:
    """Threads that make requests, and a queue of their results."""

    def __init__(self, measure: Measure) -> None:
        self.stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self._measure = measure
        self._done: queue.SimpleQueue[Run | BaseException] = queue.SimpleQueue()

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        deadline = time.monotonic() + _SHUTDOWN_SECONDS
        for thread in list(self._threads):
            thread.join(max(0.0, deadline - time.monotonic()))

    def start(self, work: Callable[[], None]) -> None:
        # Daemon threads, so that a server that does not respond cannot keep the program from ending.
        thread = threading.Thread(target=work, name="bench", daemon=True)
        self._threads.append(thread)
        thread.start()

    def measure(self, request: BenchRequest) -> None:
        """Make one request, and queue the run or the error."""
        try:
            self._done.put(self._measure(request, self._raise_if_stopped))
        except _Cancelled:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that reads the queue
            self._done.put(error)

    def runs(self, count: int, check: Callable[[], None]) -> Generator[Run]:
        """Yield `count` runs as they end."""
        for _ in range(count):
            yield self._next(check)

    def _next(self, check: Callable[[], None]) -> Run:
        while True:
            check()
            try:
                done = self._done.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
            if isinstance(done, BaseException):
                raise done
            return done

    def _raise_if_stopped(self) -> None:
        if self.stopped.is_set():
            raise _Cancelled
