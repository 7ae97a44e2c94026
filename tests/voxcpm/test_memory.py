"""A model that does not fit is refused before it is read."""

import os
import platform
from pathlib import Path

import pytest
import torch

from voxcli.errors import DeviceError
from voxcli.voxcpm.memory import check_memory, release_free_memory, translate_out_of_memory

CPU = torch.device("cpu")


def test_what_fits_is_let_through() -> None:
    check_memory(CPU, 1)


def test_what_does_not_is_refused_with_what_is_needed_and_what_there_is() -> None:
    with pytest.raises(DeviceError, match=r"needs 1024\.2 GiB on cpu, and \d+\.\d GiB are free"):
        check_memory(CPU, 1 << 40)


def test_memory_that_runs_out_on_the_way_is_told_with_what_was_asked_for() -> None:
    too_much, told = 1 << 60, r"not enough memory on cpu: .*1152921504606846976.* weights of the model are 2\.0 GiB"
    with pytest.raises(DeviceError, match=told), translate_out_of_memory(CPU, 2 << 30):
        torch.empty(too_much, dtype=torch.uint8)


@pytest.mark.parametrize("error", [RuntimeError("a shape"), OSError("a disk"), DeviceError("a fan")])
def test_what_is_no_shortage_stays_what_it_is(error: Exception) -> None:
    with pytest.raises(type(error), match=str(error)), translate_out_of_memory(CPU):
        raise error


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps it")
def test_freed_memory_is_given_back() -> None:
    blocks = [torch.ones(25_000) for _ in range(2000)]  # 100 KB each, which malloc does not map by itself
    kept = blocks[-1]
    del blocks[:]
    held = resident_bytes()
    release_free_memory()
    assert held - resident_bytes() > 100e6
    assert kept.sum() == 25_000


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
