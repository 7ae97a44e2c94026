"""A runner without a model, for tests of the scheduler."""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext

import numpy as np
import torch

from voxcli.errors import DeviceError
from voxcli.voxcpm.network.sequence import TextSegment
from voxcli.voxcpm.runtime.runner import Runner
from voxcli.voxcpm.runtime.scheduler import Scheduler
from voxcli.voxcpm.runtime.stream import Stream


def until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < ends, "the condition was never met"
        time.sleep(0.001)


class Counting:
    """A runner whose audio is the number of the patch, and which records how it is called."""

    device = torch.device("cpu")
    has_pending_output = False

    def __init__(self, *, runs_ahead: bool = False, prefill_budget: int = 1000) -> None:
        self.asked = 0
        self._runs_ahead = runs_ahead
        self.prefill_budget = prefill_budget
        self.begun: list[Stream] = []
        self.left: list[Stream] = []
        self.steps: list[list[Stream]] = []
        self.may_step = threading.Semaphore(0)
        self.held = False
        self.closed = False

    @property
    def runs_ahead(self) -> bool:
        self.asked += 1
        return self._runs_ahead

    def device_context(self) -> "nullcontext[None]":
        return nullcontext()

    def begin(self, streams: Sequence[Stream]) -> None:
        if any(stream.seed < 0 for stream in streams):
            raise DeviceError("no room for it")
        self.begun += streams

    def step(self, streams: Collection[Stream]) -> None:
        if not streams:
            return
        if self.held:
            self.may_step.acquire()
        self.steps.append(list(streams))
        if any(stream.seed == 13 for stream in streams):
            raise DeviceError("it broke")
        for stream in streams:
            stream.put(np.array([stream.patches_generated], np.float32))
            stream.count_patch(wants_to_stop=False)
            if stream.over:
                stream.finish()

    def synchronize(self) -> None:
        pass

    def leave(self, stream: Stream) -> None:
        if stream in self.begun:
            self.left.append(stream)

    def close(self) -> None:
        self.closed = True


def wish(length: int = 5, *, limit: int = 3, seed: int = 0) -> Stream:
    sequence = (TextSegment(tuple(range(length))),)
    return Stream(sequence=sequence, reference=None, steps=1, guidance=1, seed=seed, min_patches=9, limit=limit)


@contextmanager
def scheduled(runner: Runner, slots: int = 2) -> Iterator[Scheduler]:
    scheduler = Scheduler(runner, slots)
    yield scheduler
    scheduler.abandon()
