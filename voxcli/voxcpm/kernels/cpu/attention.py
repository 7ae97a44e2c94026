"""Attention of a few positions, one head at a time."""

import math
from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from voxcli.voxcpm.kernels.cpu.elementary import add_up, exp, fma, maximum
from voxcli.voxcpm.kernels.cpu.ir import F32, I64, POINTER, Array, Code, Value
from voxcli.voxcpm.kernels.cpu.rows import as_bf16, from_bf16

_MAX_LANES = 16


def write_rotate(module: ir.Module, width: int) -> str:
    """Write a function that applies rotary embeddings to a head of a position, in place.

    Its arguments: the head, and the cos and the sin of its position, whose first half is negated. All are (width,) in
    float32.

    Returns:
        Its name.
    """
    code = Code(module, "rotate", [POINTER] * 3)
    head, cos, sin = (code.array(address, F32) for address in code.arguments)
    half = width // 2
    with code.loop(0, half) as place:
        first, second = head[place], head[place + half]
        head[place] = first * cos[place] + second * sin[place]
        head[place + half] = second * cos[place + half] + first * sin[place + half]
    code.finish()
    return "rotate"


def write_copy(module: ir.Module, width: int, kept: Any) -> str:
    """Write a function that copies a head of a position, (width,) in float32, to a cache of a type.

    Returns:
        Its name.
    """
    code = Code(module, "copy_head", [POINTER, POINTER])
    source, target = code.array(code.arguments[0], F32), code.array(code.arguments[1], kept)
    with code.loop(0, width) as place:
        target[place] = source[place] if kept == F32 else as_bf16(source[place])
    code.finish()
    return "copy_head"


def write_attend(module: ir.Module, name: str, width: int, kept: Any) -> str:
    """Write a function that applies attention of one head.

    Its arguments:
        queries: (count, stride, width) in float32, `stride` numbers apart.
        stride, count.
        keys, values: (positions, width) of the type `kept`, `apart` numbers apart.
        apart.
        positions, more: the first query attends to `positions` positions, each further one to `more` more.
        out: (count, width) in float32, `out_stride` numbers apart.
        out_stride.
        scores: memory for a float32 per position.

    Returns:
        Its name.
    """
    types = [POINTER, I64, I64, POINTER, POINTER, I64, I64, I64, POINTER, I64, POINTER]
    code = Code(module, name, types)
    queries, stride, count, keys, values, apart, positions, more, out, out_stride, scores_at = code.arguments
    scores = code.array(scores_at, F32)
    with code.loop(0, count) as number:
        limit = positions + number * more
        query = _loaded(code.array(queries, F32).at(number * stride), width)
        largest = code.variable(code.constant(F32, -3e38))
        with code.loop(0, limit) as place:
            key = _loaded(code.array(keys, kept).at(place * apart), width)
            score = _dot(query, key) * (1 / math.sqrt(width))
            scores[place] = score
            largest.set(maximum(largest.get(), score))
        total = code.variable(code.constant(F32, 0))
        with code.loop(0, limit) as place:
            share = exp(scores[place] - largest.get())
            scores[place] = share
            total.add(share)
        mixed = [code.variable(code.constant(part.type, 0)) for part in query]
        with code.loop(0, limit) as place:
            share = scores[place].filled(_lanes(width))
            for sums, part in zip(mixed, _loaded(code.array(values, kept).at(place * apart), width), strict=True):
                sums.set(fma(share, part, sums.get()))
        result = code.array(out, F32).at(number * out_stride)
        factor = (code.constant(F32, 1) / total.get()).filled(_lanes(width))
        for index, sums in enumerate(mixed):
            result.store(sums.get() * factor, index * _lanes(width))
    code.finish()
    return name


def _lanes(width: int) -> int:
    return math.gcd(width, _MAX_LANES)


def _loaded(place: Array, width: int) -> list[Value]:
    """Return numbers as vectors of float32."""
    lanes = _lanes(width)
    vectors = [place.load(ir.VectorType(place.type, lanes), index) for index in range(0, width, lanes)]
    return vectors if place.type == F32 else [from_bf16(vector) for vector in vectors]


def _dot(left: Sequence[Value], right: Sequence[Value]) -> Value:
    total = left[0] * right[0]
    for a, b in zip(left[1:], right[1:], strict=True):
        total = fma(a, b, total)
    return add_up(total)
