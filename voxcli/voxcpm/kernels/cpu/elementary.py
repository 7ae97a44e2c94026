"""Elementary functions, for single numbers and for vectors."""

import math

from llvmlite import ir

from voxcli.voxcpm.kernels.cpu.ir import F16, F32, I16, I32, Array, Value

_LOG2_E = math.log2(math.e)
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4
"""Their sum is the logarithm of 2. The first has so few bits that its products with small integers are exact."""
_EXP = [1 / math.factorial(power) for power in range(8)]
_EXP_LIMIT = 87.0
"""Beyond, e^x has no normal number in float32."""

_F16_MAX = 65504.0

_PI_HIGH, _PI_LOW = 3.140625, 9.67653589793e-4
"""Their sum is π. Products of the first with integers up to 32768 are exact."""
_SINE = (0.9999999946860045, -0.16666656684006798, 0.008333025138962865, -1.9807418726954537e-4, 2.601903066655713e-6)
"""Coefficients of sin(x)/x by powers of x², for |x| ≤ π/2, with the least largest relative error: 5e-9."""


def round_to_even(x: Value) -> Value:
    """Round to the nearest integer, in floating point."""
    return x.code.call(f"llvm.roundeven.{_suffix(x)}", x.type, x)


def exp(x: Value) -> Value:
    """e^x, to 2 units in the last place, with x limited to ±87: 2^n times the series for the rest."""
    code = x.code
    limited = _clamped(x, -_EXP_LIMIT, _EXP_LIMIT)
    power = round_to_even(limited * _LOG2_E)
    rest = limited - power * _LN2_HIGH - power * _LN2_LOW
    total = code.constant(x.type, _EXP[-1])
    for factor in reversed(_EXP[:-1]):
        total = fma(total, rest, code.constant(x.type, factor))
    integer = with_type(x, I32)
    return total * ((power.to(integer) + 127) << 23).bits_as(x.type)


def snake(x: Value, alpha: Value, inverse: Value) -> Value:
    """x + sin²(αx)·(1/α). The sine is within 2e-7, and as exact as its argument for |αx| up to some thousands.

    sin² has the period π, so that the sign of the sine does not matter.
    """
    code = x.code
    angle = x * alpha
    periods = round_to_even(angle * (1 / math.pi))
    rest = fma(periods, code.constant(x.type, -_PI_HIGH), angle)
    rest = fma(periods, code.constant(x.type, -_PI_LOW), rest)
    square = rest * rest
    total = code.constant(x.type, _SINE[-1])
    for factor in reversed(_SINE[:-1]):
        total = fma(total, square, code.constant(x.type, factor))
    sine = total * rest
    return fma(sine * sine, inverse, x)


def tanh(x: Value) -> Value:
    """1 - 2 / (e^2x + 1), within 2e-7."""
    code = x.code
    return code.constant(x.type, 1) - code.constant(x.type, 2) / (exp(x * 2.0) + 1.0)


def silu(x: Value) -> Value:
    """x / (1 + e^-x)."""
    return x / (exp(x * -1.0) + 1.0)


def fma(a: Value, b: Value, c: Value) -> Value:
    """a·b + c, rounded once."""
    return a.code.call(f"llvm.fma.{_suffix(a)}", a.type, a, b, c)


def maximum(a: Value, b: Value) -> Value:
    return (a < b).choose(b, a)


def absolute(x: Value) -> Value:
    return x.code.call(f"llvm.fabs.{_suffix(x)}", x.type, x)


def square_root(x: Value) -> Value:
    return x.code.call(f"llvm.sqrt.{_suffix(x)}", x.type, x)


def as_two_halves(x: Value) -> Value:
    """Round float32 to float16, limited to its largest number, twice in 32 bits."""
    builder = x.code.builder
    half = builder.fptrunc(_clamped(x, -_F16_MAX, _F16_MAX).raw, with_type(x, F16))
    bits = builder.zext(builder.bitcast(half, with_type(x, I16)), with_type(x, I32))
    return x.code.value(bits) * 0x10001


def add_halves(x: Value, sums: Array) -> None:
    """Add a vector of float16 to as many sums in float32, which are aligned to 64 bytes."""
    vector = ir.VectorType(F32, x.type.count)
    wide = x.code.value(x.code.builder.fpext(x.raw, vector))
    sums.store(sums.load(vector, 0, align=64) + wide, 0, align=64)


def add_up(vector: Value) -> Value:
    """Add up a vector: half to half, again and again."""
    code, builder, width = vector.code, vector.code.builder, vector.type.count
    while width % 2 == 0:
        width //= 2
        low, high = (
            builder.shuffle_vector(vector.raw, vector.raw, ir.Constant(ir.VectorType(I32, width), range_))
            for range_ in (list(range(width)), list(range(width, 2 * width)))
        )
        vector = code.value(low) + code.value(high)
    total = code.value(builder.extract_element(vector.raw, I32(0)))
    for lane in range(1, width):
        total = total + code.value(builder.extract_element(vector.raw, I32(lane)))
    return total


def _clamped(x: Value, low: float, high: float) -> Value:
    code = x.code
    return maximum(x, code.constant(x.type, low)).minimum(code.constant(x.type, high))


def with_type(x: Value, element: ir.Type) -> ir.Type:
    """Return a type of numbers for as many as there are in a value: one, or a vector."""
    return ir.VectorType(element, x.type.count) if isinstance(x.type, ir.VectorType) else element


def _suffix(x: Value) -> str:
    return f"v{x.type.count}f32" if isinstance(x.type, ir.VectorType) else "f32"
