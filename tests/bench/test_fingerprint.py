"""With what it was measured."""

import importlib.metadata
import os
import platform

import voxcli
from voxcli.bench.measure.machine import find_machine


def test_it_tells_what_others_tell_too() -> None:
    machine = find_machine()
    assert machine.voxcli == voxcli.__version__
    assert platform.python_version() in machine.python
    assert machine.cores in range(1, (os.cpu_count() or 1) + 1)
    assert machine.cpu
    assert platform.system() in machine.system or platform.system() == "Darwin"


def test_the_version_of_torch_is_found_without_loading_it() -> None:
    try:
        installed = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        installed = None
    found = find_machine().torch
    assert (found or "").partition("+")[0] == (installed or "").partition("+")[0]
