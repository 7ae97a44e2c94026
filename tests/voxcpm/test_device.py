"""The device that is chosen among several."""

import ctypes
from collections.abc import Mapping
from types import SimpleNamespace

import pytest
import torch

from voxcli.voxcpm import device
from voxcli.voxcpm.device import choose_placement


class Driver:
    """NVIDIA's library, with these free bytes by the name of each GPU."""

    def __init__(self, free: Mapping[bytes, int], *, starts: bool = True) -> None:
        self._free, self._starts = free, starts
        self._handles = {number + 1: name for number, name in enumerate(free)}
        self.open = 0

    def nvmlInit_v2(self) -> int:
        self.open += self._starts
        return 0 if self._starts else 9

    def nvmlShutdown(self) -> int:
        self.open -= 1
        return 0

    def nvmlDeviceGetHandleByUUID(self, name: bytes, handle: ctypes.Array[ctypes.c_void_p]) -> int:
        for number, known in self._handles.items():
            if known == name:
                handle._obj.value = number  # type: ignore[attr-defined]
                return 0
        return 6

    def nvmlDeviceGetMemoryInfo(self, handle: ctypes.c_void_p, memory: ctypes.Array[ctypes.c_void_p]) -> int:
        assert handle.value
        memory._obj.free = self._free[self._handles[handle.value]]  # type: ignore[attr-defined]
        return 0


def gpus(monkeypatch: pytest.MonkeyPatch, driver: Driver | None, *uuids: str) -> None:
    """Pretend that torch has these GPUs, in its own order, and uses the first one."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(uuids))
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(uuid=uuids[index]))

    def load() -> Driver:
        if driver is None:
            raise OSError("libnvidia-ml.so.1: cannot open shared object file")
        return driver

    monkeypatch.setattr(device, "_load_nvml", load)


def chosen() -> int | None:
    return choose_placement("auto", "float32").device.index


def test_auto_takes_the_gpu_with_the_most_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver({b"GPU-c": 2**30, b"GPU-a": 10 * 2**30, b"MIG-b": 70 * 2**30})
    gpus(monkeypatch, driver, "a", "b", "c")
    assert chosen() == 1
    assert driver.open == 0
    assert choose_placement("cuda:2", "float32").device.index == 2  # which is asked for by name


@pytest.mark.parametrize("driver", [None, Driver({}, starts=False), Driver({b"GPU-b": 5})])
def test_a_driver_that_does_not_tell_leaves_the_usual_gpu(
    monkeypatch: pytest.MonkeyPatch, driver: Driver | None
) -> None:
    gpus(monkeypatch, driver, "a", "b")
    assert chosen() == 0
