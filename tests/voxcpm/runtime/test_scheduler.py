"""Streams of one batch: each gives the samples that it gives alone, and admission is fair."""

import gc
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import zip_longest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.voxcpm.runtime.counting import Counting, scheduled, until, wish
from tests.voxcpm.speech import samples_of, utterance
from voxcli.audio.chunk import Samples
from voxcli.errors import DeviceError
from voxcli.voxcpm.model import Model, Utterance
from voxcli.voxcpm.network.kv_cache import KVCache
from voxcli.voxcpm.runtime.scheduler import Scheduler

Models = Callable[[str], Model]


def test_two_streams_in_turns_are_two_alone(models: Models, family: str) -> None:
    model = models(family)
    one, two = utterance(seed=1), utterance(seed=2, text="再见", steps=6)
    alone = [samples_of(model, said) for said in (one, two)]
    turns = list(zip_longest(model.stream(one), model.stream(two)))
    for column, expected in zip(zip(*turns, strict=True), alone, strict=True):
        spoken = np.concatenate([chunk for chunk in column if chunk is not None])
        np.testing.assert_allclose(spoken, expected, atol=1e-4)


wishes = st.builds(
    utterance,
    text=st.sampled_from(["好", "你好世界 hello there", "再见 " * 20]),
    seed=st.integers(0, 99),
    steps=st.integers(1, 6),
    guidance=st.floats(1, 3),
    min_patches=st.just(50),
    max_patches=st.integers(1, 5),
)


@settings(max_examples=8, deadline=None)
@given(said=st.lists(wishes, min_size=2, max_size=7), data=st.data())
def test_a_stream_in_a_batch_is_what_it_is_alone(models: Models, said: list[Utterance], data: st.DataObject) -> None:
    """Whenever it joins, whatever the settings of the others, and whichever of them leave early."""
    model = models("voxcpm-2")
    left = data.draw(st.lists(st.none() | st.integers(1, 3), min_size=len(said), max_size=len(said)))

    def listen(number: int) -> list[Samples]:
        with closing(model.stream(said[number])) as stream:
            return [chunk for chunk, _ in zip(stream, range(left[number] or 99), strict=False)]

    with ThreadPoolExecutor(len(said)) as threads:
        spoken = list(threads.map(listen, range(len(said))))
    for number, chunks in enumerate(spoken):
        heard = np.concatenate(chunks)
        np.testing.assert_allclose(heard, samples_of(model, said[number])[: len(heard)], atol=1e-4)


def test_an_abandoned_stream_frees_its_caches(models: Models) -> None:
    def caches() -> "weakref.WeakSet[KVCache]":
        return weakref.WeakSet(thing for thing in gc.get_objects() if type(thing) is KVCache)

    before = caches()
    stream = models("voxcpm-1.5").stream(utterance(max_patches=50, min_patches=50))
    next(stream)
    its_own = caches() - before
    assert len(its_own) == 2
    stream.close()
    until(lambda: not its_own)


def test_no_more_streams_speak_at_once_than_there_are_slots() -> None:
    runner = Counting()
    with scheduled(runner, slots=3) as scheduler, ThreadPoolExecutor(10) as threads:
        spoken = list(threads.map(lambda _: list(scheduler.speak(wish(limit=4))), range(10)))
    assert all(len(chunks) == 4 for chunks in spoken)
    assert len(runner.begun) == len(runner.left) == 10
    assert max(map(len, runner.steps)) <= 3


def test_a_slow_consumer_does_not_hold_up_the_others_and_gets_no_more_than_requested() -> None:
    runner = Counting()
    with scheduled(runner) as scheduler:
        slow = scheduler.speak(wish(limit=50))
        next(slow)
        assert len(list(scheduler.speak(wish(limit=20)))) == 20
        assert sum(len(step) for step in runner.steps) <= 22
        assert len(list(slow)) == 49


def test_a_runner_that_runs_ahead_does_not_wait_for_consumers() -> None:
    runner = Counting(runs_ahead=True)
    with scheduled(runner) as scheduler:
        stream = scheduler.speak(wish(limit=50))
        next(stream)
        until(lambda: len(runner.left) == 1)
        assert len(list(stream)) == 49


def test_the_shortest_sequence_is_admitted_first_but_none_waits_for_ever() -> None:
    runner = Counting()
    with scheduled(runner, slots=1) as scheduler, ThreadPoolExecutor(20) as threads:
        first = scheduler.speak(wish())
        next(first)
        lengths = [500, *range(30, 42)]
        waiting = [threads.submit(lambda length=length: list(scheduler.speak(wish(length)))) for length in lengths]
        until(lambda: len(scheduler._waiting) == len(lengths))
        first.close()
        for stream in waiting:
            stream.result()
    order = [len(stream.sequence[0]) for stream in runner.begun[1:]]
    assert order == [*range(30, 38), 500, *range(38, 42)]


def test_running_streams_do_not_wait_until_many_others_are_admitted() -> None:
    runner = Counting(prefill_budget=100)
    with scheduled(runner, slots=8) as scheduler, ThreadPoolExecutor(8) as threads:
        runner.held = True
        speaking = threads.submit(lambda: list(scheduler.speak(wish(limit=9))))
        until(lambda: len(runner.begun) == 1)
        crowd = [threads.submit(lambda: list(scheduler.speak(wish(60)))) for _ in range(6)]
        until(lambda: len(scheduler._waiting) == 6)
        runner.held = False
        runner.may_step.release()
        for stream in (speaking, *crowd):
            stream.result()
    grown = [len(step) for step in runner.steps[:4]]
    assert grown[0] == 1
    assert grown[1] <= 3


def test_an_error_reaches_only_the_streams_it_concerns() -> None:
    runner = Counting()
    with scheduled(runner) as scheduler:
        healthy = scheduler.speak(wish(limit=4))
        next(healthy)
        for seed, words in ((-1, "no room"), (13, "it broke")):
            with pytest.raises(DeviceError, match=words):
                next(scheduler.speak(wish(seed=seed)))
        assert len(list(healthy)) == 3
        until(lambda: len(runner.left) == 2)


def test_calls_run_between_two_steps_and_raise_their_own_errors() -> None:
    def fail() -> None:
        raise ValueError("of my own")

    with scheduled(Counting()) as scheduler:
        stream = scheduler.speak(wish())
        next(stream)
        assert scheduler.call(lambda: threading.current_thread().name) == "voxcpm"
        with pytest.raises(ValueError, match="of my own"):
            scheduler.call(fail)
        assert len(list(stream)) == 2


def test_a_closed_model_admits_no_stream_but_running_ones_complete() -> None:
    runner = Counting()
    scheduler = Scheduler(runner, 2)
    stream = scheduler.speak(wish())
    next(stream)
    scheduler.close()
    with pytest.raises(DeviceError, match="closed"):
        next(scheduler.speak(wish()))
    time.sleep(0.05)
    assert runner.asked < 50, "it polls instead of sleeping"
    assert len(list(stream)) == 2
    assert scheduler._thread is not None
    scheduler._thread.join(20)
    assert not scheduler._thread.is_alive()
