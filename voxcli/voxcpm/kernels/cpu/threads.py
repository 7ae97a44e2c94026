"""Threads of a kernel: torch's pool, their shares of the work, and barriers between its phases."""

import ctypes
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from llvmlite import binding, ir

from voxcli.voxcpm.kernels.cpu.ir import I32, I64, POINTER, VOID, Code, Value

_SPINS = 2000
"""Looks at a barrier, about 40 µs, before the processor is offered to other programs."""

_LIBRARIES = {"linux": "libtorch_cpu.so", "darwin": "libtorch_cpu.dylib"}
_OPENMP = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads", "sched_yield")
"""Functions that kernels call, of torch's own OpenMP, so that there is one pool of threads, and of the C library.
LLVM's OpenMP, which torch brings on macOS, has those of GCC's too."""


@cache
def find_openmp() -> Mapping[str, Any] | None:
    """Return the functions that kernels call, which torch's library finds in the OpenMP that it uses; None without."""
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
    openmp = find_openmp()
    assert openmp
    openmp["GOMP_parallel"](function, data, threads, 0)


class Team:
    """The threads that run a kernel at the same time."""

    def __init__(self, code: Code, counter: Value) -> None:
        """
        Args:
            code: the kernel.
            counter: address of an integer of 64 bits that is zero when the kernel begins.
        """
        self._code, self._counter = code, counter
        self.number = code.call("omp_get_thread_num", I32).to(I64)
        self.size = code.call("omp_get_num_threads", I32).to(I64)
        self._due = code.variable(code.constant(I64, 0))
        """What the counter is when all threads have come to the next barrier."""

    def share(self, count: Value) -> tuple[Value, Value]:
        """Return the first of this thread's items and the end of them. Items are next to each other."""
        return count * self.number // self.size, count * (self.number + 1) // self.size

    def wait(self) -> None:
        """Wait until all threads have come here. What they have written is then visible to all."""
        self._due.add(self.size)
        self._code.call("barrier", VOID, self._counter, self._due.get())


def write_barrier(module: ir.Module) -> None:
    """Write the function that `Team.wait` calls."""
    code = Code(module, "barrier", [POINTER, I64])
    builder, (counter, due) = code.builder, code.arguments
    builder.atomic_rmw("add", counter.raw, I64(1), "acq_rel")
    look, sleep, again, done = (code.function.append_basic_block(name) for name in ("look", "sleep", "again", "done"))
    start = builder.block
    builder.branch(look)
    builder.position_at_end(look)
    spins = builder.phi(I64)
    spins.add_incoming(I64(0), start)
    there = builder.load_atomic(counter.raw, "acquire", 8, typ=I64)
    tired = builder.icmp_signed(">=", spins, I64(_SPINS))
    waiting = code.function.append_basic_block("waiting")
    builder.cbranch(builder.icmp_signed(">=", there, due.raw), done, waiting)
    builder.position_at_end(waiting)
    builder.cbranch(tired, sleep, again)
    builder.position_at_end(sleep)
    code.call("sched_yield", I32)
    builder.branch(again)
    builder.position_at_end(again)
    _pause(code)
    spins.add_incoming(builder.add(spins, I64(1)), again)
    builder.branch(look)
    builder.position_at_end(done)
    code.finish()


def _pause(code: Code) -> None:
    """Let the processor wait for a moment."""
    triple = str(code.module.triple)
    if triple.startswith(("x86_64", "i686")):
        code.call("llvm.x86.sse2.pause", VOID)
    elif triple.startswith(("aarch64", "arm64")):
        # There YIELD does nothing on most processors; this waits for what has begun.
        code.call("llvm.aarch64.isb", VOID, code.constant(I32, 15))
