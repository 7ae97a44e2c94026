"""Scheduler: continuous batching. Streams join and leave between two steps, and every step advances all of them.

The model's device thread runs a `Runner`, and whatever else is computed for the model.
"""

import atexit
import logging
import threading
import weakref
from collections.abc import Callable, Generator
from concurrent.futures import Future
from functools import partial
from typing import TypeVar

import torch

from voxcli.audio.chunk import Samples
from voxcli.errors import DeviceError
from voxcli.voxcpm.memory import translate_out_of_memory
from voxcli.voxcpm.network.sequence import length_of
from voxcli.voxcpm.runtime.device_thread import DeviceThread, run_into
from voxcli.voxcpm.runtime.runner import Runner
from voxcli.voxcpm.runtime.stream import Stream

_log = logging.getLogger(__name__)

T = TypeVar("T")

_MAX_SKIPS = 8
"""Streams with shorter sequences that are admitted before a longer one; then it is next."""


class Scheduler:
    """Admits streams, at most `slots` at a time, shortest sequence first."""

    def __init__(
        self,
        runner: Runner,
        slots: int,
        on_end: Callable[[], None] = lambda: None,
        thread: DeviceThread | None = None,
    ) -> None:
        """
        Args:
            slots: maximum number of running streams; the others wait.
            on_end: called once, on the device thread, when the scheduler is closed and no stream is left.
            thread: the device thread, which belongs to the scheduler from now on; None starts one.
        """
        self.slots = slots
        self._runner = runner
        self._on_end = on_end
        self._changed = threading.Condition()
        self._waiting: list[Stream] = []
        self._running: list[Stream] = []
        self._calls: list[tuple[Callable[[], object], Future[object]]] = []
        self._thread = thread or DeviceThread()
        self._begun = False
        """Whether the device thread has been given its last work, which is that of the scheduler."""
        self._closed = False
        self._ended = False
        """Whether the device thread accepts no more work."""

    def speak(self, stream: Stream) -> Generator[Samples]:
        """Yield the audio of a stream, once a slot is free. Closing the generator frees the slot.

        Raises:
            DeviceError: the scheduler is closed, its thread has died, or memory ran out.
        """
        self._submit(lambda: self._waiting.append(stream))
        try:
            while (samples := self._next_audio(stream)) is not None:
                yield samples
        finally:
            with self._changed:
                stream.abandoned = True
                self._changed.notify()

    def call(self, fn: Callable[[], T]) -> T:
        """Run a function on the device thread between two steps, and return its result.

        Raises:
            DeviceError: the scheduler is closed, its thread has died, or memory ran out.
            BaseException: what the function raised.
        """
        done: Future[object] = Future()
        self._submit(partial(self._calls.append, (fn, done)))
        try:
            result: T = done.result()  # type: ignore[assignment]
        finally:
            del done  # see `run_into`
        return result

    def close(self) -> None:
        """Accept no more work. Submitted streams and calls complete. If there are none, wait for the thread to end."""
        with self._changed:
            self._closed = True
            idle = self._ended or self._is_done()
            if not self._begun:
                self._begun = True
                self._thread.end_with(self._on_end)
            self._changed.notify()
        if idle:
            self._thread.join()

    def abandon(self) -> None:
        """Accept no more work, and stop all streams at their next step."""
        with self._changed:
            self._closed = True
            for stream in (*self._waiting, *self._running):
                stream.abandoned = True
            self._changed.notify()

    def _submit(self, put: Callable[[], None]) -> None:
        with self._changed:
            if self._closed:
                raise DeviceError("The model is closed. Open it again.")
            if self._ended:
                raise _thread_died()
            put()
            if not self._begun:
                self._begun = True
                self._thread.end_with(self._work)
                atexit.register(_abandon_at_exit, weakref.ref(self))
            self._changed.notify()

    def _next_audio(self, stream: Stream) -> "Samples | None":
        if not stream.has_audio:
            with self._changed:
                stream.consumer_waiting = True
                self._changed.notify()
        return stream.next_audio(self._check_thread)

    def _check_thread(self) -> None:
        if not self._thread.is_alive():
            raise _thread_died()

    def _work(self) -> None:
        error: BaseException | None = None
        try:
            with torch.inference_mode(), self._runner.device_context():
                while self._turn():
                    pass
        except BaseException as raised:  # noqa: BLE001 - every consumer is told
            _log.error("The device thread died: %s", raised, exc_info=raised)
            error = raised
        finally:
            self._fail_waiters(error)
            self._on_end()

    def _fail_waiters(self, error: BaseException | None) -> None:
        """End all streams and calls that the thread leaves behind."""
        with self._changed:
            self._ended = True
            streams, self._waiting, self._running = (*self._waiting, *self._running), [], []
            calls, self._calls = self._calls, []
        for stream in streams:
            stream.finish(_thread_died(error))
        for _, done in calls:
            done.set_exception(_thread_died(error))

    def _turn(self) -> bool:
        """Do the pending work, up to one step. Return whether there may be more."""
        with self._changed:
            self._changed.wait_for(self._has_work)
            if self._closed and self._is_done():
                self._ended = True
                return False
            pending = len(self._calls)
            self._waiting = [stream for stream in self._waiting if not stream.abandoned]
        for _ in range(pending):  # later calls wait for the next turn, so that they do not hold up the streams
            self._run_call()
        for stream in [stream for stream in self._running if stream.abandoned]:
            self._drop(stream)
        self._admit()
        self._step()
        return True

    def _is_done(self) -> bool:
        return not (self._calls or self._waiting or self._running or self._runner.has_pending_output)

    def _has_work(self) -> bool:
        return bool(
            (self._closed and self._is_done())
            or self._calls
            or self._runner.has_pending_output
            or any(stream.abandoned for stream in (*self._waiting, *self._running))
            or (self._waiting and len(self._running) < self.slots)
            or self._next_to_step()
        )

    def _next_to_step(self) -> list[Stream]:
        return [stream for stream in self._running if stream.consumer_waiting or self._runner.runs_ahead]

    def _run_call(self) -> None:
        with self._changed:
            fn, done = self._calls.pop(0)

        def run() -> object:
            with translate_out_of_memory(self._runner.device):
                result = fn()
                self._runner.synchronize()  # the caller uses the result on another thread
            return result

        try:
            run_into(done, run)
        finally:
            del done

    def _admit(self) -> None:
        """Admit streams while slots are free, without delaying the running ones for long."""
        left, admitted = self._runner.prefill_budget, list[Stream]()
        while (left > 0 or not self._running) and len(self._running) < self.slots:
            with self._changed:
                if not self._waiting:
                    break
                stream = min(self._waiting, key=_admission_order)
                self._waiting.remove(stream)
                self._running.append(stream)
                for other in self._waiting:
                    other.times_skipped += 1
            left -= length_of(stream.sequence)
            admitted.append(stream)
        if admitted:
            self._begin(admitted)

    def _begin(self, streams: list[Stream]) -> None:
        """Begin streams together, or each alone if that fails, so that none fails because of another one."""
        try:
            with translate_out_of_memory(self._runner.device):
                self._runner.begin(streams)
        except BaseException as error:  # noqa: BLE001 - raised again in the consumer's thread
            for stream in streams:
                self._runner.leave(stream)
            if len(streams) > 1:
                for stream in streams:
                    self._begin([stream])
            else:
                self._running.remove(streams[0])
                streams[0].finish(error)

    def _step(self) -> None:
        streams = self._next_to_step()
        for stream in streams:
            stream.consumer_waiting = False
        try:
            with translate_out_of_memory(self._runner.device):
                self._runner.step(streams)
        except BaseException as error:  # noqa: BLE001 - raised again in the consumer's thread
            for stream in streams:
                stream.finish(error)
                stream.abandoned = True
        for stream in [stream for stream in streams if stream.over or stream.abandoned]:
            self._drop(stream)

    def _drop(self, stream: Stream) -> None:
        self._runner.leave(stream)
        self._running.remove(stream)


def _thread_died(cause: BaseException | None = None) -> DeviceError:
    error = DeviceError("The model's device thread has stopped. Load the model again.")
    error.__cause__ = cause
    return error


def _abandon_at_exit(scheduler: "weakref.ref[Scheduler]") -> None:
    """Let the device thread end before Python exits, which waits for it."""
    if alive := scheduler():
        alive.abandon()


def _admission_order(stream: Stream) -> int:
    """Return the sort key of a waiting stream; the lowest is admitted first."""
    return length_of(stream.sequence) if stream.times_skipped < _MAX_SKIPS else 0
