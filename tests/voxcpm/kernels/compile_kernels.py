"""Compiles every kernel for a GPU that need not be there. Run with the compute capabilities, such as `80 90 100`."""

import sys
from pathlib import Path
from types import ModuleType

import triton
from triton.backends.compiler import GPUTarget

from voxcli.voxcpm.kernels import triton_attention, triton_decode_attention, triton_rows

SIZES = {
    "width": 64,
    "block": 64,
    "half": 32,
    "half_block": 32,
    "heads": 16,
    "kv_heads": 2,
    "group": 8,
    "group_block": 16,
    "width_block": 64,
    "max_parts": 32,
}
"""Values of the compile-time parameters."""

SCALARS = {
    "eps": "fp32",
    "scale": "fp32",
    "share": "fp32",
    "least": "fp32",
    "sin_offset": "i32",
    "count": "i32",
    "parts": "i32",
    "channels": "i32",
}
"""Types of the other parameters that are no pointers; strides are i32."""

INT64, BOOL = {"lengths", "at", "ends", "seeds", "counts"}, {"due"}
FLOAT32, FP8 = {"rotary", "acc", "lse", "guidance", "alpha", "inverse", "scales"}, {"quantized"}


FP8_CAPABILITY = 89
"""The first GPUs with fp8; older ones are refused before this kernel is used."""


def entry_points(module: ModuleType) -> list[str]:
    """Return the kernels that Python launches: those that are indexed with a grid."""
    source = Path(str(module.__file__)).read_text("utf-8")
    return [name for name in vars(module) if f"    {name}[" in source]


def type_of(name: str, dtype: str) -> str:
    if name in SCALARS:
        return SCALARS[name]
    if name.startswith(("key_", "value_")):
        return "i32"
    if name in INT64:
        return "*i64"
    if name in BOOL:
        return "*i1"
    if name in FLOAT32:
        return "*fp32"
    return "*fp8e4nv" if name in FP8 else f"*{dtype}"


def compile_kernel(kernel: "triton.JITFunction", capability: int, dtype: str) -> bytes:
    """Return the cubin."""
    constants = {name: SIZES[name] for name in kernel.arg_names if name in SIZES}
    signature = {name: "constexpr" if name in constants else type_of(name, dtype) for name in kernel.arg_names}
    source = triton.compiler.ASTSource(fn=kernel, signature=signature, constexprs=constants)
    compiled = triton.compile(
        source, target=GPUTarget("cuda", capability, 32), options={"num_warps": 4, "enable_fp_fusion": False}
    )
    return bytes(compiled.asm["cubin"])


def main() -> None:
    for capability in map(int, sys.argv[1:]):
        for module in (triton_attention, triton_decode_attention, triton_rows):
            for name in entry_points(module):
                if name == "_quantize_rows_fp8" and capability < FP8_CAPABILITY:
                    continue
                for dtype in ("bf16", "fp16", "fp32"):
                    # Snake runs on float32 only.
                    assert compile_kernel(vars(module)[name], capability, "fp32" if name == "_snake" else dtype)
                sys.stdout.write(f"{triton.__version__} {capability} {name}\n")


if __name__ == "__main__":
    main()
