"""Products of rows of activations with a packed matrix.

A tile is a few rows times 32 outputs, whose sums stay in registers while all inputs are read once. Each sum is added up
in the order of the inputs, whatever the number of rows and of threads.
"""

from collections.abc import Sequence

from llvmlite import ir

from voxcli.voxcpm.kernels.block_layout import BLOCK
from voxcli.voxcpm.kernels.cpu.arithmetic import Arithmetic
from voxcli.voxcpm.kernels.cpu.elementary import silu
from voxcli.voxcpm.kernels.cpu.ir import F32, I8, I32, I64, POINTER, Array, Code, Value

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
        weights: (blocks, groups, 16) of 32 bits.
        groups.
        scales: (outputs,) in float32, of int8 weights.
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
    vector = ir.VectorType(F32, arithmetic.lanes)
    sums = code.local_array(arithmetic.sum_type, rows * BLOCK * PAIR)
    with code.loop(start, end) as pair:
        first = pair if gated else pair * PAIR
        blocks = [first, first + apart]
        own_weights = [packed.at(block * groups * BLOCK) for block in blocks]
        own_scales = [code.array(scales, F32).at(block * BLOCK) for block in blocks]
        with code.loop(0, tiles * rows, rows) as begin:
            own_inputs = code.array(inputs, I8).at(begin * stride)
            starts = [own_inputs.at(row * stride) for row in range(rows)]
            # The next pair is fetched while this one is multiplied, by the first two tiles or by the only one.
            ahead = [own.at(groups * (BLOCK * PAIR if not gated else BLOCK)) for own in own_weights]
            _write_sums(code, arithmetic, own_weights, starts, groups, sums, _fetched(code, ahead, begin, tiles))
            with code.loop(0, rows) as row:
                place = result.at((begin + row) * out_stride + pair * (BLOCK if gated else BLOCK * PAIR))
                for lane in range(0, BLOCK, arithmetic.lanes):
                    values = []
                    for half, scale in enumerate(own_scales):
                        total = sums.load(
                            ir.VectorType(arithmetic.sum_type, arithmetic.lanes),
                            row * BLOCK * PAIR + half * BLOCK + lane,
                        )
                        if arithmetic.sum_type == I32:
                            offset = code.array(row_sums, I32)[begin + row].filled(arithmetic.lanes)
                            by_row = code.array(row_scales, F32)[begin + row].filled(arithmetic.lanes)
                            total = ((total - offset).to(vector) * by_row) * scale.load(vector, lane)
                        values.append(total)
                    if gated:
                        place.store(silu(values[0]) * values[1], lane)
                    else:
                        for half, value in enumerate(values):
                            place.store(value, half * BLOCK + lane)
    code.finish()
    return name


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
    words, vector = ir.VectorType(I32, lanes), ir.VectorType(arithmetic.sum_type, lanes)
    parts = [block.at(lane) for block in blocks for lane in range(0, BLOCK, lanes)]
    sums = [[code.variable(code.constant(vector, 0)) for _ in rows] for _ in parts]
    width = arithmetic.group * arithmetic.activation_bytes
    with code.loop(0, groups) as group:
        for block in ahead:
            code.prefetch(block.at(group * BLOCK))
        weights = [part.load(words, group * BLOCK, align=4 * lanes) for part in parts]
        inputs = [row.at(group * width).of(arithmetic.activation) for row in rows]
        added = arithmetic.add_group(code, [[total.get() for total in column] for column in sums], weights, inputs)
        for column, values in zip(sums, added, strict=True):
            for total, value in zip(column, values, strict=True):
                total.set(value)
    for number, column in enumerate(sums):
        for row, total in enumerate(column):
            out.store(total.get(), row * BLOCK * PAIR + number * lanes, align=4 * lanes)
