"""Import of torch without the parts that only its compiler uses, for processes in which nothing else uses torch.

Of the time that `import torch` takes, a third goes to `torch._meta_registrations` and `torch.export`: tables and
classes for tracing programs. Here their code runs when one of their names is asked for, which voxcli never does. A
library must not decide this for the program that uses it, so `import voxcli` alone does not.

Of the rest, a third goes to the system's loader of libraries, which Python runs while no other thread may run Python.
"""

import ctypes
import gc
import importlib.util
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

_POSTPONED = ("torch._meta_registrations", "torch.export")
_COMPILER = ("torch._dynamo", "torch._inductor")
"""An import of these needs the others first."""
_LARGEST = "libtorch_cpu.so"


@cache
def preload_torch() -> threading.Thread | None:
    """Begin to load torch's largest library, beside what Python does until torch is imported.

    Python waits for the thread when it exits, since a library whose start is interrupted crashes. OpenMP reads its
    settings now.

    Returns:
        The thread; None where there is nothing to load.
    """
    spec = None if sys.platform != "linux" or "torch" in sys.modules else importlib.util.find_spec("torch")
    for folder in (spec and spec.submodule_search_locations) or ():
        if (path := Path(folder, "lib", _LARGEST)).is_file():
            thread = threading.Thread(target=_load_library, args=(path,), name="loading of torch's library")
            thread.start()
            return thread
    return None


def _load_library(path: Path) -> None:
    # Without the lock of the interpreter, which ctypes.CDLL(path) would keep. A failure is found by the import.
    with suppress(AttributeError):
        load = ctypes.CDLL(None).dlopen
        load.restype = ctypes.c_void_p
        load(os.fsencode(path), os.RTLD_LAZY)


@contextmanager
def importing_torch(*, alone: bool) -> Iterator[None]:
    """Import torch faster within the block.

    No garbage is collected: an import makes little of it, and looking for it takes a tenth of the time.

    Args:
        alone: leave out what voxcli does not need, if torch has not been imported already.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        if alone and "torch" not in sys.modules:
            _import_torch()
        yield
        if alone:
            gc.freeze()  # a hundred thousand objects that stay, so the collector does not go through them either
    finally:
        if collecting:
            gc.enable()


def _import_torch() -> None:
    if preloading := preload_torch():
        preloading.join()
    sys.meta_path.insert(0, _Finder())  # it stays, for the compiler
    import torch

    try:
        _allow_generators(torch)
        torch.Generator()
    except (AttributeError, ImportError, RuntimeError):  # another version: nothing is left out
        _run_postponed()


def _allow_generators(torch: Any) -> None:
    """Do what torch 2.13 does when it imports `torch._prims.rng_prims`, without which it makes no generators."""
    if allow := getattr(torch._C, "_set_generator_metaclass", None):
        from torch._opaque_base import OpaqueBaseMeta

        allow(OpaqueBaseMeta)


def _run_postponed() -> None:
    """Run the code of the modules that has not run yet, in an order that works."""
    for name in _POSTPONED:
        if isinstance(module := sys.modules.get(name), _Postponed):
            module.run()


class _Finder(MetaPathFinder):
    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name in _COMPILER:
            _run_postponed()
        if name not in _POSTPONED:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec and spec.loader:
            spec.loader = _Postponing(spec.loader)
        return spec


class _Postponing(Loader):
    """A loader that runs the code of a module when one of its names is asked for.

    That of importlib.util does so as soon as the module is imported a second time, which torch itself does.
    """

    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Postponed(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Run nothing yet."""


class _Postponed(ModuleType):
    def __getattr__(self, name: str) -> Any:
        # The import system asks for names such as __path__ and __file__ of every module.
        if name.startswith("__"):
            raise AttributeError(name)
        _run_postponed()
        return getattr(self, name)

    def run(self) -> None:
        """Run the code of the module. From now on it is an ordinary one."""
        spec = self.__spec__
        assert spec
        assert isinstance(spec.loader, _Postponing)
        self.__class__ = ModuleType  # type: ignore[assignment]
        spec.loader = spec.loader.loader
        spec.loader.exec_module(self)
