"""Steps of the codec's decoder: a table that one native call works through, all threads together.

Rows are moments in time, and columns are channels. Every number is computed by one thread, in an order that depends
neither on the number of threads nor on how many rows there are.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum, auto

from llvmlite import ir

from voxcli.voxcpm.kernels.cpu.factors import LANES
from voxcli.voxcpm.kernels.cpu.ir import F32, I64, POINTER, Array, Code, Value

TAPS = 7
"""Of a depthwise convolution and of the last one."""
ENTRY = "decode"

VECTOR = ir.VectorType(F32, LANES)


class Kind(IntEnum):
    """What a step does."""

    CONVOLVE = auto()
    """Convolve each channel of `input` with 7 taps, apply a snake, and write `activations`."""
    MULTIPLY = auto()
    """Multiply `activations` with a matrix, and add a bias and a residual. The snake of the result is written to
    `output` or, with a history, as activations of the next product."""
    REMEMBER = auto()
    """Move the newest rows of `input` into a history."""
    RECALL = auto()
    """Write a history as the activations before the first row."""
    SOUND = auto()
    """Convolve `input` to one channel, and limit it with tanh."""


class Field(IntEnum):
    """Place of a number in a step: sizes, addresses (0 for none) and places of histories."""

    kind = 0
    barrier = auto()
    """Whether all threads have to be here before the step begins."""
    rows = auto()
    columns = auto()
    inputs = auto()
    stride = auto()
    """Of the activations: a row may begin before the last one ends."""
    dilation = auto()
    input = auto()
    activations = auto()
    weights = auto()
    weight_bytes = auto()
    """Of each weight of a product."""
    scales = auto()
    bias = auto()
    residual = auto()
    factor = auto()
    """What the sum is multiplied with, if anything, before `shift` is added and the snake is applied."""
    shift = auto()
    alpha = auto()
    inverse = auto()
    sum = auto()
    """Where the sum itself is written, or 0."""
    output = auto()
    next = auto()
    """Where activations of the next product are written, or 0."""
    history = auto()
    memory = auto()
    """Rows of the history."""


class Argument(IntEnum):
    """Place of a number in the arguments of `decode`."""

    steps = 0
    count = auto()
    histories = auto()
    """Address of the addresses of the histories."""
    sound = auto()
    arrived = auto()
    """Of threads at barriers. It is 0 at the beginning."""


class Step:
    """A step within a function."""

    def __init__(self, code: Code, address: Value) -> None:
        self.code = code
        self.numbers = code.array(address, I64)

    def __getitem__(self, field: Field) -> Value:
        return self.numbers[field]

    def has(self, field: Field) -> Value:
        return self.code.constant(I64, 0) < self[field]

    def array(self, field: Field, type_: ir.Type = F32) -> Array:
        return self.code.array(self.numbers.load(POINTER, field), type_)


def begin_step(module: ir.Module, name: str) -> tuple[Code, Step, Array, Value, Value]:
    """Begin a function for a kind of steps, of a step, the arguments, the thread and the number of threads."""
    code = Code(module, name, [POINTER, POINTER, I64, I64], exact=True)
    code.function.attributes.add("noinline")  # there is nothing to gain, and LLVM takes three times as long
    step, arguments, thread, threads = code.arguments
    return code, Step(code, step), code.array(arguments, I64), thread, threads


def history_of(step: Step, arguments: Array) -> Array:
    code = step.code
    histories = code.array(arguments.load(POINTER, Argument.histories), I64)
    return code.array(histories.load(POINTER, step[Field.history]), F32)


def divide_up(a: Value, b: Value | int) -> Value:
    """Divide, rounding up."""
    return (a + b - 1) // b


@contextmanager
def own_items(code: Code, count: Value, thread: Value, threads: Value) -> Iterator[Value]:
    """Repeat for the items of this thread: an equal part of them, one after another."""
    with code.loop(count * thread // threads, count * (thread + 1) // threads) as item:
        yield item


def finished(code: Code) -> str:
    code.finish()
    return str(code.function.name)
