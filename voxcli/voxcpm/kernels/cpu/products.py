"""Products of rows of activations with a packed matrix.

A tile is a few rows times two blocks, whose sums stay in registers while some inputs are read. Each sum is added up in
the order of the inputs, whatever the number of rows and of threads.
"""

from collections.abc import Sequence

from llvmlite import ir

from voxcli.voxcpm.kernels.block_layout import WORDS
from voxcli.voxcpm.kernels.cpu.arithmetic import Arithmetic
from voxcli.voxcpm.kernels.cpu.elementary import add_halves, silu
from voxcli.voxcpm.kernels.cpu.ir import F16, F32, I8, I32, I64, POINTER, Array, Code, Value, Variable

PAIR = 2
"""Blocks of a tile."""

_LINE = 64
"""Bytes of a cache line."""

_CHUNK = 128
"""Groups of inputs that some tiles are multiplied with in turn, with their weights from the first-level cache."""
_TOGETHER = 2
"""Tiles that do so. More are for long texts."""
_CHUNKS_AHEAD = 2
"""How much later the weights that are fetched into the second-level cache are needed."""

_HEIGHTS = (1, 2, 4, 6, 9, 12)
"""Rows of tiles for which functions are written. VoxCPM1.5 needs 1, 5 and 18 rows for a stream, VoxCPM2 1, 5 and 22.
Reading the weights takes as long with 3 rows as with 4."""


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
        row_scales, row_sums: (tiles * rows,), of int8 activations: scales in float32, and what the sums of a
            row are too large by.
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
    of_tile = rows * of_block * PAIR
    sums = code.local_array(_kept_type(arithmetic), of_tile * _TOGETHER)
    with code.loop(start, end) as pair:
        first = pair if gated else pair * PAIR
        blocks = [first, first + apart]
        own_weights = [packed.at(block * groups * WORDS) for block in blocks]
        own_scales = [code.array(scales, F32).at(block * of_block) for block in blocks]
        next_weights = [own.at(groups * (WORDS if gated else WORDS * PAIR)) for own in own_weights]
        with code.loop(0, tiles, _TOGETHER) as begin:
            count = (tiles - begin).minimum(_TOGETHER)
            with code.loop(0, count * of_tile, WORDS) as number:
                sums.store(code.constant(ir.VectorType(sums.type, WORDS), 0), number, align=_LINE)
            chunk = arithmetic.chunk or _CHUNK
            with code.loop(0, groups, chunk) as group, code.loop(0, count) as tile:
                own_inputs = code.array(inputs, I8).at((begin + tile) * rows * stride)
                starts = [own_inputs.at(row * stride) for row in range(rows)]
                ahead = _later(own_weights, next_weights, group + chunk * _CHUNKS_AHEAD, groups)
                fetched = _fetched(code, ahead, begin + tile, tiles)
                limits = group, (group + chunk).minimum(groups)
                _write_sums(code, arithmetic, own_weights, starts, limits, sums.at(tile * of_tile), fetched)
            with code.loop(0, count * rows) as number:
                row = begin * rows + number
                place = result.at(row * out_stride + pair * (of_block if gated else of_block * PAIR))
                of_row = code.array(row_scales, F32)[row], code.array(row_sums, I32)[row]
                _write_results(arithmetic, sums.at(number * of_block * PAIR), own_scales, of_row, place, gated=gated)
    code.finish()
    return name


def _kept_type(arithmetic: Arithmetic) -> ir.Type:
    """Return the type of sums in memory."""
    return I32 if arithmetic.sum_type == I32 else F32


def _write_results(
    arithmetic: Arithmetic,
    sums: Array,
    scales: Sequence[Array],
    of_row: tuple[Value, Value],
    out: Array,
    *,
    gated: bool,
) -> None:
    """Store what a row of a tile stands for."""
    for number in range(0, arithmetic.outputs, arithmetic.lanes):
        places = [half * arithmetic.outputs + number for half in range(PAIR)]
        values = [
            _finished(arithmetic, sums.at(place), scale.at(number), *of_row)
            for place, scale in zip(places, scales, strict=True)
        ]
        if gated:
            out.store(silu(values[0]) * values[1], number)
        else:
            for place, value in zip(places, values, strict=True):
                out.store(value, place)


def _finished(arithmetic: Arithmetic, sums: Array, scales: Array, row_scale: Value, row_sum: Value) -> Value:
    """Convert sums to what they stand for."""
    lanes = arithmetic.lanes
    vector = ir.VectorType(F32, lanes)
    total = sums.load(ir.VectorType(sums.type, lanes), 0)
    if arithmetic.sum_type == I32:
        total = (total - row_sum.filled(lanes)).to(vector) * row_scale.filled(lanes)
    return total if arithmetic.sum_type == F32 else total * scales.load(vector, 0)


def _later(own: Sequence[Array], following: Sequence[Array], group: Value, groups: Value) -> list[Array]:
    """Return the weights of a later group: of these blocks or, behind their last group, of the next ones."""
    code = group.code
    starts = zip(own, following, strict=True)
    return [
        code.array((group < groups).choose(a.at(group * WORDS).address, b.at((group - groups) * WORDS).address), I32)
        for a, b in starts
    ]


def _fetched(code: Code, ahead: Sequence[Array], tile: Value, tiles: Value) -> list[Array]:
    """Return the weights that a tile fetches: one block each for the first and the other tiles, or both."""
    first, second = (block.address for block in ahead)
    own = tile.equals(0).choose(first, second)
    other = tiles.equals(1).choose(second, own)
    return [code.array(address, I32) for address in (own, other)]


def _write_sums(
    code: Code,
    arithmetic: Arithmetic,
    blocks: Sequence[Array],
    rows: Sequence[Array],
    groups: tuple[Value, Value],
    out: Array,
    ahead: Sequence[Array],
) -> None:
    """Add the products of some groups of inputs to the sums of a tile."""
    lanes = arithmetic.lanes
    words, vector = ir.VectorType(I32, lanes), ir.VectorType(arithmetic.sum_type, arithmetic.sums)
    parts = [block.at(lane) for block in blocks for lane in range(0, WORDS, lanes)]
    places = [
        [out.at(row * arithmetic.outputs * PAIR + number * arithmetic.sums) for row, _ in enumerate(rows)]
        for number, _ in enumerate(parts)
    ]
    halves = arithmetic.sum_type == F16

    def begun(place: Array) -> Variable:
        return code.variable(code.constant(vector, 0) if halves else place.load(vector, 0, align=4 * lanes))

    sums = [[begun(place) for place in column] for column in places]
    width = arithmetic.group * arithmetic.activation_bytes
    first, _ = groups
    with code.loop(*groups) as group:
        for block in ahead:
            code.prefetch(block.at((group - first) * WORDS))
        weights = [part.load(words, group * WORDS, align=4 * lanes) for part in parts]
        inputs = [row.at(group * width).of(arithmetic.activation) for row in rows]
        added = arithmetic.add_group(code, [[total.get() for total in column] for column in sums], weights, inputs)
        for totals, values in zip(sums, added, strict=True):
            for total, value in zip(totals, values, strict=True):
                total.set(value)
    for totals, column in zip(sums, places, strict=True):
        for total, place in zip(totals, column, strict=True):
            if halves:
                add_halves(total.get(), place)
            else:
                place.store(total.get(), 0, align=4 * lanes)
