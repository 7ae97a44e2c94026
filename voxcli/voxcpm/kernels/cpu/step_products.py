"""Products as steps of the codec's decoder."""

from collections.abc import Sequence

from llvmlite import ir

from voxcli.voxcpm.kernels.cpu.elementary import fma, maximum, snake
from voxcli.voxcpm.kernels.cpu.factors import LANES, Factors, Tiles
from voxcli.voxcpm.kernels.cpu.ir import F32, I8, I64, POINTER, VOID, Array, Code, Value
from voxcli.voxcpm.kernels.cpu.steps import VECTOR, Field, Step, begin_step, divide_up, finished, history_of
from voxcli.voxcpm.kernels.factor_formats import BLOCK

_PRODUCT_ROWS, _FEW_ROWS = 120, 256
"""Rows whose activations are multiplied with a tile's weights in turn, unless there are few in all."""


def write_multiply(module: ir.Module, factors: Factors) -> str:
    tiles = factors.write_tiles(module)
    ending = _write_ending(module, factors)
    code, step, arguments, thread, threads = begin_step(module, "multiply")
    tall = factors.heights[-1]
    sums = code.local_array(F32, tall * factors.columns * BLOCK)
    rows, groups = step[Field.rows], divide_up(step[Field.columns], factors.columns * BLOCK)
    at_once = (rows < _FEW_ROWS + 1).choose(rows, code.constant(I64, _PRODUCT_ROWS))
    units = divide_up(rows, tall) * groups  # _PRODUCT_ROWS is a multiple of the height of a tile
    begin, end = units * thread // threads, units * (thread + 1) // threads
    passed = code.variable(code.constant(I64, 0))
    with code.loop(0, divide_up(rows, at_once) * groups) as item:
        first = item // groups * at_once
        number = divide_up((rows - first).minimum(at_once), tall)
        start = passed.get()
        passed.add(number)
        block = item % groups * factors.columns
        columns = (step[Field.columns] // BLOCK - block).minimum(factors.columns)
        own_end = (end - start).minimum(number)
        with code.loop(maximum(begin - start, code.constant(I64, 0)), own_end) as tile:
            row = first + tile * tall
            _multiply_tile(
                code, step, tiles, (row, (rows - row).minimum(tall)), (block, columns), sums, factors.activation
            )
            code.call(
                ending,
                VOID,
                step.numbers.address,
                arguments.address,
                sums.address,
                row,
                (rows - row).minimum(tall),
                block,
                columns,
            )
    return finished(code)


def _multiply_tile(
    code: Code,
    step: Step,
    tiles: Tiles,
    rows: tuple[Value, Value],
    blocks: tuple[Value, Value],
    sums: Array,
    activation: ir.Type,
) -> None:
    """Add up a tile, with the function for the next larger number of rows."""
    (row, count), (block, columns) = rows, blocks
    stride, inputs = step[Field.stride], step[Field.inputs]
    activations = step.array(Field.activations, activation).at(row * stride).address
    size = step[Field.weight_bytes]
    weights = step.array(Field.weights, I8).at(inputs * block * BLOCK * size).address
    ahead = step.array(Field.weights, I8).at(inputs * (block + columns) * BLOCK * size).address
    for width, by_columns in tiles.items():
        for number, functions in by_columns.items():
            shorter = 0
            for height, name in functions.items():
                fits = code.constant(I64, shorter) < count, count < height + 1
                with code.when(_all([size.equals(width), columns.equals(number), *fits])):
                    code.call(name, VOID, activations, stride, inputs, weights, sums.address, ahead)
                shorter = height


def _all(conditions: Sequence[Value]) -> Value:
    first, *others = conditions
    code, found = first.code, first.raw
    for other in others:
        found = code.builder.and_(found, other.raw)
    return code.value(found)


def _write_ending(module: ir.Module, factors: Factors) -> str:
    """Write the function that turns sums of products into what is written."""
    code = Code(module, "ending", [POINTER, POINTER, POINTER, I64, I64, I64, I64], exact=True)
    address, argument_address, sum_address, first, count, block, blocks = code.arguments
    code.function.attributes.add("noinline")
    step, arguments = Step(code, address), code.array(argument_address, I64)
    sums, columns = code.array(sum_address, F32), step[Field.columns]
    scales, bias, alpha, inverse = (
        step.array(field) for field in (Field.scales, Field.bias, Field.alpha, Field.inverse)
    )
    residual, total_out, output = (step.array(field) for field in (Field.residual, Field.sum, Field.output))
    activations = step.array(Field.next, factors.activation)
    flags = {field: step.has(field) for field in (Field.residual, Field.factor, Field.sum, Field.output, Field.next)}
    width = blocks * BLOCK
    with code.loop(0, count) as row, code.loop(0, width, LANES) as lane:
        column = block * BLOCK + lane
        place = (first + row) * columns + column
        value = code.variable(
            fma(sums.load(VECTOR, row * width + lane), scales.load(VECTOR, column), bias.load(VECTOR, column))
        )
        with code.when(flags[Field.residual]):
            value.add(residual.load(VECTOR, place))
        with code.when(flags[Field.sum]):
            total_out.store(value.get(), place)
        with code.when(flags[Field.factor]):
            factor, shift = (step.array(field).load(VECTOR, column) for field in (Field.factor, Field.shift))
            value.set(fma(value.get(), factor, shift))
        turned = snake(value.get(), alpha.load(VECTOR, column), inverse.load(VECTOR, column))
        with code.when(flags[Field.output]):
            output.store(turned, place)
        with code.when(flags[Field.next]):
            factors.store(activations, place, turned)
            with code.when((first + row).equals(step[Field.rows] - 1)):
                history_of(step, arguments).store(turned, column)
    return finished(code)
