"""Memory checks before and during loading, memory in use, and giving memory back."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from voxcli.errors import OutOfMemory
from voxcli.processes import trim_heap
from voxcli.synthesis.request import GpuMemory

_MEMINFO = Path("/proc/meminfo")
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
_CGROUP_USE = Path("/sys/fs/cgroup/memory.current")

_WORKING_BYTES = 256 * 2**20
"""For activations and KV caches."""

_DEFAULT_CPU_SLOTS = 4
_MAX_SLOTS = 64
_SLOTS_SHARE = 0.8
"""Share of the memory left by the model. The rest is for graphs and activations."""

_ADVICE = "Close other programs, choose a smaller model, or quantize it."
_OPTIONS = "Pass --quantize int8 (fp8 on a GPU), or --device cpu."
_OUT_OF_MEMORY = ("out of memory", "allocate memory")
"""Found in messages of torch and of the operating system that have no exception class of their own."""


def check_memory(device: torch.device, needed: int) -> None:
    """Check that a device has room for a model.

    Args:
        needed: bytes of the weights.

    Raises:
        OutOfMemory: there is too little; the message says how much is needed and how much is free.
    """
    free = _free_bytes(device)
    if free is not None and needed + _WORKING_BYTES > free:
        raise OutOfMemory(
            f"The model needs {_gib(needed + _WORKING_BYTES)} on {device}, and {_gib(free)} are free. {_ADVICE}",
            on_command_line=_OPTIONS,
        )


def count_slots(device: torch.device, each: int, requested: int | None) -> int:
    """Return how many streams can run concurrently.

    Args:
        each: bytes that a slot reserves on a GPU. On a CPU, a stream allocates memory as it grows.
        requested: None chooses as many as fit.

    Raises:
        OutOfMemory: there is not enough memory for the requested number.
    """
    if device.type != "cuda":
        return requested or _DEFAULT_CPU_SLOTS
    free = _free_bytes(device) or 0
    fitting = int(_SLOTS_SHARE * (free - _WORKING_BYTES)) // each
    if fitting < (requested or 1):
        raise OutOfMemory(
            f"{requested or 1} streams need {_gib((requested or 1) * each)} on {device} besides the model, "
            f"and {_gib(free)} are free. Use fewer slots or a smaller model."
        )
    return requested or min(fitting, _MAX_SLOTS)


@contextmanager
def translate_out_of_memory(device: torch.device, weights: int | None = None) -> Iterator[None]:
    """Translate out-of-memory errors, which can occur in spite of `check_memory`, to a `OutOfMemory`.

    Args:
        weights: bytes of the model that is being loaded.

    Raises:
        OutOfMemory: memory ran out.
    """
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        needed = f"The weights of the model are {_gib(weights)}. " if weights else ""
        raise OutOfMemory(
            f"There is not enough memory on {device}: {str(error).partition(chr(10))[0]}. {needed}{_ADVICE}",
            on_command_line=_OPTIONS,
        ) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory ran out."""
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in _OUT_OF_MEMORY)


def release_freed_memory(device: torch.device) -> None:
    """Give the memory of a closed model back to the operating system and to other processes.

    torch keeps freed GPU memory for its next tensors, and cyclic references keep tensors until they are collected.
    """
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()
    trim_heap()


def gpu_memory(device: torch.device) -> GpuMemory | None:
    """Measure the memory of a CUDA device that this process uses; None for other devices."""
    if device.type != "cuda":
        return None
    return GpuMemory(
        torch.cuda.get_device_name(device), torch.cuda.memory_allocated(device), torch.cuda.memory_reserved(device)
    )


def _free_bytes(device: torch.device) -> int | None:
    """Return the free memory in bytes; None if unknown."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    counts = [count for count in (_available(), _left_in_cgroup()) if count is not None]
    return min(counts, default=None)


def _available() -> int | None:
    """Return the bytes that Linux can provide without swapping."""
    try:
        lines = _MEMINFO.read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)


def _left_in_cgroup() -> int | None:
    """Return the bytes left under the limit of the container."""
    try:
        return int(_CGROUP_LIMIT.read_text()) - int(_CGROUP_USE.read_text())
    except (OSError, ValueError):  # no cgroup, or no limit
        return None


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"
