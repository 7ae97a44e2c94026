"""CPU threads: how many cores the process may use, and how OpenMP threads wait for one another."""

import math
import os
import time
from collections.abc import Callable, Collection, Iterator, MutableMapping
from pathlib import Path, PurePosixPath

_QUIET_SPINS, _BUSY_SPINS = "10000", "1000"
"""How often a thread looks for work before it sleeps: for 150 and 15 µs on a Xeon (Emerald Rapids), for 230 and 23 µs
on a Zen 5. Where torch computes the layers, on two cores, the larger number makes a patch of int8 a sixth faster (330
ms instead of 392) on a quiet machine, and twice as slow (843 instead of 467) beside two endless loops; the default of
300,000 takes 276 and 4736. Kernels of our own have few parallel regions: there it makes no difference."""

_LOOKS, _SECONDS_BETWEEN = 5, 0.001


def limit_openmp_spinning(environment: MutableMapping[str, str], running: Callable[[], int] | None = None) -> None:
    """Let waiting OpenMP threads sleep after a short spin, unless the user has configured how they wait.

    By default they spin for long, and on a busy machine that takes a core away from the thread they wait for. If
    something else computes right now, they spin less. This setting is for GCC's OpenMP, which torch uses on Linux;
    those of LLVM and Intel yield by themselves.

    Args:
        environment: of this process. The setting takes effect only if torch is not loaded yet.
        running: counts the threads of the machine that have work, this one included; None asks the system.
    """
    if not environment.keys() & {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}:
        environment["GOMP_SPINCOUNT"] = _BUSY_SPINS if _is_busy(running or _count_running) else _QUIET_SPINS


def _is_busy(running: Callable[[], int]) -> bool:
    """Whether some other thread has work all the time."""
    for _ in range(_LOOKS):
        if running() < 2:
            return False
        time.sleep(_SECONDS_BETWEEN)
    return True


def _count_running() -> int:
    """Count the threads that run or wait for a processor; 0 if that is not known (proc_loadavg(5))."""
    fields = _read(Path("/proc/loadavg")).split()
    return int(fields[3].partition("/")[0]) if len(fields) > 3 else 0


def count_cores(root: Path = Path("/"), allowed: Collection[int] | None = None) -> int:
    """Count the physical cores that this process may use. A fractional container quota is rounded up.

    Args:
        root: parent of /sys and /proc.
        allowed: numbers of the logical processors; None asks the operating system.
    """
    if allowed is None:
        allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    cores = len({_core_of(root, processor) for processor in allowed})
    return max(1, min([cores, *map(math.ceil, _quotas(root))]))


def _core_of(root: Path, processor: int) -> str:
    """Return an identifier of the core of a logical processor. If it is unknown, each processor counts as a core."""
    siblings = _read(root / f"sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list")
    return siblings.strip() or str(processor)


def _quotas(root: Path) -> Iterator[float]:
    """Yield the CPU quota, in cores, of each control group of this process (cgroup v1 and v2)."""
    mounted = root / "sys/fs/cgroup"
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield from _quotas_around(mounted, path)
        elif "cpu" in controllers.split(","):
            yield from _quotas_around(mounted / "cpu", path)


def _quotas_around(root: Path, path: str) -> Iterator[float]:
    """Yield the quotas of a group and its parents.

    In a container the group's path may be valid on the host only, and its own group may be mounted as the root.
    """
    parts = PurePosixPath(path).parts[1:]
    for depth in range(len(parts) + 1):
        group = root.joinpath(*parts[:depth])
        quota, period = _read(group / "cpu.cfs_quota_us"), _read(group / "cpu.cfs_period_us")
        match (_read(group / "cpu.max") or f"{quota} {period}").split():
            case [granted, interval] if granted.isdigit():  # neither "max" nor "-1"
                yield int(granted) / int(interval)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
