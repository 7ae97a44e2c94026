"""The two ceilings of a device, measured on it: how fast it copies, and how fast it multiplies."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Rates:
    bandwidth: float
    """Bytes a second, those read and those written, of a large copy."""
    products: float
    """Operations a second of a large product of bfloat16 matrices."""

    def or_better(self, other: "Rates | None") -> "Rates":
        """Return the higher of each: whatever else ran, the device can do that."""
        if other is None:
            return self
        return Rates(max(self.bandwidth, other.bandwidth), max(self.products, other.products))


def measure_rates(device: torch.device, *, small: bool) -> Rates:
    """Copy what no cache holds, and multiply random numbers: zeros go faster. `small` is for trying out."""
    gpu = device.type == "cuda"
    count = (1 << 20 if small else 1 << 28) if gpu else (1 << 18 if small else 1 << 27)
    side = (512 if small else 8192) if gpu else (128 if small else 2048)
    return Rates(2 * 4 * count / _copying(device, count), 2 * side**3 / _multiplying(device, side))


def _copying(device: torch.device, count: int) -> float:
    source = torch.rand(count, device=device)
    target = torch.empty_like(source)
    return min(times_of(device, lambda: target.copy_(source), times=10))


def _multiplying(device: torch.device, side: int) -> float:
    left, right = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    return min(times_of(device, lambda: left @ right, times=10))


def times_of(device: torch.device, work: Callable[[], object], *, times: int, in_a_row: int = 1) -> list[float]:
    """Return the seconds that it takes by the device's own clock, after three times that do not count.

    Args:
        in_a_row: how often it is done each time, so that the device need not wait for the next beginning.
    """
    for _ in range(3):
        work()
    return [_timed(device, work, in_a_row) / in_a_row for _ in range(times)]


def _timed(device: torch.device, work: Callable[[], object], often: int) -> float:
    if device.type != "cuda":
        started = time.perf_counter()
        for _ in range(often):
            work()
        return time.perf_counter() - started
    begun, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begun.record(torch.cuda.current_stream(device))
    for _ in range(often):
        work()
    ended.record(torch.cuda.current_stream(device))
    ended.synchronize()
    return float(begun.elapsed_time(ended)) / 1000
