"""Who speaks next: streams join and leave between two steps, and all that are in make each step together.

One thread owns the device. What it does with it, a `Runner` knows.
"""

import atexit
import threading
import weakref
from collections.abc import Callable, Collection, Generator
from concurrent.futures import Future
from contextlib import AbstractContextManager, suppress
from typing import Protocol, TypeVar

import torch

from voxcli.errors import DeviceError
from voxcli.voxcpm.memory import translate_out_of_memory
from voxcli.voxcpm.network.sequence import length_of
from voxcli.voxcpm.runtime.stream import Samples, Stream

T = TypeVar("T")

_PATIENCE = 8
"""So many others with less to read are let in before a stream. Then it is its turn."""


class Runner(Protocol):
    """Makes the patches of several streams on one device. Only the scheduler's thread calls it."""

    device: torch.device
    runs_ahead: bool
    """Whether it goes on though nobody has asked for more yet."""
    positions_between: int
    """How much new streams may read between two steps of those that speak already."""

    def on_its_thread(self) -> AbstractContextManager[object]:
        """Prepare the thread that is going to call it."""

    def begin(self, stream: Stream) -> None:
        """Read what a stream goes on from. From now on it takes a slot."""

    def step(self, streams: Collection[Stream]) -> None:
        """Make one patch for each, count it, and hand over its sound, if need be with the next step.

        Whoever is over then gets no more steps, and is finished when all of its sound is handed over.
        """

    @property
    def owes_sound(self) -> bool:
        """Whether there is sound that `step` will hand over, if only for no streams."""

    def leave(self, stream: Stream) -> None:
        """Free the slot of a stream that has begun."""

    def wait(self) -> None:
        """Wait until the device has done all that it was asked for."""


class Scheduler:
    """Lets streams in, at most `slots` at once, those that have least to read first."""

    def __init__(self, runner: Runner, slots: int) -> None:
        self.slots = slots
        self._runner = runner
        self._changed = threading.Condition()
        self._waiting: list[Stream] = []
        self._speaking: list[Stream] = []
        self._calls: list[tuple[Callable[[], object], Future[object]]] = []
        self._thread: threading.Thread | None = None
        self._closed = False

    def speak(self, stream: Stream) -> Generator[Samples]:
        """Yield the sound of a stream. It waits until a slot is free; closing this frees the one it has."""
        self._submit(lambda: self._waiting.append(stream))
        try:
            while (samples := self._next_sound(stream)) is not None:
                yield samples
        finally:
            with self._changed:
                stream.abandoned = True
                self._changed.notify()

    def call(self, work: Callable[[], T]) -> T:
        """Have something done on the device between two steps, and return what it returns."""
        done: Future[object] = Future()
        self._submit(lambda: self._calls.append((work, done)))
        result: T = done.result()  # type: ignore[assignment]
        return result

    def close(self) -> None:
        """Let nobody in any more. Streams that still speak do so to their end."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def abandon(self) -> None:
        """Let nobody in any more, and give up all streams at their next step."""
        with self._changed:
            self._closed = True
            for stream in (*self._waiting, *self._speaking):
                stream.abandoned = True
            self._changed.notify()

    def _submit(self, put: Callable[[], None]) -> None:
        with self._changed:
            if self._closed:
                raise DeviceError("The model is closed. Open it again.")
            put()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="voxcpm", daemon=True)
                atexit.register(_end, weakref.ref(self), self._thread)
                self._thread.start()
            self._changed.notify()

    def _next_sound(self, stream: Stream) -> Samples | None:
        if not stream.has_sound:
            with self._changed:
                stream.wanted = True
                self._changed.notify()
        return stream.next_sound(self._check_alive)

    def _check_alive(self) -> None:
        if self._thread is not None and not self._thread.is_alive():
            raise DeviceError("The thread that speaks has ended.")

    def _work(self) -> None:
        with torch.inference_mode(), self._runner.on_its_thread():
            while self._turn():
                pass

    def _turn(self) -> bool:
        """Do what there is to do, up to one step. Return whether there may be more."""
        with self._changed:
            self._changed.wait_for(self._has_work)
            if self._is_over():
                return False
            calls, self._calls = self._calls, []
            self._waiting = [stream for stream in self._waiting if not stream.abandoned]
        for work, done in calls:
            self._settle(work, done)
        for stream in [stream for stream in self._speaking if stream.abandoned]:
            self._drop(stream)
        self._let_in()
        self._step()
        return True

    def _is_over(self) -> bool:
        return self._closed and not (self._calls or self._waiting or self._speaking or self._runner.owes_sound)

    def _has_work(self) -> bool:
        return bool(
            self._is_over()
            or self._calls
            or self._runner.owes_sound
            or any(stream.abandoned for stream in (*self._waiting, *self._speaking))
            or (self._waiting and len(self._speaking) < self.slots)
            or self._next_to_step()
        )

    def _next_to_step(self) -> list[Stream]:
        return [stream for stream in self._speaking if stream.wanted or self._runner.runs_ahead]

    def _settle(self, work: Callable[[], object], done: Future[object]) -> None:
        try:
            with translate_out_of_memory(self._runner.device):
                result = work()
                self._runner.wait()  # for another thread goes on with it
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            done.set_exception(error)
        else:
            done.set_result(result)

    def _let_in(self) -> None:
        """Admit whoever there is a slot for, but do not keep those who speak waiting for too long."""
        left = self._runner.positions_between
        while (left > 0 or not self._speaking) and len(self._speaking) < self.slots:
            with self._changed:
                if not self._waiting:
                    return
                stream = min(self._waiting, key=_rank)
                self._waiting.remove(stream)
                for other in self._waiting:
                    other.passed_over += 1
            left -= length_of(stream.sequence)
            self._begin(stream)

    def _begin(self, stream: Stream) -> None:
        self._speaking.append(stream)
        try:
            with translate_out_of_memory(self._runner.device):
                self._runner.begin(stream)
        except BaseException as error:  # noqa: BLE001 - raised again where it is listened for
            self._speaking.remove(stream)
            stream.finish(error)

    def _step(self) -> None:
        streams = self._next_to_step()
        for stream in streams:
            stream.wanted = False
        try:
            with translate_out_of_memory(self._runner.device):
                self._runner.step(streams)
        except BaseException as error:  # noqa: BLE001 - raised again where it is listened for
            for stream in streams:
                stream.finish(error)
                stream.abandoned = True
        for stream in [stream for stream in streams if stream.over]:
            self._drop(stream)

    def _drop(self, stream: Stream) -> None:
        self._speaking.remove(stream)
        self._runner.leave(stream)


def _end(scheduler: "weakref.ref[Scheduler]", thread: threading.Thread) -> None:
    """Wait for a thread before Python ends: in the middle of torch's code it would take the process down with it."""
    if alive := scheduler():
        alive.abandon()
    while thread.is_alive():
        with suppress(KeyboardInterrupt):  # it is as good as over
            thread.join()


def _rank(stream: Stream) -> int:
    """Tell who goes first, the lowest of all."""
    return length_of(stream.sequence) if stream.passed_over < _PATIENCE else 0
