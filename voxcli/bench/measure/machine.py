"""Machine description: versions of software, CPU, GPU and operating system."""

import importlib.metadata
import importlib.util
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

from voxcli.bench.report.record import Machine
from voxcli.version import __version__

_TIMEOUT_SECONDS = 10.0
_PACKAGE = Path(__file__).parents[2]


def find_machine() -> Machine:
    """Describe this machine, without loading PyTorch. What cannot be determined is None."""
    gpu, driver = _find_gpu()
    torch, cuda = _find_torch()
    return Machine(
        voxcli=__version__,
        commit=_find_commit(),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        system=platform.platform(),
        cpu=_find_cpu(),
        cores=_count_cores(),
        load=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        torch=torch,
        cuda=cuda,
        gpu=gpu,
        driver=driver,
    )


def _find_torch() -> tuple[str | None, str | None]:
    """Return the versions of PyTorch and its CUDA, read from its files because importing it is slow."""
    try:
        version = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return None, None
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return version, None
    try:
        source = Path(found.origin).with_name("version.py").read_text("utf-8")
    except OSError:
        return version, None
    own = re.search(r"^__version__.*?['\"]([^'\"]+)['\"]", source, re.MULTILINE)
    cuda = re.search(r"^cuda\b.*?['\"]([^'\"]+)['\"]", source, re.MULTILINE)
    return own[1] if own else version, cuda[1] if cuda else None


def _find_gpu() -> tuple[str | None, str | None]:
    """Return the names of the GPUs, and the version of their driver."""
    listed = _output_of("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
    cards = [line.rpartition(",") for line in (listed or "").splitlines() if "," in line]
    if not cards:
        return None, None
    names = [name.strip() for name, _, _ in cards]
    counted = [f"{names.count(name)} × {name}" if names.count(name) > 1 else name for name in dict.fromkeys(names)]
    return ", ".join(counted), cards[0][2].strip()


def _find_cpu() -> str:
    try:
        cpuinfo = Path("/proc/cpuinfo").read_text("utf-8", errors="replace")
    except OSError:
        cpuinfo = ""
    if found := re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE):
        return found[1].strip()
    if sys.platform == "darwin" and (name := _output_of("sysctl", "-n", "machdep.cpu.brand_string")):
        return name
    return platform.processor() or platform.machine()


def _count_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _find_commit() -> str | None:
    """Return the commit of the checkout that contains this package, if any; "+" marks local changes."""
    if not _PACKAGE.with_name(".git").exists():
        return None
    commit = _output_of("git", "-C", str(_PACKAGE), "rev-parse", "--short=12", "HEAD")
    changed = _output_of("git", "-C", str(_PACKAGE), "status", "--porcelain", "--", str(_PACKAGE))
    return f"{commit}+" if commit and changed else commit


def _output_of(*command: str) -> str | None:
    """Return the standard output of a program, or None if it is missing or fails."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
