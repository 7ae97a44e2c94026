"""Arithmetic of products: what one instruction multiplies and adds, for each kind of processor.

Weights are packed in blocks: for a group of inputs that follow one another, a block holds 16 words of 32 bits. A word
holds the weights of one output for four inputs in int8 and for two in bfloat16, or those of two outputs in float16.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from llvmlite import ir

from voxcli.voxcpm.kernels.block_layout import INT8_OFFSET, WORDS
from voxcli.voxcpm.kernels.cpu.elementary import fma
from voxcli.voxcpm.kernels.cpu.ir import BF16, F16, F32, I8, I16, I32, Array, Code, Value
from voxcli.voxcpm.kernels.factor_formats import FLOAT16_PRODUCTS

Sums = list[list[Value]]
"""One vector per column of a tile and row."""


@dataclass(frozen=True)
class Arithmetic(ABC):
    """Sums of products, and the registers that hold them."""

    lanes: int
    """Words of weights in a register."""
    max_rows: int
    """Rows of a tile of two blocks whose sums fit into the registers."""

    name: ClassVar[str]
    """Those of one name multiply with the same matrices."""
    outputs: ClassVar[int] = WORDS
    """Of a block."""
    group: ClassVar[int]
    """Inputs of a group."""
    chunk: ClassVar[int] = 0
    """Groups after which sums are added to others in float32; 0 if that is not needed."""
    activation: ClassVar[Any]
    """Type of an input."""
    activation_bytes: ClassVar[int]
    sum_type: ClassVar[Any]
    offset: ClassVar[int] = 0
    """By how much weights are too large as they are multiplied."""

    @property
    @abstractmethod
    def instructions(self) -> str:
        """What they are called, for a person."""

    @property
    def sums(self) -> int:
        """Sums in a register."""
        return self.lanes * self.outputs // WORDS

    @abstractmethod
    def add_group(self, code: Code, sums: Sums, weights: Sequence[Value], rows: Sequence[Array]) -> Sums:
        """Add the products of one group.

        Args:
            weights: (lanes,) words, for each column.
            rows: the inputs of the group, for each row.
        """


class Int8(Arithmetic):
    """Signed activations times unsigned weights, by VNNI. The sums are exact."""

    name, group, activation, activation_bytes, sum_type = "int8", 4, I8, 1, I32
    offset, instructions = INT8_OFFSET, "VNNI"

    def add_group(self, code: Code, sums: Sums, weights: Sequence[Value], rows: Sequence[Array]) -> Sums:
        return _by_instruction(code, f"llvm.x86.avx512.vpdpbusd.{32 * self.lanes}", I8, sums, weights, rows)


class Int8BySigns(Int8):
    """Signed activations times signed weights, by AVX2, whose product of bytes takes unsigned ones with signed ones.

    The signs of weights are moved to the activations. So two products fit into 16 bits, as those of unsigned weights
    would not.
    """

    offset, instructions = 0, "AVX2"

    def add_group(self, code: Code, sums: Sums, weights: Sequence[Value], rows: Sequence[Array]) -> Sums:
        bytes_, pairs = ir.VectorType(I8, 4 * self.lanes), ir.VectorType(I16, 2 * self.lanes)
        ones, no = code.constant(pairs, 1), code.constant(ir.IntType(1), 0)
        spreads = [inputs.load(I32, 0).filled(self.lanes).bits_as(bytes_) for inputs in rows]
        for column, word in enumerate(weights):
            own = _signed(word).bits_as(bytes_)
            size = code.call(f"llvm.abs.v{bytes_.count}i8", bytes_, own, no)
            for row, spread in enumerate(spreads):
                turned = code.call("llvm.x86.avx2.psign.b", bytes_, spread, own)
                products = code.call("llvm.x86.avx2.pmadd.ub.sw", pairs, size, turned)
                total = sums[column][row]
                sums[column][row] = total + code.call("llvm.x86.avx2.pmadd.wd", total.type, products, ones)
        return sums


class Int8ByDotProduct(Int8):
    """Signed activations times signed weights, by the dot product of NEON (SDOT)."""

    offset, instructions = 0, "NEON dot product"

    def add_group(self, code: Code, sums: Sums, weights: Sequence[Value], rows: Sequence[Array]) -> Sums:
        signed = [_signed(word) for word in weights]
        return _by_instruction(code, "llvm.aarch64.neon.sdot.v4i32.v16i8", I8, sums, signed, rows)


class Int8ByMixedDotProduct(Int8):
    """Signed activations times unsigned weights, by the dot product of NEON that takes both (USDOT)."""

    instructions = "NEON I8MM"

    def add_group(self, code: Code, sums: Sums, weights: Sequence[Value], rows: Sequence[Array]) -> Sums:
        return _by_instruction(code, "llvm.aarch64.neon.usdot.v4i32.v16i8", I8, sums, weights, rows)


class Bf16(Arithmetic):
    """Activations rounded to bfloat16, by AVX512-BF16."""

    name, group, activation, activation_bytes, sum_type = "bf16", 2, I16, 2, F32
    instructions = "AVX512-BF16"

    def add_group(self, code: Code, sums: Sums, weights: Sequence[Value], rows: Sequence[Array]) -> Sums:
        return _by_instruction(code, f"llvm.x86.avx512bf16.dpbf16ps.{32 * self.lanes}", BF16, sums, weights, rows)


class WideBf16(Arithmetic):
    """Activations in float32. The weights are widened, and products are exact until they are added."""

    name, group, activation, activation_bytes, sum_type = "wide_bf16", 2, F32, 4, F32
    instructions = "FMA"

    def add_group(self, code: Code, sums: Sums, weights: Sequence[Value], rows: Sequence[Array]) -> Sums:
        floats = ir.VectorType(F32, self.lanes)
        spreads = [[value.filled(self.lanes) for value in (inputs[0], inputs[1])] for inputs in rows]
        for column, pair in enumerate(weights):
            for number, factor in enumerate((pair << 16, pair & -(1 << 16))):
                for row, spread in enumerate(spreads):
                    sums[column][row] = fma(factor.bits_as(floats), spread[number], sums[column][row])
        return sums


class Float16(Arithmetic):
    """Activations and weights in float16, by AVX512-FP16 or NEON, and sums of 64 products in float16.

    Twice as fast as products of float32, and nearer to them than those of factors in bfloat16. Weights are scaled to
    at most 1/64, so that no sum exceeds the largest activation.
    """

    name, group, outputs, chunk, sum_type = "float16", 1, 2 * WORDS, FLOAT16_PRODUCTS, F16
    # Twice in 32 bits: processors read and spread 32 bits in one step, but not 16.
    activation, activation_bytes = I32, 4

    @property
    def instructions(self) -> str:
        return "AVX512-FP16" if self.lanes == WORDS else "NEON FP16"

    def add_group(self, code: Code, sums: Sums, weights: Sequence[Value], rows: Sequence[Array]) -> Sums:
        halves = ir.VectorType(F16, self.sums)
        factors = [pair.bits_as(halves) for pair in weights]
        for row, inputs in enumerate(rows):
            spread = inputs[0].filled(self.lanes).bits_as(halves)
            for column, factor in enumerate(factors):
                total = sums[column][row]
                sums[column][row] = code.call(f"llvm.fma.v{self.sums}f16", halves, factor, spread, total)
        return sums


def _signed(weights: Value) -> Value:
    """Take the offset from unsigned weights, by turning the highest bits."""
    highest = int.from_bytes([INT8_OFFSET] * 4, "little", signed=True)
    return weights ^ highest


def _by_instruction(
    code: Code, name: str, factor: Any, sums: Sums, weights: Sequence[Value], rows: Sequence[Array]
) -> Sums:
    """Multiply and add with an instruction whose operands are 32 bits of factors for each sum."""
    words = weights[0].type
    factors = ir.VectorType(factor, words.count * (4 if factor == I8 else 2))
    columns = [word.bits_as(factors) for word in weights]
    for row, inputs in enumerate(rows):
        spread = inputs.load(I32, 0).filled(words.count).bits_as(factors)
        for column, own in enumerate(columns):
            total = sums[column][row]
            sums[column][row] = code.call(name, total.type, total, own, spread)
    return sums
