"""Threads of a kernel: their shares of the work, and barriers between its phases."""

from llvmlite import ir

from voxcli.voxcpm.kernels.cpu.ir import I32, I64, POINTER, VOID, Code, Value

_SPINS = 2000
"""Looks at a barrier, about 40 µs, before the processor is offered to other programs."""


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
    if str(module.triple).startswith(("x86_64", "i686")):
        code.call("llvm.x86.sse2.pause", VOID)
    spins.add_incoming(builder.add(spins, I64(1)), again)
    builder.branch(look)
    builder.position_at_end(done)
    code.finish()
