"""Compiles candidate kernels in every version that would be launched, for a GPU that need not be there.

Arguments are a compute capability, such as 90, and the folder of a model's config.json.
"""

import inspect
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.backends.compiler import GPUTarget

from tests.benchmarks.gpu.candidates import cases, triton_codec, triton_prefill, triton_products
from tests.voxcpm.kernels.compile_kernels import entry_points
from voxcli.voxcpm.network.config import read_config

MODULES = (triton_products, triton_codec, triton_prefill)

PDL_CAPABILITY = 90
"""The first GPUs with programmatic dependent launch."""

TYPES = {torch.bfloat16: "*bf16", torch.float32: "*fp32", torch.int64: "*i64"}
ALIGNED = [["tt.divisibility", 16]]


class Compiling:
    """A kernel that is compiled when it would be launched."""

    def __init__(self, kernel: Any, capability: int, compiled: dict[str, dict[str, Any]]) -> None:
        self._kernel, self._capability, self._compiled = kernel, capability, compiled

    def __getitem__(self, grid: object) -> Callable[..., None]:
        return self._compile

    def _compile(self, *given: Any, **options: Any) -> None:
        signature: dict[str, str] = {}
        constants: dict[str, Any] = {}
        aligned = {}
        fixed = self._kernel.do_not_specialize or ()
        for index, (name, value) in enumerate(zip(self._kernel.arg_names, given, strict=True)):
            signature[name], constants[name] = _type_of(self._kernel, name, value, fixed)
            if signature[name] != "constexpr":
                del constants[name]
                address = value.data_ptr() if isinstance(value, Tensor) else value
                if isinstance(address, int) and address % 16 == 0 and name not in fixed:
                    aligned[(index,)] = ALIGNED
        key = f"{self._kernel.__name__} {constants} {options}"
        if key in self._compiled:
            return
        source = triton.compiler.ASTSource(fn=self._kernel, signature=signature, constexprs=constants, attrs=aligned)
        kernel = triton.compile(source, target=GPUTarget("cuda", self._capability, 32), options=options)
        assert kernel.asm["cubin"]
        self._compiled[key] = {"name": self._kernel.__name__, "shared": kernel.metadata.shared}


def _type_of(kernel: Any, name: str, value: Any, fixed: tuple[str, ...]) -> tuple[str, Any]:
    if inspect.signature(kernel.fn).parameters[name].annotation is tl.constexpr or value is None:
        return "constexpr", value
    if isinstance(value, Tensor):
        return TYPES[value.dtype], value
    if value == 1 and isinstance(value, int) and name not in fixed:
        return "constexpr", value
    return "fp32" if isinstance(value, float) else "i32", value


def _kernels() -> Iterator[tuple[ModuleType, str]]:
    for module in MODULES:
        for name in entry_points(module):
            yield module, name


def main() -> None:
    capability, folder = int(sys.argv[1]), Path(sys.argv[2])
    compiled: dict[str, dict[str, Any]] = {}

    def empty(draw: Any, *shapes: tuple[int, ...]) -> tuple[Tensor, ...]:
        return tuple(torch.empty(shape, dtype=draw.dtype) for shape in shapes)

    with ExitStack() as stack:
        for module, name in _kernels():
            kernel = Compiling(vars(module)[name], capability, compiled)
            stack.enter_context(mock.patch.object(module, name, kernel))
        stack.enter_context(mock.patch.object(cases._Drawing, "__call__", empty))
        dependent = mock.patch.object(cases, "_has_dependent_launches", return_value=capability >= PDL_CAPABILITY)
        stack.enter_context(dependent)
        for case in cases.cases_of(read_config(folder), torch.device("cpu")):
            case.candidate(case.given())
    sys.stdout.write(json.dumps(list(compiled.values())))


if __name__ == "__main__":
    main()
