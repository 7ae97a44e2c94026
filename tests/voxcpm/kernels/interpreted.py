"""Triton kernels on the GPU, or else by Triton's interpreter; and the versions in which they would be compiled."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any, TypeAlias

import pytest
import torch
from torch import Tensor

ON_GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if ON_GPU else "cpu")
# The interpreter cuts bfloat16 off where it should be rounded, and cannot multiply matrices of it.
HALVES = [torch.float16, torch.bfloat16] if ON_GPU else [torch.float16]
DTYPES = [torch.float32, *HALVES]

Version: TypeAlias = tuple[object, ...]


def choose_interpreter(patch: pytest.MonkeyPatch) -> None:
    """Triton reads this when kernels are defined, and some of its own are when the first one runs."""
    if not ON_GPU:
        patch.setenv("TRITON_INTERPRET", "1")


with pytest.MonkeyPatch.context() as patch:
    choose_interpreter(patch)
    pytest.importorskip("triton", reason="Triton is not installed: it is not made for this system")
    import triton.language as tl

    from tests.voxcpm.kernels.compile_kernels import entry_points
    from voxcli.voxcpm.kernels import triton_attention, triton_decode_attention, triton_rows

MODULES = (triton_attention, triton_decode_attention, triton_rows)
KERNELS = {name: value for module in MODULES for name, value in vars(module).items()}


def drawn(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape))).to(dtype)


def check_close(got: Tensor, expected: Tensor, *, exactly: bool = False) -> None:
    """exactly: but for few numbers, which fall to the other side when they are rounded."""
    got = got.cpu()
    if exactly and got.dtype in HALVES:
        assert (got != expected).float().mean() < 0.02
    step = torch.finfo(got.dtype).eps
    torch.testing.assert_close(got, expected, rtol=10 * step, atol=10 * step)


def on_device(given: Sequence[Any]) -> list[Any]:
    """Copy the tensors of some arguments to the device."""
    return [value.to(DEVICE, copy=True) if isinstance(value, Tensor) else value for value in given]


@contextmanager
def recorded_versions(*modules: ModuleType) -> Iterator[set[Version]]:
    """Record in which versions the kernels of some modules are asked for within the block, instead of running them."""
    versions: set[Version] = set()
    with pytest.MonkeyPatch.context() as patch:
        for module in modules:
            for name in entry_points(module):
                patch.setattr(module, name, _Recorder(name, vars(module)[name], versions))
        yield versions


class _Recorder:
    def __init__(self, name: str, kernel: Any, versions: set[Version]) -> None:
        self._name, self._versions = name, versions
        self._parameters = inspect.signature(kernel.fn).parameters
        settings = kernel.kwargs if hasattr(kernel, "kwargs") else vars(kernel)
        self._same_for_all = settings.get("do_not_specialize") or ()

    def __getitem__(self, grid: object) -> Callable[..., None]:
        def launch(*given: Any, **settings: Any) -> None:
            values = zip(self._parameters, given, strict=True)
            version = (self._name, *settings.items(), *(self._version_of(name, value) for name, value in values))
            self._versions.add(version)

        return launch

    def _version_of(self, name: str, value: Any) -> object:
        """Return what the compiled code depends on."""
        if self._parameters[name].annotation is tl.constexpr:
            return value
        if isinstance(value, Tensor):
            return value.dtype, value.data_ptr() % 16 == 0
        if isinstance(value, int) and name not in self._same_for_all:
            return 1 if value == 1 else value % 16 == 0
        return type(value)
