"""Compiles every candidate kernel for GPUs that need not be there. Run with their compute capabilities: `80 90`."""

import sys
from collections.abc import Iterator, Mapping
from types import ModuleType

import triton

from tests.benchmarks.gpu.candidates import triton_codec, triton_prefill, triton_products
from tests.voxcpm.kernels import compile_kernels
from tests.voxcpm.kernels.compile_kernels import compile_kernel, entry_points

SIZES = {
    triton_products: {"outputs": 1024, "inputs": 1024, "share": 512, "parts": 2, "few": 32, "many": 32, "deep": 128},
    triton_codec: {"dilation": 9, "taps": 7, "times": 64, "block": 32, "memory_block": 64},
    triton_prefill: {"heads": 16, "kv_heads": 2, "half": 32, "block": 32},
}
"""Values of the compile-time parameters."""

DTYPES = {triton_products: ("bf16", "fp16", "fp32"), triton_codec: ("fp32",), triton_prefill: ("bf16", "fp16", "fp32")}

PDL_CAPABILITY = 90
"""The first GPUs with programmatic dependent launch."""

compile_kernels.SCALARS.update(rows="i32", start="i32", dilation="i32")
compile_kernels.FLOAT32.update(("update", "sums"))


def versions(module: ModuleType, capability: int) -> Iterator[tuple[Mapping[str, object], Mapping[str, object]]]:
    """Yield the compile-time parameters and the launch options of each version."""
    if module is not triton_products:
        yield SIZES[module], {"num_warps": 8 if module is triton_codec else 1}
        return
    for pdl in (False, True) if capability >= PDL_CAPABILITY else (False,):
        for gated in (False, True):
            options = {"num_stages": 3} | ({"launch_pdl": True} if pdl else {})
            yield SIZES[module] | {"pdl": pdl, "gated": gated}, options


def main() -> None:
    for capability in map(int, sys.argv[1:]):
        for module, dtypes in DTYPES.items():
            for name in entry_points(module):
                for sizes, options in versions(module, capability):
                    for dtype in dtypes:
                        assert compile_kernel(vars(module)[name], capability, dtype, sizes, options)
                sys.stdout.write(f"{triton.__version__} {capability} {name}\n")


if __name__ == "__main__":
    main()
