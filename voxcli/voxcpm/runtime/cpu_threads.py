"""CPU threads: how many cores the process may use, and how OpenMP threads wait for one another."""

import math
import os
from collections.abc import Collection, Iterator, MutableMapping
from pathlib import Path, PurePosixPath

_SPIN_COUNT = "1000"
"""About 70 µs on a current Xeon, where the default is 20 ms: enough between two consecutive matrix products."""


def limit_openmp_spinning(environment: MutableMapping[str, str]) -> None:
    """Let waiting OpenMP threads sleep after a short spin, unless the user has configured how they wait.

    By default they spin for long, and on a busy machine that takes a core away from the thread they wait for. This
    setting is for GCC's OpenMP, which torch uses on Linux; those of LLVM and Intel yield by themselves.

    Args:
        environment: of this process. The setting takes effect only if torch is not loaded yet.
    """
    if "OMP_WAIT_POLICY" not in environment:
        environment.setdefault("GOMP_SPINCOUNT", _SPIN_COUNT)


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
