"""Compilation of kernels for this processor, with the compiled code kept on disk."""

import ctypes
import hashlib
import logging
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import llvmlite
import torch
from llvmlite import binding, ir

from voxcli.files import replacing
from voxcli.voxcpm.kernels.cpu.arithmetic import Arithmetic, Bf16, Float16, Int8, WideBf16

_log = logging.getLogger(__name__)

_SUFFIX = ".kernel"
_DIGEST_BYTES = 16

_LIBRARIES = {"linux": "libtorch_cpu.so", "darwin": "libtorch_cpu.dylib"}
_OPENMP = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads", "sched_yield")
"""Functions that kernels call, of torch's own OpenMP, so that there is one pool of threads, and of the C library."""


@dataclass(frozen=True, slots=True)
class Target:
    """This processor, as far as kernels for it differ."""

    cpu: str
    features: str
    int8: Arithmetic | None
    bf16: Arithmetic | None


@cache
def find_target() -> Target | None:
    """Describe this processor; None where kernels cannot be compiled, or are not known to be faster."""
    if sys.platform not in _LIBRARIES or _openmp() is None:
        return None
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    cpu, has = binding.get_host_cpu_name(), binding.get_host_cpu_features()
    features = has.flatten() + ",-prefer-256-bit" if has.get("avx512f") else has.flatten()
    return choose_target(cpu, features, {name for name, there in has.items() if there})


def choose_target(cpu: str, features: str, has: set[str]) -> Target:
    """Choose the arithmetic for a processor.

    Args:
        cpu: its name in LLVM.
        features: for LLVM.
        has: names of the instruction sets, as in LLVM.
    """
    wide = has >= {"avx512f", "avx512bw", "avx512vl", "avx512dq"}
    int8: Arithmetic | None = None
    bf16: Arithmetic | None = None
    if wide and "avx512vnni" in has:
        int8 = Int8(16, 12)
    elif "avxvnni" in has:
        int8 = Int8(8, 2)
    if wide:
        # On Intel's processors, products of bfloat16 outside of AMX take four times as long as those of float32.
        if "avx512bf16" in has and cpu.startswith("znver"):
            bf16 = Bf16(16, 12)
        else:
            bf16 = Float16(16, 12) if "avx512fp16" in has else WideBf16(16, 9)
    elif has >= {"avx2", "fma"}:
        bf16 = WideBf16(8, 2)
    return Target(cpu, features, int8, bf16)


def describe_kernels() -> str:
    """Say which kernels of ours run on this processor, for a person."""
    target = find_target()
    instructions = {"int8": "VNNI", "bf16": "AVX512-BF16", "wide_bf16": "FMA", "float16": "AVX512-FP16"}
    found = [chosen for chosen in (target.int8, target.bf16) if chosen] if target else []
    if not target or not found:
        return "torch's own kernels"
    named = [f"{'int8' if chosen is target.int8 else 'bf16'} by {instructions[chosen.name]}" for chosen in found]
    return f"kernels for {target.cpu} ({', '.join(named)})"


class CompiledModule:
    """Functions in memory, which stay there as long as this object."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def address(self, name: str) -> int:
        """Return the address of an exported function."""
        found: int = self._engine.get_function_address(name)
        return found


def compile_module(
    target: Target, name: str, write: Callable[[ir.Module], None], kept: Path | None = None
) -> CompiledModule:
    """Compile kernels, unless that has been done on this machine.

    Args:
        name: tells all variants of the written code apart.
        write: writes the functions into a module.
        kept: folder of compiled code.
    """
    machine = binding.Target.from_default_triple().create_target_machine(
        cpu=target.cpu, features=target.features, opt=3, codemodel="jitdefault"
    )
    engine = binding.create_mcjit_compiler(binding.parse_assembly(""), machine)
    path = kept / f"{_digest(target, name)}{_SUFFIX}" if kept else None
    compiled = _read(path)
    if compiled is None:
        compiled = _compiled(machine, write)
        _keep(path, compiled)
    engine.add_object_file(binding.ObjectFileRef.from_data(compiled))
    engine.finalize_object()
    return CompiledModule(engine)


def _compiled(machine: Any, write: Callable[[ir.Module], None]) -> bytes:
    module = ir.Module()
    module.triple = machine.triple
    write(module)
    parsed = binding.parse_assembly(str(module))
    parsed.verify()
    options = binding.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = options.slp_vectorization = True
    builder = binding.create_pass_builder(machine, options)
    builder.getModulePassManager().run(parsed, builder)
    found: bytes = machine.emit_object(parsed)
    return found


@cache
def _digest_of_sources() -> bytes:
    digest = hashlib.sha256(llvmlite.__version__.encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.digest()


def _digest(target: Target, name: str) -> str:
    return hashlib.sha256(_digest_of_sources() + f"{target}\0{name}".encode()).hexdigest()[: 2 * _DIGEST_BYTES]


def _read(path: Path | None) -> bytes | None:
    """Read compiled code, whose digest stands before it."""
    try:
        found = path.read_bytes() if path else b""
    except OSError:
        return None
    expected, compiled = found[:_DIGEST_BYTES], found[_DIGEST_BYTES:]
    return compiled if compiled and hashlib.sha256(compiled).digest()[:_DIGEST_BYTES] == expected else None


def _keep(path: Path | None, compiled: bytes) -> None:
    if path is None:
        return
    with suppress(OSError):  # costs time only
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, durable=False) as staged:
            staged.write(hashlib.sha256(compiled).digest()[:_DIGEST_BYTES] + compiled)


class _Parallel(Protocol):
    def __call__(self, function: int, data: int, threads: int, flags: int, /) -> None: ...


@cache
def _openmp() -> Mapping[str, Any] | None:
    """Return the functions that kernels call, which torch's library finds in the OpenMP that it uses."""
    try:
        library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / _LIBRARIES[sys.platform]))
        found = {name: getattr(library, name) for name in _OPENMP}
    except (AttributeError, KeyError, OSError):
        return None
    found["GOMP_parallel"].argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    found["GOMP_parallel"].restype = None
    for name in _OPENMP:
        binding.add_symbol(name, ctypes.cast(found[name], ctypes.c_void_p).value)
    return found


def run_parallel(function: int, data: int, threads: int) -> None:
    """Call a kernel, with the address of its arguments, on every thread of torch's pool at the same time."""
    openmp = _openmp()
    assert openmp
    openmp["GOMP_parallel"](function, data, threads, 0)
