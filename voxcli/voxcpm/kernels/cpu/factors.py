"""Factors of the codec's products: the types of weights and activations, and tiles of sums.

Activations are laid out as a tile reads them, one element of 32 bits for each input.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from llvmlite import ir
from torch import Tensor

from voxcli.voxcpm.kernels.cpu.compiler import Target
from voxcli.voxcpm.kernels.cpu.elementary import fma, maximum
from voxcli.voxcpm.kernels.cpu.ir import F32, I16, I32, I64, POINTER, VOID, Array, Code, Value

LANES = 16
"""Numbers of a vector in the code that is written. Processors with shorter ones get several for each."""
BLOCK = 32
"""Outputs of a block of weights."""

_F16 = ir.HalfType()
_F16_MAX = 65504.0
_CHUNK = 64
"""Products that are added up in float16. With weights of at most 1/64, such a sum is not above the largest
activation."""


class Factors(ABC):
    """Types of the factors of products. Sums are float32."""

    name: ClassVar[str]
    dtype: ClassVar[torch.dtype]
    """Of packed weights, (blocks, inputs, 32)."""
    heights: ClassVar[tuple[int, ...]]
    """Rows of tiles, in ascending order."""
    columns: ClassVar[int]
    """Blocks of a tile."""

    @abstractmethod
    def round(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Round a weight, (outputs, inputs) in float32, and return it with a float32 scale for each output."""

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

    def pack(self, rounded: Tensor) -> Tensor:
        """Lay out a rounded weight, (outputs, inputs), in blocks of 32 outputs."""
        return rounded.view(-1, BLOCK, rounded.size(1)).transpose(1, 2).contiguous()

    def unpack(self, packed: Tensor) -> Tensor:
        """Return the rounded weight, (outputs, inputs) in float32."""
        return packed.transpose(1, 2).flatten(0, 1).float()


class WideFactors(Factors):
    """Weights in bfloat16, widened as they are read, and activations in float32: products are exact.

    32 bits hold the weights of an output and of the one 16 further.
    """

    name, dtype, heights, columns = "wide", torch.bfloat16, (1, 4, 8, 12), 1

    def round(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return weight.to(self.dtype), torch.ones(len(weight))

    def pack(self, rounded: Tensor) -> Tensor:
        blocks = super().pack(rounded)
        paired: Tensor = blocks.unflatten(2, (2, LANES)).transpose(2, 3).flatten(2).contiguous()
        return paired

    def unpack(self, packed: Tensor) -> Tensor:
        return super().unpack(packed.unflatten(2, (LANES, 2)).transpose(2, 3).flatten(2))

    def store(self, activations: Array, index: Value, values: Value) -> None:
        activations.of(F32).store(values, index)

    def write_sums(self, module: ir.Module, rows: int, columns: int) -> str:
        code, (activations, stride, inputs, weights, sums, ahead) = _begin(module, f"wide_{rows}_{columns}")
        vector, words = ir.VectorType(F32, LANES), ir.VectorType(I32, LANES)
        starts = [code.array(activations, F32).at(stride * row) for row in range(rows)]
        totals = [[code.variable(code.constant(vector, 0)) for _ in range(2 * columns)] for _ in starts]
        blocks = [code.array(weights, I32).at(inputs * (LANES * column)) for column in range(columns)]
        with code.loop(0, inputs) as index:
            _fetch(code, ahead, inputs, index, columns)
            pairs = [block.load(words, index * LANES, align=4 * LANES) for block in blocks]
            factors = [half.bits_as(vector) for pair in pairs for half in (pair << 16, pair & -(1 << 16))]
            for start, row in zip(starts, totals, strict=True):
                spread = start[index].filled(LANES)
                for factor, total in zip(factors, row, strict=True):
                    total.set(fma(factor, spread, total.get()))
        for number, row in enumerate(totals):
            for column, total in enumerate(row):
                code.array(sums, F32).store(total.get(), number * columns * BLOCK + column * LANES, align=64)
        code.finish()
        return str(code.function.name)


class HalfFactors(Factors):
    """Weights and activations in float16, which is more exact than bfloat16, and twice as fast as float32.

    Weights are scaled to 1/64 at most, so that no sum overflows.
    """

    name, dtype, heights, columns = "half", torch.float16, (1, 4, 8, 12), 2

    def round(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        scales = weight.abs().amax(1).clamp_(min=torch.finfo(torch.float32).tiny * _CHUNK).mul_(_CHUNK)
        return (weight / scales.unsqueeze(1)).to(self.dtype), scales

    def store(self, activations: Array, index: Value, values: Value) -> None:
        code, builder = values.code, values.code.builder
        limited = maximum(values, code.constant(values.type, -_F16_MAX)).minimum(_F16_MAX)
        rounded = builder.fptrunc(limited.raw, ir.VectorType(_F16, LANES))
        bits = code.value(builder.zext(builder.bitcast(rounded, ir.VectorType(I16, LANES)), ir.VectorType(I32, LANES)))
        # Twice in 32 bits: processors read and spread 32 bits in one step, but not 16.
        activations.of(I32).store(bits * 0x10001, index)

    def write_sums(self, module: ir.Module, rows: int, columns: int) -> str:
        code, (activations, stride, inputs, weights, sums, ahead) = _begin(module, f"half_{rows}_{columns}")
        halves, words = ir.VectorType(_F16, BLOCK), ir.VectorType(I32, LANES)
        zero = code.constant(words, 0)
        starts = [code.array(activations, I32).at(stride * row) for row in range(rows)]
        totals = [[code.variable(zero.bits_as(halves)) for _ in range(columns)] for _ in starts]
        blocks = [code.array(weights, I16).at(inputs * (BLOCK * column)) for column in range(columns)]
        out = code.array(sums, F32)
        with code.loop(0, rows * columns * BLOCK, LANES) as index:
            out.store(zero.bits_as(ir.VectorType(F32, LANES)), index, align=64)
        with code.loop(0, inputs, _CHUNK) as begin:
            for row in totals:
                for total in row:
                    total.set(zero.bits_as(halves))
            with code.loop(begin, (begin + _CHUNK).minimum(inputs)) as index:
                _fetch(code, ahead, inputs, index, columns)
                factors = [block.load(halves, index * BLOCK, align=2 * BLOCK) for block in blocks]
                for start, row in zip(starts, totals, strict=True):
                    spread = start[index].filled(LANES).bits_as(halves)
                    for factor, total in zip(factors, row, strict=True):
                        total.set(code.call(f"llvm.fma.v{BLOCK}f16", halves, factor, spread, total.get()))
            for number, row in enumerate(totals):
                for column, total in enumerate(row):
                    _add_halves(code, total.get(), out.at((number * columns + column) * BLOCK))
        code.finish()
        return str(code.function.name)


def _add_halves(code: Code, values: Value, sums: Array) -> None:
    """Add 32 sums in float16 to as many in float32."""
    vector, builder = ir.VectorType(F32, LANES), code.builder
    for first in (0, LANES):
        mask = ir.Constant(ir.VectorType(I32, LANES), list(range(first, first + LANES)))
        part = builder.shuffle_vector(values.raw, values.raw, mask)
        wide = code.value(builder.fpext(part, vector))
        sums.store(sums.load(vector, first, align=64) + wide, first, align=64)


def _fetch(code: Code, ahead: Value, inputs: Value, index: Value, columns: int) -> None:
    """Fetch what an input is multiplied with in other blocks."""
    for column in range(columns):
        place = code.array(ahead, I16).at((inputs * column + index) * BLOCK).address
        read, second_level, data = (code.constant(I32, number) for number in (0, 2, 1))
        code.call("llvm.prefetch.p0", VOID, place, read, second_level, data)


def _begin(module: ir.Module, name: str) -> tuple[Code, list[Value]]:
    code = Code(module, name, [POINTER, I64, I64, POINTER, POINTER, POINTER], exact=True)
    code.function.attributes.add("noinline")
    return code, code.arguments


WIDE, HALF = WideFactors(), HalfFactors()


def choose_factors(target: Target | None) -> Factors | None:
    """Choose the factors for a processor; None where products of torch are as fast."""
    if target is None or target.bf16 is None or target.bf16.lanes < LANES:
        return None
    return HALF if "+avx512fp16" in target.features else WIDE


def factors_of(packed: Tensor) -> Factors:
    """Return the factors of a packed weight."""
    return HALF if packed.dtype == HALF.dtype else WIDE
