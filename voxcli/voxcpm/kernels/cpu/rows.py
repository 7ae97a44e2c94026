"""Operations on whole rows: the norm, adding to the residual stream, and rounding for the next product."""

import math

from llvmlite import ir

from voxcli.voxcpm.kernels.cpu.arithmetic import Arithmetic
from voxcli.voxcpm.kernels.cpu.elementary import absolute, as_two_halves, maximum, round_to_even, square_root, with_type
from voxcli.voxcpm.kernels.cpu.ir import F32, I8, I16, I32, POINTER, Array, Code, Value
from voxcli.voxcpm.kernels.factor_formats import INT8_MAX

_LANES = 64
"""Numbers that are rounded together, in a few registers."""
_SMALLEST = 1.2e-38
"""Scale of a row of zeros, whose reciprocal is finite."""


def write_round_row(module: ir.Module, arithmetic: Arithmetic, width: int) -> str:
    """Write a function that converts a row of float32 to what a product takes.

    Its arguments: the row; the converted row, with zeros up to a whole group; and, for int8, where its scale goes and
    what sums of products with it are too large by.

    Returns:
        Its name.
    """
    code = Code(module, f"round_row_{width}", [POINTER] * 4, exact=True)
    source_at, target_at, scale_at, sum_at = code.arguments
    source, target = code.array(source_at, F32), code.array(target_at, arithmetic.activation)
    if arithmetic.activation == I8:
        total = code.array(sum_at, I32)
        _round_to_int8(code, source, target, code.array(scale_at, F32), total, width, arithmetic.offset)
    else:
        conversions = {"float16": as_two_halves, "bf16": as_bf16}
        with code.loop(0, width) as column:
            value = source[column]
            if convert := conversions.get(arithmetic.name):
                value = convert(value)
            target.store(value, column)
    for rest in range(width, width + -width % arithmetic.group):
        target.store(code.constant(arithmetic.activation, 0), rest)
    code.finish()
    return code.function.name  # type: ignore[no-any-return]


def _round_to_int8(
    code: Code, source: Array, target: Array, scale: Array, total: Array, width: int, offset: int
) -> None:
    lanes = math.gcd(width, _LANES)
    floats, integers = ir.VectorType(F32, lanes), ir.VectorType(I32, lanes)
    tops = code.variable(code.constant(floats, _SMALLEST * INT8_MAX))
    with code.loop(0, width, lanes) as column:
        tops.set(maximum(tops.get(), absolute(source.load(floats, column))))
    # As integers, positive numbers are in the same order.
    highest = code.call(f"llvm.vector.reduce.smax.v{lanes}i32", I32, tops.get().bits_as(integers))
    largest = highest.bits_as(F32)
    scale[0] = largest * (1 / INT8_MAX)
    inverse = (code.constant(F32, INT8_MAX) / largest).filled(lanes)
    levels = code.variable(code.constant(integers, 0))
    with code.loop(0, width, lanes) as column:
        level = round_to_even(source.load(floats, column) * inverse).to(integers)
        target.store(level.to(ir.VectorType(I8, lanes)), column)
        levels.add(level)
    total[0] = code.call(f"llvm.vector.reduce.add.v{lanes}i32", I32, levels.get()) * offset


def write_norm_row(module: ir.Module, width: int, eps: float, scale: float) -> str:
    """Write a function that adds to a row of the residual stream, and normalizes it.

    Its arguments: the row, which is updated; what is added, times `scale`; the norm's weight; and the normalized row.
    All are (width,) in float32.

    Returns:
        Its name.
    """
    code = Code(module, f"norm_row_{width}", [POINTER] * 4)
    row, update, weight, normed = (code.array(address, F32) for address in code.arguments)
    total = code.variable(code.constant(F32, 0))
    with code.loop(0, width) as column:
        value = row[column] + update[column] * scale
        row[column] = value
        total.add(value * value)
    factor = code.constant(F32, 1) / square_root(total.get() * (1 / width) + eps)
    with code.loop(0, width) as column:
        normed[column] = row[column] * factor * weight[column]
    code.finish()
    return code.function.name  # type: ignore[no-any-return]


def as_bf16(value: Value) -> Value:
    """Round float32 to bfloat16, as 16 bits: to the nearest, ties to even."""
    bits = value.bits_as(with_type(value, I32))
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).to(with_type(value, I16))


def from_bf16(bits: Value) -> Value:
    """Convert 16 bits of bfloat16 to float32."""
    return (bits.to(with_type(bits, I32)) << 16).bits_as(with_type(bits, F32))
