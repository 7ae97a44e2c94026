"""Memory: checked before loading, and given back afterwards."""

import gc
import os
import platform
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.voxcpm.recorded import RecordedGraphStream
from tests.voxcpm.runtime.counting import until
from tests.voxcpm.speech import samples_of, utterance
from voxcli.errors import DeviceError
from voxcli.processes import trim_heap
from voxcli.voxcpm.device import Placement
from voxcli.voxcpm.loading import load_model
from voxcli.voxcpm.memory import check_memory, release_freed_memory, translate_out_of_memory
from voxcli.voxcpm.model import Model
from voxcli.voxcpm.runtime.graph_runner import GraphRunner

CPU = torch.device("cpu")


def test_what_fits_is_let_through() -> None:
    check_memory(CPU, 1)


def test_what_does_not_is_refused_with_what_is_needed_and_what_there_is() -> None:
    with pytest.raises(DeviceError, match=r"needs 1024\.2 GiB on cpu, and \d+\.\d GiB are free"):
        check_memory(CPU, 1 << 40)


def test_running_out_of_memory_is_reported_with_the_requested_size() -> None:
    too_much, told = 1 << 60, r"not enough memory on cpu: .*1152921504606846976.* weights of the model are 2\.0 GiB"
    with pytest.raises(DeviceError, match=told), translate_out_of_memory(CPU, 2 << 30):
        torch.empty(too_much, dtype=torch.uint8)


@pytest.mark.parametrize("error", [RuntimeError("a shape"), OSError("a disk"), DeviceError("a fan")])
def test_other_errors_stay_as_they_are(error: Exception) -> None:
    with pytest.raises(type(error), match=str(error)), translate_out_of_memory(CPU):
        raise error


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps it")
def test_freed_memory_is_given_back() -> None:
    blocks = [torch.ones(25_000) for _ in range(2000)]  # 100 KB each, which malloc does not map by itself
    kept = blocks[-1]
    del blocks[:]
    held = resident_bytes()
    trim_heap()
    assert held - resident_bytes() > 100e6
    assert kept.sum() == 25_000


@pytest.mark.parametrize("streaming", [False, True], ids=["idle", "while a stream runs"])
def test_a_closed_model_drops_its_weights_and_slots(
    checkpoints: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, streaming: bool
) -> None:
    given_back: list[torch.device | None] = []
    monkeypatch.setattr("voxcli.voxcpm.model.release_freed_memory", given_back.append)
    model = load_model(checkpoints("voxcpm-1.5"), Placement(CPU, torch.float32), threads=1)
    weights = weakref.ref(model._backbone), weakref.ref(model._codec)
    stream = model.stream(utterance(min_patches=6, max_patches=6))
    assert len(next(stream))
    if not streaming:
        list(stream)
        until(model._scheduler._is_done)  # its thread may still hold the slot
    for _ in range(2):
        model.close()
    if streaming:
        assert not given_back
        assert len(list(stream)) == 6
        assert model._scheduler._thread is not None
        model._scheduler._thread.join(20)
    gc.collect()
    assert [weight() for weight in weights] == [None, None]
    assert given_back == [CPU]
    with pytest.raises(DeviceError, match="closed"):
        next(model.stream(utterance()))


def test_graphs_and_slots_are_dropped_as_well(checkpoints: Callable[[str], Path]) -> None:
    model = load_model(checkpoints("voxcpm-1.5"), Placement(CPU, torch.float32), threads=1)
    runner = GraphRunner(model._backbone, model._codec, 2, lazy=False, new_stream=RecordedGraphStream)
    other = Model(model.config, model._tokenizer, model._backbone, model._codec, runner, 2)
    assert len(samples_of(other))
    slots, prefiller = weakref.ref(runner._slots), weakref.ref(runner._prefiller)
    other.close()
    gc.collect()
    assert slots() is prefiller() is None
    model.close()


def test_the_memory_of_a_gpu_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: calls.append("synchronize"))
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: calls.append("empty_cache"))
    release_freed_memory(torch.device("cuda", 0))
    assert calls == ["synchronize", "empty_cache"]


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_closed_model_leaves_nothing_on_the_gpu(checkpoints: Callable[[str], Path]) -> None:
    device = torch.device("cuda", 0)
    release_freed_memory(device)
    before = torch.cuda.memory_reserved(device)
    model = load_model(checkpoints("voxcpm-1.5"), Placement(device, torch.float32), slots=2)
    samples_of(model)
    assert torch.cuda.memory_reserved(device) > before
    model.close()
    assert torch.cuda.memory_reserved(device) <= before + 32 * 2**20  # workspaces of cuBLAS stay


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
