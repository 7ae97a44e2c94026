"""What it was measured on."""

import os
import platform
import subprocess
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
    """That torch was built for."""
    driver: str | None
    cores: int
    amx: bool
    """Whether the CPU has matrix units for 8 bits."""
    load: float | None
    """How many programs wanted to run in the last minute."""

    def told(self) -> str:
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
    """Read the first processor's lines; nothing where Linux does not tell."""
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
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return said.splitlines()[0].strip() if said else None
