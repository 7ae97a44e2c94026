"""Targets: this processor, and the arithmetic that it is fastest with."""

import ctypes
import platform
import sys
from dataclasses import dataclass
from functools import cache

from llvmlite import binding

from voxcli.voxcpm.kernels.cpu.arithmetic import (
    Arithmetic,
    Bf16,
    Float16,
    Int8,
    Int8ByDotProduct,
    Int8ByMixedDotProduct,
    Int8BySigns,
    WideBf16,
)
from voxcli.voxcpm.kernels.cpu.threads import find_openmp

_AT_HWCAP, _AT_HWCAP2 = 16, 26
_ARM_BITS = {"dotprod": (_AT_HWCAP, 20), "fullfp16": (_AT_HWCAP, 10), "i8mm": (_AT_HWCAP2, 13)}
"""Where Linux says what a processor has (asm/hwcap.h of arm64), by the names of LLVM."""
_APPLE_NAMES = {"dotprod": "FEAT_DotProd", "fullfp16": "FEAT_FP16", "i8mm": "FEAT_I8MM"}


@dataclass(frozen=True, slots=True)
class Target:
    """This processor, as far as kernels for it differ."""

    cpu: str
    features: str
    int8: Arithmetic | None
    bf16: Arithmetic | None


@cache
def find_target() -> Target | None:
    """Describe this processor; None where kernels cannot be compiled, or cannot run on torch's threads."""
    if find_openmp() is None:
        return None
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    cpu, has = binding.get_host_cpu_name(), binding.get_host_cpu_features()
    if platform.machine() in ("aarch64", "arm64"):
        # LLVM knows the instructions of processors that it knows by name only.
        has.update(neon=True, **find_arm_features())
    features = has.flatten() + ",-prefer-256-bit" if has.get("avx512f") else has.flatten()
    return choose_target(cpu, features, {name for name, there in has.items() if there})


def find_arm_features() -> dict[str, bool]:
    """Ask the system which of the instructions that kernels use a processor of ARM has, by their names in LLVM."""
    library = ctypes.CDLL(None)
    if sys.platform == "darwin":
        return {name: _has_apple_feature(library, apple) for name, apple in _APPLE_NAMES.items()}
    library.getauxval.argtypes, library.getauxval.restype = [ctypes.c_ulong], ctypes.c_ulong
    return {name: bool(library.getauxval(word) >> bit & 1) for name, (word, bit) in _ARM_BITS.items()}


def _has_apple_feature(library: ctypes.CDLL, name: str) -> bool:
    found, size = ctypes.c_int32(), ctypes.c_size_t(4)
    path = f"hw.optional.arm.{name}".encode()
    return not library.sysctlbyname(path, ctypes.byref(found), ctypes.byref(size), None, 0) and bool(found.value)


def choose_target(cpu: str, features: str, has: set[str]) -> Target:
    """Choose the arithmetic for a processor.

    Args:
        cpu: its name in LLVM.
        features: for LLVM.
        has: names of the instruction sets, as in LLVM.
    """
    choose = _choose_for_arm if "neon" in has else _choose_for_x86
    return Target(cpu, features, *choose(cpu, has))


def _choose_for_x86(cpu: str, has: set[str]) -> tuple[Arithmetic | None, Arithmetic | None]:
    if not has >= {"avx2", "fma"}:
        return None, None
    wide = has >= {"avx512f", "avx512bw", "avx512vl", "avx512dq"}
    if wide and "avx512vnni" in has:
        int8: Arithmetic = Int8(16, 12)
    else:
        int8 = Int8(8, 2) if "avxvnni" in has else Int8BySigns(8, 2)
    if not wide:
        return int8, WideBf16(8, 2)
    # On Intel's processors, products of bfloat16 outside of AMX take four times as long as those of float32.
    if "avx512bf16" in has and cpu.startswith("znver"):
        return int8, Bf16(16, 12)
    return int8, Float16(16, 12) if "avx512fp16" in has else WideBf16(16, 9)


def _choose_for_arm(cpu: str, has: set[str]) -> tuple[Arithmetic | None, Arithmetic | None]:
    int8: Arithmetic | None = None
    if "dotprod" in has:
        int8 = Int8ByMixedDotProduct(4, 2) if "i8mm" in has else Int8ByDotProduct(4, 2)
    # As many products in an instruction as of bfloat16, which fewer processors have, and nearer to float32.
    return int8, Float16(4, 2) if "fullfp16" in has else WideBf16(4, 2)


def describe_kernels() -> str:
    """Say which kernels of ours run on this processor, for a person."""
    target = find_target()
    if not target:
        return "torch's own kernels, as the threads of torch cannot be called here"
    found = {"int8": target.int8, "bf16": target.bf16}
    named = [f"{kind} by {chosen.instructions}" for kind, chosen in found.items() if chosen]
    if not named:
        return f"torch's own kernels, as there are no others for {target.cpu}"
    return f"kernels for {target.cpu} ({', '.join(named)})"
