"""Device thread: the one thread of a model on which torch computes, from loading to the end.

GCC's OpenMP, which torch uses on Linux, keeps a pool of threads for every thread that computes in parallel. With two
pools there are more threads than cores: they wait for one another in the kernel at each of the thousands of parallel
regions of a patch, however long they are to spin. So everything that is large enough to be computed in parallel runs
here: loading and packing of weights, clips, and patches.
"""

import atexit
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future, wait
from functools import partial
from queue import SimpleQueue
from typing import TypeAlias, TypeVar

from voxcli.synthesis.loading import LoadingProgress, OnLoading

T = TypeVar("T")

_Work: TypeAlias = "SimpleQueue[Callable[[], object] | None]"

_POLL_SECONDS = 0.2
"""Seconds. On Windows, Ctrl-C is not noticed before a blocking wait returns."""


class DeviceThread:
    """A thread that runs functions one after another. It ends when told to, or when nothing refers to this object."""

    def __init__(self) -> None:
        self._work: _Work = SimpleQueue()
        self._thread = threading.Thread(target=_run, args=(self._work,), name="voxcpm", daemon=True)
        self._thread.start()
        weakref.finalize(self, self._work.put, None)
        atexit.register(_end_at_exit, self._work, self._thread)

    def call(self, fn: Callable[[], T]) -> T:
        """Run a function, and return its result.

        Raises:
            BaseException: what the function raised.
            KeyboardInterrupt: the wait was interrupted. The function goes on.
        """
        done: Future[T] = Future()
        self._work.put(partial(run_into, done, fn))
        try:
            while not wait([done], _POLL_SECONDS).done:
                pass
            return done.result()
        finally:
            del done  # see `run_into`

    def end_with(self, fn: Callable[[], object]) -> None:
        """Let the thread end after this function. Does not wait for it."""
        self._work.put(fn)
        self._work.put(None)

    def end(self) -> None:
        """Let the thread end after what it has been given, and wait for it, unless this is the thread."""
        self._work.put(None)
        self.join()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the end of the thread, unless this is the thread."""
        if self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def is_alive(self) -> bool:
        return self._thread.is_alive()


def load_on_new_thread(load: Callable[[DeviceThread, OnLoading], T], on_loading: OnLoading) -> T:
    """Load something that will live on a thread of its own. If that fails, the thread ends before the error is raised.

    An interrupt ends the loading when it next reports its progress.
    """
    interrupted = threading.Event()

    def report(progress: LoadingProgress) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        on_loading(progress)

    thread = DeviceThread()
    try:
        return thread.call(lambda: load(thread, report))
    except BaseException:
        interrupted.set()
        thread.end()
        raise


def run_into(done: "Future[T]", fn: Callable[[], T]) -> None:
    """Run a function, and give its result or its error to the thread that waits for it.

    An error holds the variables of the functions in its traceback, and of their callers. None of them may lead to the
    error, or all that the function had in memory would stay there until the next garbage collection.
    """
    try:
        done.set_result(fn())
    except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
        done.set_exception(error)
    finally:
        del done


def _run(work: _Work) -> None:
    while fn := work.get():
        fn()
        del fn  # with what it refers to, while this waits


def _end_at_exit(work: _Work, thread: threading.Thread) -> None:
    """Wait for a thread before Python exits: torch's native code crashes when its thread is killed."""
    work.put(None)
    while thread.is_alive():
        try:
            thread.join()
        except KeyboardInterrupt:  # it ends after its current step
            continue
