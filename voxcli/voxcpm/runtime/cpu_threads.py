"""How many threads work on one product, and how they wait for one another."""

import math
import os
from collections.abc import Collection, Iterator, MutableMapping
from pathlib import Path, PurePosixPath

_SPINS = "1000"
"""Some 70 µs on a current Xeon, where the default is 20 ms: enough between two products that follow each other."""

_SLOW = 2.0
"""So many times what is normal is reason to try fewer threads."""

_FIRST_TRIAL, _LAST_TRIAL = 2, 64
"""Pieces of work before more threads are tried again: twice as many each time that it was in vain."""


def limit_openmp_spinning(environment: MutableMapping[str, str]) -> None:
    """Have threads that wait for each other soon fall asleep, unless the user has said how they wait.

    Otherwise they spin, and where anything else wants the core, they keep it from the very thread that they wait for.
    This is for the OpenMP of GCC, with which torch comes on Linux; that of LLVM and Intel yields by itself. It counts
    only if `environment` is that of this process, and torch is not loaded yet.
    """
    if "OMP_WAIT_POLICY" not in environment:
        environment.setdefault("GOMP_SPINCOUNT", _SPINS)


def count_cores(root: Path = Path("/"), allowed: Collection[int] | None = None) -> int:
    """Count the cores that this process may use.

    Two hyper-threads are one core, and what a container is granted is rounded up.

    Args:
        root: where /sys and /proc are.
        allowed: the numbers of the logical processors; None asks the system.
    """
    if allowed is None:
        allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    cores = len({_core_of(root, processor) for processor in allowed})
    return max(1, min([cores, *map(math.ceil, _quotas(root))]))


class ThreadGovernor:
    """Decides from how long work took how many threads do the next piece.

    All threads wait for the one whose core somebody else is using. So when work takes far longer than normal, half as
    many are tried, and kept if that was faster. One more is tried now and then, ever more rarely while it is of no
    use, and the next at once when it was.
    """

    def __init__(self, most: int) -> None:
        self.threads = most
        """For the next piece of work."""
        self._most = most
        self._normal = math.inf
        self._trial: tuple[int, float] | None = None
        """While another count is tried: the one before, and the seconds it took."""
        self._patience = self._wait = _FIRST_TRIAL

    def measured(self, seconds: float) -> int:
        """Take how long a piece of work took, each of about the same size, and return `threads` for the next."""
        if self._trial:
            self._judge(*self._trial, seconds)
        elif self.threads > 1 and seconds > _SLOW * self._normal:
            self._try(self.threads // 2, seconds)
        elif self.threads < self._most:
            self._wait -= 1
            if self._wait <= 0:
                self._try(self.threads + 1, seconds)
        self._normal = min(self._normal, seconds)
        return self.threads

    def _try(self, threads: int, seconds: float) -> None:
        self._trial = self.threads, seconds
        self.threads = threads

    def _judge(self, before: int, then: float, now: float) -> None:
        self._trial = None
        better, more = now < then, self.threads > before
        if not better:
            self.threads = before
        if more:
            self._patience = _FIRST_TRIAL if better else min(2 * self._patience, _LAST_TRIAL)
            self._wait = 1 if better else self._patience
        elif not better:
            self._normal = then  # it is the work that takes longer
        else:
            self._wait = self._patience


def _core_of(root: Path, processor: int) -> str:
    """Name the core of a logical processor; where nobody tells, every one is a core of its own."""
    siblings = _read(root / f"sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list")
    return siblings.strip() or str(processor)


def _quotas(root: Path) -> Iterator[float]:
    """Yield how many cores' time is granted to each control group that this process is in, of either version."""
    mounted = root / "sys/fs/cgroup"
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, inner = line.split(":", 2)
        if not controllers:
            yield from _quotas_around(mounted, inner)
        elif "cpu" in controllers.split(","):
            yield from _quotas_around(mounted / "cpu", inner)


def _quotas_around(top: Path, inner: str) -> Iterator[float]:
    """A container may see its group as the top, or by a name that means something outside of it only."""
    parts = PurePosixPath(inner).parts[1:]
    for depth in range(len(parts) + 1):
        group = top.joinpath(*parts[:depth])
        quota, period = _read(group / "cpu.cfs_quota_us"), _read(group / "cpu.cfs_period_us")
        match (_read(group / "cpu.max") or f"{quota} {period}").split():
            case [granted, every] if granted.isdigit():  # neither "max" nor "-1"
                yield int(granted) / int(every)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
