"""Arithmetic of products: what one instruction multiplies and adds, for each kind of processor.

Weights are packed in blocks of 16 outputs. Within a block, 32 bits hold the weights of one output for a group of
consecutive inputs: four in int8, two in bfloat16.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from llvmlite import ir

from voxcli.voxcpm.kernels.cpu.elementary import fma
from voxcli.voxcpm.kernels.cpu.ir import BF16, F32, I8, I16, I32, Array, Code, Value

Sums = list[list[Value]]
"""One vector per column of a tile and row."""


@dataclass(frozen=True)
class Arithmetic(ABC):
    """Sums of products, and the registers that hold them."""

    lanes: int
    """Sums in a register."""
    max_rows: int
    """Rows of a tile of 32 outputs that fit into the registers."""

    name: ClassVar[str]
    group: ClassVar[int]
    """Inputs whose weights share 32 bits."""
    activation: ClassVar[Any]
    """Type of an input."""
    activation_bytes: ClassVar[int]
    sum_type: ClassVar[Any]

    @abstractmethod
    def add_group(self, code: Code, sums: Sums, weights: Sequence[Value], rows: Sequence[Array]) -> Sums:
        """Add the products of one group.

        Args:
            weights: (lanes,) of 32 bits, for each column.
            rows: the inputs of the group, for each row.
        """


class Int8(Arithmetic):
    """Signed activations times unsigned weights, by VNNI. The sums are exact."""

    name, group, activation, activation_bytes, sum_type = "int8", 4, I8, 1, I32

    def add_group(self, code: Code, sums: Sums, weights: Sequence[Value], rows: Sequence[Array]) -> Sums:
        return _by_instruction(code, f"llvm.x86.avx512.vpdpbusd.{32 * self.lanes}", I8, sums, weights, rows)


class Bf16(Arithmetic):
    """Activations rounded to bfloat16, by AVX512-BF16."""

    name, group, activation, activation_bytes, sum_type = "bf16", 2, I16, 2, F32

    def add_group(self, code: Code, sums: Sums, weights: Sequence[Value], rows: Sequence[Array]) -> Sums:
        return _by_instruction(code, f"llvm.x86.avx512bf16.dpbf16ps.{32 * self.lanes}", BF16, sums, weights, rows)


class WideBf16(Arithmetic):
    """Activations in float32. The weights are widened, and products are exact until they are added."""

    name, group, activation, activation_bytes, sum_type = "wide_bf16", 2, F32, 4, F32

    def add_group(self, code: Code, sums: Sums, weights: Sequence[Value], rows: Sequence[Array]) -> Sums:
        floats = ir.VectorType(F32, self.lanes)
        for number, factors in enumerate(([pair << 16 for pair in weights], [pair & -(1 << 16) for pair in weights])):
            for row, inputs in enumerate(rows):
                spread = inputs[number].filled(self.lanes)
                for column, factor in enumerate(factors):
                    sums[column][row] = fma(factor.bits_as(floats), spread, sums[column][row])
        return sums


def _by_instruction(
    code: Code, name: str, factor: Any, sums: Sums, weights: Sequence[Value], rows: Sequence[Array]
) -> Sums:
    """Multiply and add with an instruction whose operands are 32 bits of factors for each sum."""
    words = weights[0].type
    factors = ir.VectorType(factor, words.count * (4 if factor == I8 else 2))
    columns = [pair.bits_as(factors) for pair in weights]
    for row, inputs in enumerate(rows):
        spread = inputs.load(I32, 0).filled(words.count).bits_as(factors)
        for column, own in enumerate(columns):
            total = sums[column][row]
            sums[column][row] = code.call(name, total.type, total, own, spread)
    return sums
