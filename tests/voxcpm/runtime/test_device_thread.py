"""The device thread: everything that torch computes for a model runs on it, and it ends with the model."""

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.voxcpm.runtime.counting import Counting, until
from voxcli.errors import ModelError
from voxcli.synthesis.loading import LoadingProgress
from voxcli.voxcpm.device import Placement
from voxcli.voxcpm.loading import load_model
from voxcli.voxcpm.runtime.device_thread import DeviceThread
from voxcli.voxcpm.runtime.scheduler import Scheduler

ROOT = Path(__file__).parents[3]
CPU = Placement(torch.device("cpu"), torch.float32)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere torch comes with another OpenMP")
@pytest.mark.parametrize(
    ("family", "quantize", "dtype"), [("voxcpm-1.5", "int8", "auto"), ("voxcpm-2", "none", "bfloat16")]
)
def test_no_second_thread_computes_in_parallel(
    checkpoints: Callable[[str], Path], tmp_path: Path, family: str, quantize: str, dtype: str
) -> None:
    """While a model is loaded, speaks in every kind of voice, in four streams too, and is closed."""
    program = [sys.executable, "-m", "tests.voxcpm.runtime.parallel_regions"]
    done = subprocess.run(
        [*program, str(checkpoints(family)), str(tmp_path), quantize, dtype],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert list(found["regions"]) == ["voxcpm"], found
    assert found["pools"] == [2, 2], "the threads of one pool, less the one that calls"


def test_a_load_that_fails_ends_the_thread_and_raises_its_error(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with pytest.raises(ModelError, match="config"):
        load_model(tmp_path, CPU)
    assert set(threading.enumerate()) <= before


def test_an_interrupt_ends_the_loading_at_the_next_block(checkpoints: Callable[[str], Path]) -> None:
    before, told = set(threading.enumerate()), []

    def interrupt(progress: LoadingProgress) -> None:
        if not told:
            os.kill(os.getpid(), signal.SIGINT)
            until(lambda: interrupted == [True])
        told.append(progress)

    interrupted: list[bool] = []

    def on_signal(number: int, frame: object) -> None:
        interrupted.append(True)
        raise KeyboardInterrupt

    usual = signal.signal(signal.SIGINT, on_signal)
    try:
        with pytest.raises(KeyboardInterrupt):
            load_model(checkpoints("voxcpm-1.5"), CPU, on_loading=interrupt)
    finally:
        signal.signal(signal.SIGINT, usual)
    assert set(threading.enumerate()) <= before
    assert len(told) < 20, "it went on"


def test_a_thread_ends_when_nothing_refers_to_it() -> None:
    thread = DeviceThread()
    assert thread.call(lambda: threading.current_thread().name) == "voxcpm"
    running = thread._thread
    del thread
    running.join(20)
    assert not running.is_alive()


def test_it_keeps_nothing_of_what_it_has_run() -> None:
    class Result:
        pass

    thread = DeviceThread()
    result = thread.call(Result)
    seen = weakref.ref(result)
    del result
    until(lambda: seen() is None)
    thread.end()


class Weights:
    """Something large that a function was about to load."""


@pytest.mark.parametrize("through", ["the thread", "a scheduler"])
def test_an_error_is_all_that_is_left_of_what_failed(through: str) -> None:
    """Without a garbage collection: memory may be needed for another attempt."""
    seen: list[weakref.ref[Weights]] = []

    def load() -> None:
        weights = Weights()
        seen.append(weakref.ref(weights))
        raise ModelError("a damaged file")

    thread = DeviceThread()
    owner: DeviceThread | Scheduler = thread if through == "the thread" else Scheduler(Counting(), 1, thread=thread)
    gc.disable()
    try:
        with pytest.raises(ModelError) as raised:
            owner.call(load)
        assert seen[0]() is not None
        del raised
        until(lambda: seen[0]() is None)
    finally:
        gc.enable()
    owner.close() if isinstance(owner, Scheduler) else owner.end()
