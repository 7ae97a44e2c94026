"""Device and dtype that a model runs with."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import torch

from voxcli.errors import DeviceError, RequestError
from voxcli.voxcpm.network.linear import cpu_has_bf16

AUTO = "auto"


class Precision(StrEnum):
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


@dataclass(frozen=True, slots=True)
class Placement:
    """A device, and the dtype of weights and activations on it. The codec always runs in float32."""

    device: torch.device
    dtype: torch.dtype

    def __str__(self) -> str:
        return f"{self.device} in {str(self.dtype).removeprefix('torch.')}"


def choose_placement(device: str = AUTO, dtype: str = AUTO) -> Placement:
    """Return the requested device and dtype, or the best ones of this machine.

    Args:
        device: auto, cpu, cuda, cuda:N or mps.
        dtype: auto or a `Precision`.

    Raises:
        RequestError: an unknown name.
        DeviceError: this machine does not have it.
    """
    chosen = _choose_device(device)
    return Placement(chosen, _choose_dtype(chosen, dtype))


def prepare_device(device: torch.device) -> None:
    """Set what torch needs to be told about a device before a model is loaded on it.

    On recent GPUs, torch takes attention from cuDNN, which compiles it anew for every number of positions: about 0.4 s
    each, in every process. Flash attention, the next choice, is compiled already.
    """
    if device.type == "cuda":
        torch.backends.cuda.enable_cudnn_sdp(False)


def _choose_device(name: str) -> torch.device:
    if name == AUTO:
        if torch.cuda.is_available():
            return torch.device("cuda", _freest_gpu())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (number and (kind != "cuda" or not number.isdigit())):
        raise RequestError(f"There is no device {name!r}. Say auto, cpu, cuda, cuda:N or mps.")
    if kind == "cuda":
        return _choose_gpu(name, int(number or 0))
    if kind == "mps" and not torch.backends.mps.is_available():
        raise DeviceError(
            "This machine has no Apple GPU that torch can use.", on_command_line="Use --device cpu or auto."
        )
    return torch.device(kind)


def _choose_gpu(name: str, index: int) -> torch.device:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if index >= count:
        has = f"only {count}" if count else "no CUDA device that torch can use"
        raise DeviceError(f"There is no {name}: this machine has {has}.", on_command_line="Use --device auto.")
    return torch.device("cuda", index)


def _freest_gpu() -> int:
    """Return the GPU with the most free memory; the usual one if the driver does not tell."""
    count = torch.cuda.device_count()
    if count > 1:
        free = _free_bytes([str(torch.cuda.get_device_properties(index).uuid) for index in range(count)])
        if free:
            return free.index(max(free))
    return torch.cuda.current_device()


class _Memory(ctypes.Structure):
    """nvmlMemory_t."""

    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


def _free_bytes(uuids: Sequence[str]) -> list[int]:
    """Ask NVIDIA's driver for the free memory of GPUs; empty if it does not tell that of each.

    Not torch, which would take some hundred megabytes of each GPU to tell, and NVML numbers them in another order.
    https://docs.nvidia.com/deploy/nvml-api has the functions.
    """
    try:
        nvml = _load_nvml()
    except OSError:
        return []
    if nvml.nvmlInit_v2():
        return []
    free = []
    for uuid in uuids:
        handle, memory = ctypes.c_void_p(), _Memory()
        names = [f"{kind}-{uuid}".encode() for kind in ("GPU", "MIG")]
        found = any(nvml.nvmlDeviceGetHandleByUUID(name, ctypes.byref(handle)) == 0 for name in names)
        if found and nvml.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory)) == 0:
            free.append(memory.free)
    nvml.nvmlShutdown()
    return free if len(free) == len(uuids) else []


def _load_nvml() -> ctypes.CDLL:
    """Load the library of the driver. Raises OSError."""
    return ctypes.CDLL("libnvidia-ml.so.1")


def _choose_dtype(device: torch.device, name: str) -> torch.dtype:
    if name != AUTO:
        if name not in tuple(Precision):
            raise RequestError(f"There is no dtype {name!r}. Say auto, {', '.join(Precision)}.")
        dtype: torch.dtype = getattr(torch, name)
        return dtype
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    # On an Apple GPU, 16-bit activations distort the voice (OpenBMB/VoxCPM issue 256).
    return torch.bfloat16 if device.type == "cpu" and cpu_has_bf16() else torch.float32
