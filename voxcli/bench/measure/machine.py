"""With what it was measured: versions, the processor, the graphics card, the operating system."""

import importlib.metadata
import importlib.util
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import voxcli
from voxcli.bench.report.record import Machine

_PATIENCE_SECONDS = 10.0
_PACKAGE = Path(voxcli.__file__).parent


def find_machine() -> Machine:
    """Look around. What is not there or does not tell is left out; nothing heavy is loaded."""
    gpu, driver = _find_gpu()
    torch, cuda = _find_torch()
    return Machine(
        voxcli=voxcli.__version__,
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
    """Return the versions of PyTorch and of the CUDA that it was built for, from its files: it is slow to load."""
    try:
        version = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return None, None
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return version, None
    try:
        written = Path(found.origin).with_name("version.py").read_text("utf-8")
    except OSError:
        return version, None
    own = re.search(r"^__version__.*?['\"]([^'\"]+)['\"]", written, re.MULTILINE)
    cuda = re.search(r"^cuda\b.*?['\"]([^'\"]+)['\"]", written, re.MULTILINE)
    return own[1] if own else version, cuda[1] if cuda else None


def _find_gpu() -> tuple[str | None, str | None]:
    """Return the names of the graphics cards, and the version of their driver."""
    said = _said("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
    cards = [line.rpartition(",") for line in (said or "").splitlines() if "," in line]
    if not cards:
        return None, None
    names = [name.strip() for name, _, _ in cards]
    counted = [f"{names.count(name)} × {name}" if names.count(name) > 1 else name for name in dict.fromkeys(names)]
    return ", ".join(counted), cards[0][2].strip()


def _find_cpu() -> str:
    try:
        told = Path("/proc/cpuinfo").read_text("utf-8", errors="replace")
    except OSError:
        told = ""
    if found := re.search(r"^model name\s*:\s*(.+)$", told, re.MULTILINE):
        return found[1].strip()
    if sys.platform == "darwin" and (name := _said("sysctl", "-n", "machdep.cpu.brand_string")):
        return name
    return platform.processor() or platform.machine()


def _count_cores() -> int:
    """Return how many of them this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _find_commit() -> str | None:
    """Return the commit of the checkout that this package is in, if it is in one."""
    if not _PACKAGE.with_name(".git").exists():
        return None
    commit = _said("git", "-C", str(_PACKAGE), "rev-parse", "--short=12", "HEAD")
    changed = _said("git", "-C", str(_PACKAGE), "status", "--porcelain", "--", str(_PACKAGE))
    return f"{commit}+" if commit and changed else commit


def _said(*command: str) -> str | None:
    """Return what a program says, or None if it is not there or fails."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_PATIENCE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
