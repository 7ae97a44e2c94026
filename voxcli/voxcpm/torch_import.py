"""Import of torch without the parts that only its compiler uses, for processes in which nothing else uses torch.

Of the time that `import torch` takes, a third goes to `torch._meta_registrations` and `torch.export`: tables and
classes for tracing programs. A tenth goes to what training and quantizing programs use. Here their code runs when one
of their names is asked for, which voxcli never does. A library must not decide this for the program that uses it, so
`import voxcli` alone does not.
"""

import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_FOR_TRACING = ("torch._meta_registrations", "torch.export")
"""They run together, in this order."""
_FOR_TRAINING = (
    "torch.distributions",
    "torch.masked",
    "torch.nn.intrinsic",
    "torch.nn.qat",
    "torch.nn.quantizable",
    "torch.nn.quantized",
    "torch.quantization",
    "torch.utils.data",
)
_POSTPONED = _FOR_TRACING + _FOR_TRAINING
_COMPILER = ("torch._dynamo", "torch._inductor")
"""An import of these needs all the others first."""


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


def _run_postponed(names: Sequence[str] = _POSTPONED) -> None:
    """Run the code of modules that has not run yet, in an order that works."""
    for name in names:
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
        _run_postponed(_FOR_TRACING if self.__name__ in _FOR_TRACING else (self.__name__,))
        return getattr(self, name)

    def run(self) -> None:
        """Run the code of the module. From now on it is an ordinary one."""
        spec = self.__spec__
        assert spec
        assert isinstance(spec.loader, _Postponing)
        self.__class__ = ModuleType  # type: ignore[assignment]
        spec.loader = spec.loader.loader
        spec.loader.exec_module(self)
