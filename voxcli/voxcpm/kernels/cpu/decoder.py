"""The codec's decoder as one function, which works through a table of steps."""

from llvmlite import ir

from voxcli.voxcpm.kernels.cpu.elementary import add_up, fma, maximum, snake, tanh
from voxcli.voxcpm.kernels.cpu.factors import LANES, Factors
from voxcli.voxcpm.kernels.cpu.ir import F32, I64, POINTER, VOID, Code, Value
from voxcli.voxcpm.kernels.cpu.step_products import write_multiply
from voxcli.voxcpm.kernels.cpu.steps import (
    ENTRY,
    TAPS,
    VECTOR,
    Argument,
    Field,
    Kind,
    begin_step,
    divide_up,
    finished,
    history_of,
    own_items,
)
from voxcli.voxcpm.kernels.cpu.threads import Team, write_barrier

_CONV_ROWS = 128


def write_decoder(module: ir.Module, factors: Factors) -> None:
    """Write the function `decode`, which every thread calls with the address of its arguments."""
    write_barrier(module)
    work: dict[Kind, str] = {
        Kind.CONVOLVE: _write_convolve(module, factors),
        Kind.MULTIPLY: write_multiply(module, factors),
        Kind.REMEMBER: _write_remember(module),
        Kind.RECALL: _write_recall(module, factors),
        Kind.SOUND: _write_sound(module),
    }
    code = Code(module, ENTRY, [POINTER], exact=True, exported=True)
    arguments = code.array(code.arguments[0], I64)
    team = Team(code, arguments.at(Argument.arrived).address)
    steps = code.array(arguments.load(POINTER, Argument.steps), I64)
    with code.loop(0, arguments[Argument.count]) as number:
        step = steps.at(number * len(Field))
        with code.when(code.constant(I64, 0) < step[Field.barrier]):
            team.wait()
        for kind, name in work.items():
            with code.when(step[Field.kind].equals(kind)):
                code.call(name, VOID, step.address, arguments.address, team.number, team.size)
    code.finish()


def _write_convolve(module: ir.Module, factors: Factors) -> str:
    code, step, arguments, thread, threads = begin_step(module, "convolve")
    rows, columns, dilation = step[Field.rows], step[Field.columns], step[Field.dilation]
    vectors = columns // LANES
    history, memory = history_of(step, arguments), step[Field.memory]
    with own_items(code, divide_up(rows, _CONV_ROWS) * vectors, thread, threads) as item:
        channel = item % vectors * LANES
        first = item // vectors * _CONV_ROWS
        last = (first + _CONV_ROWS).minimum(rows)
        taps = [step.array(Field.weights).at(columns * tap).load(VECTOR, channel) for tap in range(TAPS)]
        bias, alpha, inverse = (
            step.array(field).load(VECTOR, channel) for field in (Field.bias, Field.alpha, Field.inverse)
        )
        given, past = step.array(Field.input).at(channel), history.at(channel)
        out = step.array(Field.activations, factors.activation)

        def convolve(row: Value, sources: list[Value]) -> None:
            total = bias
            for tap, source in zip(taps, sources, strict=True):
                total = fma(tap, source, total)
            factors.store(out, row * columns + channel, snake(total, alpha, inverse))

        early = maximum(first, memory.minimum(last))
        with code.loop(first, early) as row:
            sources = []
            for back in range(TAPS - 1, -1, -1):
                at = row - dilation * back
                before = at < 0
                offset = before.choose(at + memory, at) * columns
                start = code.value(code.builder.select(before.raw, past.address.raw, given.address.raw))
                sources.append(code.array(start, F32).load(VECTOR, offset))
            convolve(row, sources)
        with code.loop(early, last) as row:
            convolve(row, [given.load(VECTOR, (row - dilation * back) * columns) for back in range(TAPS - 1, -1, -1)])
    return finished(code)


def _write_remember(module: ir.Module) -> str:
    code, step, arguments, thread, threads = begin_step(module, "remember")
    rows, columns, memory = step[Field.rows], step[Field.columns], step[Field.memory]
    history, given = history_of(step, arguments), step.array(Field.input)
    with own_items(code, columns // LANES, thread, threads) as item, code.loop(0, memory) as row:
        channel = item * LANES
        at = row + rows - memory
        before = at < 0
        start = code.value(code.builder.select(before.raw, history.address.raw, given.address.raw))
        value = code.array(start, F32).load(VECTOR, before.choose(row + rows, at) * columns + channel)
        history.store(value, row * columns + channel)
    return finished(code)


def _write_recall(module: ir.Module, factors: Factors) -> str:
    code, step, arguments, thread, threads = begin_step(module, "recall")
    history, out = history_of(step, arguments), step.array(Field.activations, factors.activation)
    with own_items(code, step[Field.columns] // LANES, thread, threads) as item:
        factors.store(out, item * LANES, history.load(VECTOR, item * LANES))
    return finished(code)


def _write_sound(module: ir.Module) -> str:
    code, step, arguments, thread, threads = begin_step(module, "sound")
    rows, columns, memory = step[Field.rows], step[Field.columns], step[Field.memory]
    history, given, weights = history_of(step, arguments), step.array(Field.input), step.array(Field.weights)
    bias = step.array(Field.bias)[0]
    sound = code.array(arguments.load(POINTER, Argument.sound), F32)
    values = code.local_array(F32, LANES)
    values.store(code.constant(VECTOR, 0), 0)
    with own_items(code, divide_up(rows, LANES), thread, threads) as item:
        first = item * LANES
        count = (rows - first).minimum(LANES)
        with code.loop(0, count) as lane:
            total = code.variable(code.constant(VECTOR, 0))
            for tap in range(TAPS):
                at = first + lane - (TAPS - 1 - tap)
                before = at < 0
                start = code.value(code.builder.select(before.raw, history.address.raw, given.address.raw))
                source = code.array(start, F32).at(before.choose(at + memory, at) * columns)
                with code.loop(0, columns, LANES) as channel:
                    weight = weights.load(VECTOR, columns * tap + channel)
                    total.set(fma(weight, source.load(VECTOR, channel), total.get()))
            values[lane] = add_up(total.get()) + bias
        limited = tanh(values.load(VECTOR, 0))
        values.store(limited, 0)
        with code.loop(0, count) as lane:
            sound[first + lane] = values[lane]
    return finished(code)
