"""The device: its description, and its measured copy and matrix rates."""

import os
import platform
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from voxcli.voxcpm.runtime.cpu_threads import count_cores


@dataclass(frozen=True, slots=True)
class Environment:
    device: str
    """Its name."""
    python: str
    torch: str
    triton: str | None
    cuda: str | None
    """The version that torch was built for."""
    driver: str | None
    cores: int
    amx: bool
    """Whether the CPU has matrix units for 8 bits."""
    load: float | None
    """Load average of the last minute."""

    def summary(self) -> str:
        graphics = f" · CUDA {self.cuda}, driver {self.driver or 'unknown'}" if self.cuda else ""
        triton = f" · Triton {self.triton}" if self.triton else " · no Triton"
        amx = " with AMX" if self.amx else ""
        load = "" if self.load is None else f" · load average {self.load:.2f}"
        return (
            f"{self.device} · torch {self.torch}{triton}{graphics} · Python {self.python} · "
            f"{self.cores} core{'s' if self.cores > 1 else ''}{amx}{load}"
        )


def read_environment(device: torch.device) -> Environment:
    cpu = _cpu_facts()
    gpu = device.type == "cuda"
    return Environment(
        device=torch.cuda.get_device_name(device) if gpu else cpu.get("model name", platform.processor()),
        python=platform.python_version(),
        torch=torch.__version__,
        triton=_version("triton"),
        cuda=torch.version.cuda if gpu else None,
        driver=_driver() if gpu else None,
        cores=count_cores(),
        amx="amx_int8" in cpu.get("flags", ""),
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    )


def _cpu_facts() -> dict[str, str]:
    """Read the first processor's lines; empty where there is no /proc/cpuinfo."""
    try:
        lines = Path("/proc/cpuinfo").read_text().partition("\n\n")[0].splitlines()
    except OSError:
        return {}
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _driver() -> str | None:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return output.splitlines()[0].strip() if output else None


@dataclass(frozen=True, slots=True)
class Rates:
    bandwidth: float
    """Bytes read and written per second: of a large copy, on a CPU of a large sum too, which only reads."""
    products: float
    """Operations per second of a large matrix product: in bfloat16, on a CPU the faster of it and float32."""

    def maximum(self, other: "Rates | None") -> "Rates":
        """Return the higher of each rate: the lower one was measured while something else was running."""
        if other is None:
            return self
        return Rates(max(self.bandwidth, other.bandwidth), max(self.products, other.products))


def measure_rates(device: torch.device, *, small: bool) -> Rates:
    """Copy more than a cache holds, and multiply random matrices (zeros are faster). `small` is for a trial."""
    gpu = device.type == "cuda"
    count = (1 << 20 if small else 1 << 28) if gpu else (1 << 18 if small else 1 << 27)
    side = (512 if small else 8192) if gpu else (128 if small else 2048)
    dtypes = (torch.bfloat16,) if gpu else (torch.bfloat16, torch.float32)
    return Rates(_bandwidth(device, count), max(_products(device, side, dtype) for dtype in dtypes))


def _bandwidth(device: torch.device, count: int) -> float:
    source = torch.rand(count, device=device)
    target = torch.empty_like(source)
    copied = 2 * source.nbytes / min(times_of(device, lambda: target.copy_(source), times=10))
    if device.type == "cuda":
        return copied
    return max(copied, source.nbytes / min(times_of(device, source.sum, times=10)))


def _products(device: torch.device, side: int, dtype: torch.dtype) -> float:
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    return 2 * side**3 / min(times_of(device, lambda: left @ right, times=10))


def times_of(device: torch.device, work: Callable[[], object], *, times: int, in_a_row: int = 1) -> list[float]:
    """Return the seconds per call, by the device's own clock, after three warm-up calls.

    Args:
        in_a_row: calls per measurement, so that the device does not wait for the next launch.
    """
    for _ in range(3):
        work()
    return [_timed(device, work, in_a_row) / in_a_row for _ in range(times)]


def _timed(device: torch.device, work: Callable[[], object], count: int) -> float:
    if device.type != "cuda":
        started = time.perf_counter()
        for _ in range(count):
            work()
        return time.perf_counter() - started
    begun, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begun.record(torch.cuda.current_stream(device))
    for _ in range(count):
        work()
    ended.record(torch.cuda.current_stream(device))
    ended.synchronize()
    return float(begun.elapsed_time(ended)) / 1000
