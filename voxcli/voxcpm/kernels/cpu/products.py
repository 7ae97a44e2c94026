"""Products of rows of activations with a packed matrix.

A tile is a few rows times two blocks, whose sums stay in registers while all inputs are read once. Each sum is added up
in the order of the inputs, whatever the number of rows and of threads.
"""

from collections.abc import Iterator, Sequence

from llvmlite import ir

from voxcli.voxcpm.kernels.block_layout import WORDS
from voxcli.voxcpm.kernels.cpu.arithmetic import Arithmetic
from voxcli.voxcpm.kernels.cpu.elementary import add_halves, silu
from voxcli.voxcpm.kernels.cpu.ir import F32, I8, I32, I64, POINTER, Array, Code, Value, Variable

PAIR = 2
"""Blocks of a tile."""

_LINE = 64
"""Bytes of a cache line."""


_HEIGHTS = (1, 2, 3, 4, 6, 9, 12)
"""Rows of tiles for which functions are written. VoxCPM1.5 needs 1, 5 and 18 rows for a stream, VoxCPM2 1, 5 and 22."""


def tile_heights(arithmetic: Arithmetic) -> tuple[int, ...]:
    """Return the possible numbers of rows of a tile."""
    return tuple(rows for rows in _HEIGHTS if rows <= arithmetic.max_rows)


def split_rows(rows: int, arithmetic: Arithmetic) -> tuple[int, int]:
    """Return the number of tiles for a number of rows, and the rows of each. The last one may be partly unused."""
    heights = tile_heights(arithmetic)
    tiles = -(-rows // heights[-1])
    return tiles, next(height for height in heights if tiles * height >= rows)


def row_bytes(arithmetic: Arithmetic, width: int) -> int:
    """Return the bytes from one row of inputs to the next, for rows of at most `width` inputs.

    They are not a power of two, so that rows do not compete for the same lines of the cache.
    """
    return -(-width * arithmetic.activation_bytes // _LINE) * _LINE + _LINE


def write_product(module: ir.Module, arithmetic: Arithmetic, rows: int, stride: int, *, gated: bool) -> str:
    """Write a function that multiplies with some of the blocks of a matrix, in tiles of a fixed number of rows.

    Args:
        rows: of a tile.
        stride: bytes from one row of inputs to the next.

    The arguments of the function:
        inputs: (tiles * rows, stride in bytes), of the type that the arithmetic takes.
        tiles.
        weights: (blocks, groups, 16) words.
        groups.
        scales: (outputs,) in float32, of weights in int8 and float16.
        row_scales, row_sums: (tiles * rows,), of int8 activations: in float32, and the sum of each row times 128.
        out: (tiles * rows, out_stride) in float32.
        out_stride.
        start, end: the pairs of blocks to multiply with.
        apart: blocks between the two of a pair, if gated: gates, and as many other outputs behind them. The result is
            SiLU(gate) * other. Otherwise 1.

    Returns:
        Its name.
    """
    name = f"product_{arithmetic.name}_{rows}{'_gated' if gated else ''}"
    types = [POINTER, I64, POINTER, I64, POINTER, POINTER, POINTER, POINTER, I64, I64, I64, I64]
    code = Code(module, name, types, exact=True)
    inputs, tiles, weights, groups, scales, row_scales, row_sums, out, out_stride, start, end, apart = code.arguments
    packed, result = code.array(weights, I32), code.array(out, F32)
    of_block = arithmetic.outputs
    sums = code.local_array(I32 if arithmetic.sum_type == I32 else F32, rows * of_block * PAIR)
    with code.loop(start, end) as pair:
        first = pair if gated else pair * PAIR
        blocks = [first, first + apart]
        own_weights = [packed.at(block * groups * WORDS) for block in blocks]
        own_scales = [code.array(scales, F32).at(block * of_block) for block in blocks]
        # The next pair is fetched while this one is multiplied, by the first two tiles or by the only one.
        ahead = [own.at(groups * (WORDS if gated else WORDS * PAIR)) for own in own_weights]
        with code.loop(0, tiles * rows, rows) as begin:
            own_inputs = code.array(inputs, I8).at(begin * stride)
            starts = [own_inputs.at(row * stride) for row in range(rows)]
            _write_sums(code, arithmetic, own_weights, starts, groups, sums, _fetched(code, ahead, begin, tiles))
            with code.loop(0, rows) as row:
                place = result.at((begin + row) * out_stride + pair * (of_block if gated else of_block * PAIR))
                of_row = code.array(row_scales, F32)[begin + row], code.array(row_sums, I32)[begin + row]
                own_sums = sums.at(row * of_block * PAIR)
                for number in range(0, of_block, arithmetic.lanes):
                    values = [
                        _finished(arithmetic, own_sums.at(half * of_block + number), scale.at(number), *of_row)
                        for half, scale in enumerate(own_scales)
                    ]
                    if gated:
                        place.store(silu(values[0]) * values[1], number)
                    else:
                        for half, value in enumerate(values):
                            place.store(value, half * of_block + number)
    code.finish()
    return name


def _finished(arithmetic: Arithmetic, sums: Array, scales: Array, row_scale: Value, row_sum: Value) -> Value:
    """Convert sums to what they stand for."""
    lanes = arithmetic.lanes
    vector = ir.VectorType(F32, lanes)
    total = sums.load(ir.VectorType(sums.type, lanes), 0)
    if arithmetic.sum_type == I32:
        total = (total - row_sum.filled(lanes)).to(vector) * row_scale.filled(lanes)
    return total if arithmetic.sum_type == F32 else total * scales.load(vector, 0)


def _fetched(code: Code, ahead: Sequence[Array], begin: Value, tiles: Value) -> list[Array]:
    """Return the blocks that a tile fetches: one each for the first and the other tiles, or both for the only one."""
    first, second = (block.address for block in ahead)
    own = begin.equals(0).choose(first, second)
    other = tiles.equals(1).choose(second, own)
    return [code.array(address, I32) for address in (own, other)]


def _write_sums(
    code: Code,
    arithmetic: Arithmetic,
    blocks: Sequence[Array],
    rows: Sequence[Array],
    groups: Value,
    out: Array,
    ahead: Sequence[Array],
) -> None:
    """Add up a tile, and store it row by row."""
    lanes = arithmetic.lanes
    words, vector = ir.VectorType(I32, lanes), ir.VectorType(arithmetic.sum_type, arithmetic.sums)
    parts = [block.at(lane) for block in blocks for lane in range(0, WORDS, lanes)]
    sums = [[code.variable(code.constant(vector, 0)) for _ in rows] for _ in parts]
    width = arithmetic.group * arithmetic.activation_bytes

    def add(start: Value | int, stop: Value) -> None:
        with code.loop(start, stop) as group:
            for block in ahead:
                code.prefetch(block.at(group * WORDS))
            weights = [part.load(words, group * WORDS, align=4 * lanes) for part in parts]
            inputs = [row.at(group * width).of(arithmetic.activation) for row in rows]
            added = arithmetic.add_group(code, [[total.get() for total in column] for column in sums], weights, inputs)
            for column, values in zip(sums, added, strict=True):
                for total, value in zip(column, values, strict=True):
                    total.set(value)

    def places() -> Iterator[tuple[Variable, Array]]:
        for number, column in enumerate(sums):
            for row, total in enumerate(column):
                yield total, out.at(row * arithmetic.outputs * PAIR + number * arithmetic.sums)

    if not arithmetic.chunk:
        add(0, groups)
        for total, place in places():
            place.store(total.get(), 0, align=4 * lanes)
        return
    for _, place in places():
        place.store(code.constant(ir.VectorType(F32, arithmetic.sums), 0), 0, align=64)
    with code.loop(0, groups, arithmetic.chunk) as start:
        for total, _ in places():
            total.set(code.constant(vector, 0))
        add(start, (start + arithmetic.chunk).minimum(groups))
        for total, place in places():
            add_halves(total.get(), place)
