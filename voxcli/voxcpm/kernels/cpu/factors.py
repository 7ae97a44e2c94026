"""Tiles of products in the formats of the codec's factors."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, TypeAlias

from llvmlite import ir

from voxcli.voxcpm.kernels.cpu.elementary import add_halves, as_two_halves, fma
from voxcli.voxcpm.kernels.cpu.ir import BF16, F16, F32, I8, I16, I32, I64, POINTER, Array, Code, Value
from voxcli.voxcpm.kernels.cpu.targets import Target
from voxcli.voxcpm.kernels.factor_formats import (
    BLOCK,
    BYTE_SCALE,
    FLOAT16_PRODUCTS,
    HALF,
    HALF_AND_BYTES,
    PAIRED,
    WIDE,
    FactorFormat,
)

LANES = 16
"""Numbers of a vector in the code that is written."""

FEW_ROWS = (1, 4)
"""Rows of tiles of matrices that meet a few rows."""


Tiles: TypeAlias = dict[int, dict[int, dict[int, str]]]
"""Names of functions for a number of bytes of a weight, of blocks and of rows."""


class Factors(ABC):
    """Code for a format of factors."""

    heights: ClassVar[tuple[int, ...]] = (1, 4, 8, 12)
    """Rows of tiles, in ascending order."""
    columns: ClassVar[int]
    """Blocks of a tile."""
    activation: ClassVar[ir.Type]
    """Type as wide as an activation in memory."""

    def write_tiles(self, module: ir.Module) -> Tiles:
        """Write functions for tiles, and return their names."""
        return {2: self._written(module, self.heights)}

    def _written(self, module: ir.Module, heights: Sequence[int]) -> dict[int, dict[int, str]]:
        return {
            columns: {rows: self.write_sums(module, rows, columns) for rows in heights}
            for columns in range(1, self.columns + 1)
        }

    @abstractmethod
    def store(self, activations: Array, index: Value, values: Value) -> None:
        """Store a vector of float32 as activations."""

    @abstractmethod
    def write_sums(self, module: ir.Module, rows: int, columns: int) -> str:
        """Write a function that adds up a tile of `rows` rows and `columns` blocks, and return its name.

        Its arguments:
            activations: (rows, stride).
            stride, inputs.
            weights: (columns, inputs, 32).
            sums: (rows, columns * 32) in float32.
            ahead: weights that are fetched into the cache, as many as those of the tile.
        """


class _Float32Sums(Factors):
    """Sums that stay in registers, two vectors for each row and block."""

    columns, lanes = 1, LANES
    group: ClassVar[int]
    """Inputs whose weights are read together."""

    @abstractmethod
    def add_group(self, row: Array, index: Value, weights: list[Value], totals: list[Value]) -> list[Value]:
        """Add the products of a row's group of inputs, of which `index` is the first."""

    @abstractmethod
    def load_group(self, block: Array, index: Value) -> list[Value]:
        """Read the weights of a group, a vector for each vector of sums and input."""

    def write_sums(self, module: ir.Module, rows: int, columns: int) -> str:
        code, (activations, stride, inputs, weights, sums, ahead) = _begin(module, f"sums_{rows}_{columns}")
        vector, out = ir.VectorType(F32, self.lanes), code.array(sums, F32)
        starts = [code.array(activations, self.activation).at(stride * row) for row in range(rows)]
        for first in range(0, LANES, self.lanes):
            totals = [[code.variable(code.constant(vector, 0)) for _ in range(BLOCK // LANES)] for _ in starts]
            block = code.array(weights, I32).at(first).of(I16)
            with code.loop(0, inputs, self.group) as index:
                _fetch(code, code.array(ahead, I16), inputs, index, columns)
                loaded = self.load_group(block, index)
                for start, row in zip(starts, totals, strict=True):
                    values = self.add_group(start, index, loaded, [total.get() for total in row])
                    for total, value in zip(row, values, strict=True):
                        total.set(value)
            for number, row in enumerate(totals):
                for column, total in enumerate(row):
                    out.store(total.get(), number * BLOCK + column * LANES + first, align=4 * self.lanes)
        code.finish()
        return str(code.function.name)


class WideFactors(_Float32Sums):
    """Code for `Wide`."""

    activation, group = F32, 1

    def store(self, activations: Array, index: Value, values: Value) -> None:
        activations.store(values, index)

    def load_group(self, block: Array, index: Value) -> list[Value]:
        pair = block.load(ir.VectorType(I32, self.lanes), index * BLOCK, align=4 * self.lanes)
        return [half.bits_as(ir.VectorType(F32, self.lanes)) for half in (pair << 16, pair & -(1 << 16))]

    def add_group(self, row: Array, index: Value, weights: list[Value], totals: list[Value]) -> list[Value]:
        spread = row[index].filled(self.lanes)
        return [fma(weight, spread, total) for weight, total in zip(weights, totals, strict=True)]


class NarrowFactors(WideFactors):
    """Code for `Wide` on processors with 16 registers of 8 numbers (AVX2), or 32 of 4 (NEON)."""

    heights, lanes = (1, 2, 4, 6), LANES // 2


class PairedFactors(_Float32Sums):
    """Code for `Paired`, with the instructions of AVX512-BF16."""

    activation, group = I16, 2

    def store(self, activations: Array, index: Value, values: Value) -> None:
        code, halves = values.code, ir.VectorType(BF16, LANES)
        rounded = code.call("llvm.x86.avx512bf16.cvtneps2bf16.512", halves, values)
        activations.store(rounded.bits_as(ir.VectorType(I16, LANES)), index)

    def load_group(self, block: Array, index: Value) -> list[Value]:
        words = ir.VectorType(I32, LANES)
        return [block.load(words, index * BLOCK + 2 * lane, align=2 * BLOCK) for lane in (0, LANES)]

    def add_group(self, row: Array, index: Value, weights: list[Value], totals: list[Value]) -> list[Value]:
        code, factors = index.code, ir.VectorType(BF16, 2 * LANES)
        spread = row.load(I32, index).filled(LANES).bits_as(factors)
        return [
            code.call("llvm.x86.avx512bf16.dpbf16ps.512", total.type, total, weight.bits_as(factors), spread)
            for weight, total in zip(weights, totals, strict=True)
        ]


class HalfFactors(Factors):
    """Code for `Half` and `Bytes`, with the instructions of AVX512-FP16."""

    columns, activation = 2, I32
    weight, name = I16, "halves"

    def write_tiles(self, module: ir.Module) -> Tiles:
        return {**super().write_tiles(module), 1: self._bytes()._written(module, FEW_ROWS)}

    def _bytes(self) -> "HalfFactors":
        return _ByteFactors()

    def load(self, block: Array, index: Value) -> Value:
        """Read the weights of an input."""
        return block.of(I16).load(ir.VectorType(F16, BLOCK), index * BLOCK, align=2 * BLOCK)

    def store(self, activations: Array, index: Value, values: Value) -> None:
        activations.store(as_two_halves(values), index)

    def write_sums(self, module: ir.Module, rows: int, columns: int) -> str:
        code, (activations, stride, inputs, weights, sums, ahead) = _begin(module, f"{self.name}_{rows}_{columns}")
        halves, words = ir.VectorType(F16, BLOCK), ir.VectorType(I32, LANES)
        zero = code.constant(words, 0)
        starts = [code.array(activations, I32).at(stride * row) for row in range(rows)]
        totals = [[code.variable(zero.bits_as(halves)) for _ in range(columns)] for _ in starts]
        blocks = [code.array(weights, self.weight).at(inputs * (BLOCK * column)) for column in range(columns)]
        out = code.array(sums, F32)
        with code.loop(0, rows * columns * BLOCK, LANES) as index:
            out.store(zero.bits_as(ir.VectorType(F32, LANES)), index, align=64)
        with code.loop(0, inputs, FLOAT16_PRODUCTS) as begin:
            for row in totals:
                for total in row:
                    total.set(zero.bits_as(halves))
            with code.loop(begin, (begin + FLOAT16_PRODUCTS).minimum(inputs)) as index:
                _fetch(code, code.array(ahead, self.weight), inputs, index, columns)
                factors = [self.load(block, index) for block in blocks]
                for start, row in zip(starts, totals, strict=True):
                    spread = start[index].filled(LANES).bits_as(halves)
                    for factor, total in zip(factors, row, strict=True):
                        total.set(code.call(f"llvm.fma.v{BLOCK}f16", halves, factor, spread, total.get()))
            for number, row in enumerate(totals):
                for column, total in enumerate(row):
                    add_halves(total.get(), out.at((number * columns + column) * BLOCK))
        code.finish()
        return str(code.function.name)


class NarrowHalfFactors(HalfFactors):
    """Code for `Half` and `Bytes` on processors with 32 registers of 8 numbers (NEON)."""

    heights, columns = (1, 2, 4, 6), 1

    def _bytes(self) -> HalfFactors:
        return _NarrowByteFactors()


class _ByteFactors(HalfFactors):
    weight, name = I8, "bytes"

    def load(self, block: Array, index: Value) -> Value:
        code, builder = block.code, block.code.builder
        levels = block.load(ir.VectorType(I8, BLOCK), index * BLOCK, align=BLOCK)
        wide = builder.sext(levels.raw, ir.VectorType(I16, BLOCK))
        halves = builder.sitofp(wide, ir.VectorType(F16, BLOCK))
        scale = code.value(ir.Constant(F16, BYTE_SCALE)).filled(BLOCK)
        return code.value(builder.fmul(halves, scale.raw))


class _NarrowByteFactors(_ByteFactors):
    columns = NarrowHalfFactors.columns


def _fetch(code: Code, ahead: Array, inputs: Value, index: Value, columns: int) -> None:
    """Fetch what inputs are multiplied with in other blocks."""
    for column in range(columns):
        code.prefetch(ahead.at((inputs * column + index) * BLOCK))


def _begin(module: ir.Module, name: str) -> tuple[Code, list[Value]]:
    code = Code(module, name, [POINTER, I64, I64, POINTER, POINTER, POINTER], exact=True)
    return code, code.arguments


MOST_ROWS = 12
"""Of a tile."""


def factors_for(form: FactorFormat, target: Target) -> Factors:
    """Return the code for a format of most products of a decoder."""
    if form is PAIRED:
        return PairedFactors()
    narrow = target.bf16 is not None and target.bf16.lanes < LANES
    if form is WIDE:
        return NarrowFactors() if narrow else WideFactors()
    return NarrowHalfFactors() if narrow else HalfFactors()


def choose_format(target: Target | None, *, quantized: bool = False) -> FactorFormat | None:
    """Choose the format for a processor; None where products of torch are as fast.

    quantized: whether some weights may be rounded to int8.
    """
    if target is None or target.bf16 is None:
        return None
    if target.bf16.name == "float16":
        return HALF_AND_BYTES if quantized else HALF
    return PAIRED if target.bf16.name == "bf16" else WIDE
