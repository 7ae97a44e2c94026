"""Faults of the device thread: whatever fails, no stream and no call waits for ever."""

import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from tests.voxcpm.recorded import RecordedGraphStream
from tests.voxcpm.runtime.counting import Counting, until, wish
from tests.voxcpm.speech import clip, samples_of, utterance
from voxcli.errors import DeviceError
from voxcli.voxcpm.model import Model
from voxcli.voxcpm.network.sequence import build_sequence
from voxcli.voxcpm.runtime.graph_runner import GraphRunner
from voxcli.voxcpm.runtime.scheduler import Scheduler
from voxcli.voxcpm.runtime.stream import Stream

Models = Callable[[str], Model]

SECONDS = 20
"""Longer than anything here takes: whoever still waits then waits for ever."""


class Dying(Counting):
    """A runner that takes its thread with it when a stream leaves."""

    def leave(self, stream: Stream) -> None:
        raise ValueError("it died")


@contextmanager
def consumers() -> Iterator[ThreadPoolExecutor]:
    """Threads that a failed test does not wait for."""
    threads = ThreadPoolExecutor(8)
    yield threads
    threads.shutdown(wait=False, cancel_futures=True)


def check_all_fail(waiting: Collection["Future[object]"], words: str) -> None:
    for each in waiting:
        with pytest.raises(DeviceError, match=words):
            each.result(SECONDS)


def close_in_time(scheduler: Scheduler | Model) -> None:
    closing = threading.Thread(target=scheduler.close, daemon=True)
    closing.start()
    closing.join(SECONDS)
    assert not closing.is_alive(), "close waits for ever"


def test_when_the_device_thread_dies_everything_that_waits_for_it_fails() -> None:
    runner, released = Dying(), threading.Event()
    scheduler = Scheduler(runner, 2, on_end=released.set)
    with consumers() as threads:
        runner.held = True
        one = threads.submit(lambda: list(scheduler.speak(wish(limit=1))))
        until(lambda: len(runner.begun) == 1)
        others = [threads.submit(lambda: list(scheduler.speak(wish(limit=9)))) for _ in range(3)]
        until(lambda: len(scheduler._waiting) == 3)
        call = threads.submit(lambda: scheduler.call(lambda: runner.leave(wish())))
        until(lambda: len(scheduler._calls) == 1)
        runner.held = False
        runner.may_step.release()
        assert len(one.result(SECONDS)) == 1, "its audio was complete"
        check_all_fail([*others, call], "device thread has stopped")
    assert released.wait(SECONDS)


def dead_scheduler() -> Scheduler:
    scheduler = Scheduler(Dying(), 1)
    list(scheduler.speak(wish(limit=1)))
    assert scheduler._thread
    scheduler._thread.join(SECONDS)
    return scheduler


def test_a_dead_thread_is_given_no_more_work() -> None:
    scheduler = dead_scheduler()
    with consumers() as threads:
        submitted = [threads.submit(lambda: list(scheduler.speak(wish()))), threads.submit(scheduler.call, list)]
        check_all_fail(submitted, "device thread has stopped")


def test_a_dead_scheduler_can_be_closed_and_more_than_once() -> None:
    scheduler = dead_scheduler()
    for _ in range(2):
        close_in_time(scheduler)
    with pytest.raises(DeviceError, match="closed"):
        scheduler.call(list)


def test_a_thread_that_cannot_even_begin_fails_its_streams() -> None:
    class Unprepared(Counting):
        def device_context(self) -> "contextmanager[None]":  # type: ignore[override]
            raise RuntimeError("CUDA error: no device")

    with consumers() as threads:
        scheduler = Scheduler(Unprepared(), 1)
        check_all_fail([threads.submit(lambda: list(scheduler.speak(wish())))], "device thread has stopped")
        close_in_time(scheduler)


def test_close_lets_whatever_waits_complete() -> None:
    runner, released = Counting(), threading.Event()
    scheduler = Scheduler(runner, 1, on_end=released.set)
    with consumers() as threads:
        runner.held = True
        streams = [threads.submit(lambda: list(scheduler.speak(wish()))) for _ in range(3)]
        until(lambda: len(scheduler._waiting) == 2)
        call = threads.submit(scheduler.call, lambda: "done")
        until(lambda: len(scheduler._calls) == 1)
        for _ in range(2):
            close_in_time(scheduler)
        assert not released.is_set()
        runner.held = False
        runner.may_step.release()
        assert [len(stream.result(SECONDS)) for stream in streams] == [3, 3, 3]
        assert call.result(SECONDS) == "done"
        assert released.wait(SECONDS)


def test_a_scheduler_that_was_never_used_can_be_closed() -> None:
    ends: list[bool] = []
    scheduler = Scheduler(Counting(), 1, on_end=lambda: ends.append(True))
    for _ in range(2):
        close_in_time(scheduler)
    assert ends == [True]


def with_graphs(model: Model, slots: int) -> Model:
    runner = GraphRunner(model._backbone, model._codec, slots, lazy=True, new_stream=RecordedGraphStream)
    return Model(model.config, model._tokenizer, model._backbone, model._codec, runner, slots)


class FailingCapture(RecordedGraphStream):
    """Runs out of memory when it captures a graph, as soon as it is told to."""

    failing = False

    def _captured(self, *args: object) -> Callable[[], None]:
        if self.failing:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super()._captured(*args)  # type: ignore[arg-type]


def test_a_launch_that_fails_costs_no_stream_the_audio_of_the_step_before(models: Models) -> None:
    """The last patch of the short stream is in flight when the next launch fails."""
    model = models("voxcpm-2")
    shared = FailingCapture(model.device)
    runner = GraphRunner(model._backbone, model._codec, 2, lazy=True, new_stream=lambda device, **_: shared)
    short, long = (_begun(model, runner, patches) for patches in (2, 9))
    with torch.inference_mode():
        runner.step([short, long])
        runner.step([short, long])
        assert short.over
        runner.leave(short)
        shared.failing = True  # the graphs for a single row are still to be captured
        with pytest.raises(torch.OutOfMemoryError):
            runner.step([long])
    spoken = []
    while (samples := short.next_audio(_never_empty)) is not None:
        spoken.append(samples)
    expected = samples_of(model, utterance(min_patches=9, max_patches=2))
    np.testing.assert_allclose(np.concatenate(spoken), expected, atol=1e-4)
    assert not runner.has_pending_output


def _begun(model: Model, runner: GraphRunner, patches: int) -> Stream:
    said = utterance()
    ids = model._tokenizer.ids(said.text)
    stream = Stream(
        sequence=build_sequence(ids, None, None),
        reference=None,
        steps=said.steps,
        guidance=said.guidance,
        seed=said.seed,
        min_patches=99,
        limit=patches,
    )
    with torch.inference_mode():
        runner.begin([stream])
    return stream


def _never_empty() -> None:
    raise AssertionError("its audio was never delivered")


def test_a_stream_whose_launch_fails_gets_the_error_and_the_next_one_is_served(models: Models) -> None:
    model = models("voxcpm-2")
    shared = FailingCapture(model.device)
    runner = GraphRunner(model._backbone, model._codec, 2, lazy=True, new_stream=lambda device, **_: shared)
    other = Model(model.config, model._tokenizer, model._backbone, model._codec, runner, 2)
    with consumers() as threads:
        samples_of(other)
        shared.failing = True
        runner._graphs._graphs.clear()  # to be captured again
        unusual = threads.submit(samples_of, other)
        with pytest.raises(DeviceError, match="not enough memory"):
            unusual.result(SECONDS)
        shared.failing = False
        np.testing.assert_allclose(threads.submit(samples_of, other).result(SECONDS), samples_of(model), atol=1e-4)
        shared.failing = True
        failing = threads.submit(samples_of, other, utterance(text="好" * 20))  # a prefill graph of its own
        close_in_time(other)
        with pytest.raises(DeviceError):
            failing.result(SECONDS)
        close_in_time(other)


def test_audio_that_cannot_be_copied_from_the_device_fails_its_streams(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = models("voxcpm-2")
    other = with_graphs(model, 1)

    def broken() -> None:
        raise RuntimeError("CUDA error: unspecified launch failure")

    with consumers() as threads:
        stream = other.stream(utterance(min_patches=9, max_patches=1))
        assert isinstance(other.runner, GraphRunner)
        monkeypatch.setattr("voxcli.voxcpm.runtime.cuda_graphs.Event.synchronize", lambda event: broken())
        with pytest.raises(RuntimeError, match="unspecified launch failure"):
            threads.submit(list, stream).result(SECONDS)
        close_in_time(other)


def test_a_clip_is_not_encoded_by_a_dead_or_closed_model(models: Models) -> None:
    model = models("voxcpm-2")
    other = with_graphs(model, 1)
    other._scheduler._fail_waiters(None)
    with consumers() as threads:
        encoding = threads.submit(lambda: other.encode_clip(clip(model, 0.3), pad_left=True))
        check_all_fail([encoding], "device thread has stopped")
        close_in_time(other)
        encoding = threads.submit(lambda: other.encode_clip(clip(model, 0.3), pad_left=True))
        check_all_fail([encoding], "closed")
