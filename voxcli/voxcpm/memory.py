"""How much memory there is for a model: one that does not fit is refused before it is read, or told so on the way."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from voxcli.errors import DeviceError
from voxcli.synthesis.request import GpuMemory

_MEMINFO = Path("/proc/meminfo")
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
_CGROUP_USE = Path("/sys/fs/cgroup/memory.current")

_FOR_THE_WORK = 256 * 2**20
"""Bytes for activations and what a stream remembers."""

_SLOTS_ELSEWHERE = 4
_SLOTS_AT_MOST = 64
_SHARE_FOR_SLOTS = 0.8
"""Of the memory that is left beside the model; the rest is for graphs and for what streams work on."""

_ADVICE = "Close other programs, take a smaller model, or say --quantize int8 (on a GPU fp8) or --device cpu."
_OUT_OF_MEMORY = ("out of memory", "allocate memory")
"""How torch, and the system through it, put it where they have no class of their own for it."""


def check_memory(device: torch.device, needed: int) -> None:
    """Refuse a model of so many bytes where they are not free.

    Raises:
        DeviceError: with what is needed and what there is.
    """
    free = _free_bytes(device)
    if free is not None and needed + _FOR_THE_WORK > free:
        raise DeviceError(
            f"The model needs {_gib(needed + _FOR_THE_WORK)} on {device}, and {_gib(free)} are free. {_ADVICE}"
        )


def count_slots(device: torch.device, each: int, wished: int | None) -> int:
    """Tell how many streams may run at once.

    Args:
        each: bytes that one takes of a GPU from the beginning. On a CPU a stream takes what it needs as it goes on.
        wished: how many somebody wants; None leaves it to the memory.

    Raises:
        DeviceError: there is not enough memory for that many.
    """
    if device.type != "cuda":
        return wished or _SLOTS_ELSEWHERE
    free = _free_bytes(device) or 0
    fitting = int(_SHARE_FOR_SLOTS * (free - _FOR_THE_WORK)) // each
    if fitting < (wished or 1):
        raise DeviceError(
            f"{wished or 1} streams need {_gib((wished or 1) * each)} on {device} beside the model, "
            f"and {_gib(free)} are free. Ask for fewer slots, or take a smaller model."
        )
    return wished or min(fitting, _SLOTS_AT_MOST)


@contextmanager
def translate_out_of_memory(device: torch.device, weights: int | None = None) -> Iterator[None]:
    """Put it in words if memory runs out nevertheless: others take some too, and a process may be held to a limit.

    Args:
        weights: bytes of a model that is being loaded.

    Raises:
        DeviceError: with what was needed.
    """
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        wanted = f"The weights of the model are {_gib(weights)}. " if weights else ""
        raise DeviceError(
            f"There is not enough memory on {device}: {str(error).partition(chr(10))[0]}. {wanted}{_ADVICE}"
        ) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether memory has run out."""
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in _OUT_OF_MEMORY)


def release_free_memory() -> None:
    """Give the system back what was freed. glibc keeps it, in pieces that the next matrices do not fit into."""
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)


def gpu_memory(device: torch.device) -> GpuMemory | None:
    """Return what this process takes of a CUDA device; None for any other."""
    if device.type != "cuda":
        return None
    return GpuMemory(
        torch.cuda.get_device_name(device), torch.cuda.memory_allocated(device), torch.cuda.memory_reserved(device)
    )


def _free_bytes(device: torch.device) -> int | None:
    """Count what is free; None where nobody tells."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    counts = [count for count in (_available(), _left_in_cgroup()) if count is not None]
    return min(counts, default=None)


def _available() -> int | None:
    """Linux knows what it could give without swapping."""
    try:
        lines = _MEMINFO.read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)


def _left_in_cgroup() -> int | None:
    """A container may allow less than the machine has."""
    try:
        return int(_CGROUP_LIMIT.read_text()) - int(_CGROUP_USE.read_text())
    except (OSError, ValueError):  # no cgroup, or "max"
        return None


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"
