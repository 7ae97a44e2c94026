"""Processes: whether one runs, and since when; the memory of this one."""

import ctypes
import os
import sys
from contextlib import suppress
from pathlib import Path


def started_at(pid: int) -> int | None:
    """Return when a process started, in clock ticks since the machine did; None where the system does not say."""
    try:
        return int(_status(pid)[19])  # field 22 of all
    except (OSError, ValueError, IndexError):
        return None


def _status(pid: int) -> list[str]:
    """Return the fields behind the name: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def is_running(pid: int, started: int | None) -> bool:
    """Tell whether a process runs, and is not another one that was given the same number later.

    started: what `started_at` returned for it.
    """
    if sys.platform == "win32":
        return _is_running_on_windows(pid)
    try:
        os.kill(pid, 0)
    except OSError:  # there is none, or it is somebody else's
        return False
    if sys.platform == "linux":
        with suppress(OSError):
            if _status(pid)[0] in "ZX":
                return False  # it has ended, and its parent has not asked how
    return started is None or started_at(pid) in (started, None)


def _is_running_on_windows(pid: int) -> bool:
    access, still_active = 0x1000, 259  # PROCESS_QUERY_LIMITED_INFORMATION, STILL_ACTIVE
    kernel = ctypes.windll.kernel32  # type: ignore[attr-defined,unused-ignore]
    handle = kernel.OpenProcess(access, False, pid)
    if not handle:
        return False
    code = ctypes.c_ulong()
    known = kernel.GetExitCodeProcess(handle, ctypes.byref(code))
    kernel.CloseHandle(handle)
    return bool(known) and code.value == still_active


def trim_heap() -> None:
    """Return the small freed blocks that glibc keeps, which fragment the heap. Fast enough for every loaded layer."""
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)
