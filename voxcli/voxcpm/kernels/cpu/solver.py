"""The solver of the flow, around the stack of a local DiT: all evaluations of a patch in one call.

What it computes is what `LocalDiT` and `solve_euler` compute with torch, in float32.
"""

import math
from enum import IntEnum, auto

from llvmlite import ir

from voxcli.voxcpm.kernels.cpu.elementary import add_up, fma
from voxcli.voxcpm.kernels.cpu.ir import F32, I64, POINTER, Array, Code, Value
from voxcli.voxcpm.kernels.cpu.stack_arguments import StackArgument

_COLUMNS = 64
"""Numbers that are computed together, in a few registers."""
_LEAST_NORM = 1e-8
"""Added to the square of the norm that is divided by."""


class SolverArgument(IntEnum):
    """Places of the arguments in an array of 64-bit integers: numbers, and addresses of float32."""

    EVALUATIONS = 0
    STREAMS = auto()
    """Each is two of the stack's: with the hidden states of the language models, and without."""
    FRAMES = auto()
    """Of a patch. They are the last positions of a stream of the stack."""
    WIDTH = auto()
    """Of a frame."""
    LATENTS = auto()
    """(streams, frames, width): noise, which becomes the patches."""
    TOKENS = auto()
    """(streams, 2, positions, hidden): the inputs that stay the same, at the positions before the frames."""
    TIME_PLACE = auto()
    """The position to which the time is added."""
    TIMES = auto()
    """(evaluations, streams, hidden)."""
    SPANS = auto()
    """(evaluations, streams)."""
    GUIDANCE = auto()
    """(streams,)."""
    IN_WEIGHT = auto()
    """(width, hidden)."""
    IN_BIAS = auto()
    OUT_WEIGHT = auto()
    """(width, hidden)."""
    OUT_BIAS = auto()
    VELOCITIES = auto()
    """(streams, 2, frames, width)."""


def columns_of(hidden: int) -> int:
    """Return how many numbers of a row are computed together."""
    return math.gcd(hidden, _COLUMNS)


class _Function:
    """A function of the arguments of the stack, the number of the evaluation, and the begin and end of its share."""

    def __init__(self, module: ir.Module, name: str) -> None:
        self.code = Code(module, name, [POINTER, I64, I64, I64])
        stack, self.evaluation, self.start, self.end = self.code.arguments
        self._stack = self.code.array(stack, I64)
        self._solver = self.code.array(self._stack.load(POINTER, StackArgument.SOLVER), I64)

    def number(self, argument: StackArgument | SolverArgument) -> Value:
        return self._of(argument)[argument]

    def floats(self, argument: StackArgument | SolverArgument) -> Array:
        return self.code.array(self._of(argument).load(POINTER, argument), F32)

    def _of(self, argument: StackArgument | SolverArgument) -> Array:
        return self._stack if isinstance(argument, StackArgument) else self._solver


def write_solver_inputs(module: ir.Module, hidden: int) -> None:
    """Write the function that sets the stack's input: tokens, time, projected frames. It shares blocks of columns."""
    own = _Function(module, "solver_inputs")
    code, lanes = own.code, columns_of(hidden)
    vector = ir.VectorType(F32, lanes)
    frames, count, width = (
        own.number(SolverArgument.FRAMES),
        own.number(StackArgument.COUNT),
        own.number(SolverArgument.WIDTH),
    )
    streams, before = own.number(SolverArgument.STREAMS), count - frames
    with code.loop(own.start, own.end) as block:
        column = block * lanes
        x, update, tokens, times, weight, bias = (
            own.floats(argument).at(column)
            for argument in (
                StackArgument.X,
                StackArgument.UPDATE,
                SolverArgument.TOKENS,
                SolverArgument.TIMES,
                SolverArgument.IN_WEIGHT,
                SolverArgument.IN_BIAS,
            )
        )
        with code.loop(0, streams * 2 * count) as row:
            update.store(code.constant(vector, 0), row * hidden)
        with code.loop(0, streams) as stream:
            with code.loop(stream * 2, stream * 2 + 2) as half, code.loop(0, before) as place:
                row = half * count + place
                value = code.variable(tokens.load(vector, row * hidden))
                with code.when(place.equals(own.number(SolverArgument.TIME_PLACE))):
                    value.add(times.load(vector, (own.evaluation * streams + stream) * hidden))
                x.store(value.get(), row * hidden)
            with code.loop(0, frames) as frame:
                latents = own.floats(SolverArgument.LATENTS).at((stream * frames + frame) * width)
                total = code.variable(bias.load(vector, 0))
                with code.loop(0, width) as number:
                    factor = latents[number].filled(lanes)
                    total.set(fma(weight.load(vector, number * hidden), factor, total.get()))
                with code.loop(stream * 2, stream * 2 + 2) as half:
                    x.store(total.get(), (half * count + before + frame) * hidden)
    code.finish()


def write_velocities(module: ir.Module, hidden: int) -> None:
    """Write the function that projects the stack's output to velocities. It shares the numbers of a frame."""
    own = _Function(module, "velocities")
    code, lanes = own.code, columns_of(hidden)
    vector = ir.VectorType(F32, lanes)
    frames, count, width = (
        own.number(SolverArgument.FRAMES),
        own.number(StackArgument.COUNT),
        own.number(SolverArgument.WIDTH),
    )
    with code.loop(own.start, own.end) as number:
        weight = own.floats(SolverArgument.OUT_WEIGHT).at(number * hidden)
        with code.loop(0, own.number(SolverArgument.STREAMS) * 2) as half, code.loop(0, frames) as frame:
            row = own.floats(StackArgument.NORMED).at((half * count + count - frames + frame) * hidden)
            total = code.variable(code.constant(vector, 0))
            with code.loop(0, hidden, lanes) as column:
                total.set(fma(weight.load(vector, column), row.load(vector, column), total.get()))
            velocity = add_up(total.get()) + own.floats(SolverArgument.OUT_BIAS)[number]
            own.floats(SolverArgument.VELOCITIES)[(half * frames + frame) * width + number] = velocity
    code.finish()


def write_solver_step(module: ir.Module) -> None:
    """Write the function that does an Euler step with guidance (CFG-Zero*, arXiv 2503.18886). It shares streams."""
    own = _Function(module, "solver_step")
    code = own.code
    size = own.number(SolverArgument.FRAMES) * own.number(SolverArgument.WIDTH)
    with code.loop(own.start, own.end) as stream:
        latents = own.floats(SolverArgument.LATENTS).at(stream * size)
        velocities = own.floats(SolverArgument.VELOCITIES)
        positive, negative = velocities.at(stream * 2 * size), velocities.at((stream * 2 + 1) * size)
        dot, norm = (code.variable(code.constant(F32, 0)) for _ in range(2))
        with code.loop(0, size) as place:
            dot.add(positive[place] * negative[place])
            norm.add(negative[place] * negative[place])
        scale = dot.get() / (norm.get() + _LEAST_NORM)
        guidance = own.floats(SolverArgument.GUIDANCE)[stream]
        span = own.floats(SolverArgument.SPANS)[own.evaluation * own.number(SolverArgument.STREAMS) + stream]
        with code.loop(0, size) as place:
            scaled = negative[place] * scale
            latents[place] = latents[place] - span * (scaled + guidance * (positive[place] - scaled))
    code.finish()
