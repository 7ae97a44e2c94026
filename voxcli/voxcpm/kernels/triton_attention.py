# mypy: disable-error-code="import-not-found,import-untyped,no-untyped-def,untyped-decorator"
"""Kernel for the attention of `fused` over few positions, all to all, under the name that it has there.

Heads are turned as two halves, for each half of the result is a sum of both.
"""

import math

import triton
import triton.language as tl
from torch import Tensor

LEAST = 16
"""Rows and columns of the smallest matrices that a GPU multiplies."""


def full_attention(qkv: Tensor, rotary: Tensor | None, heads: int) -> Tensor:
    qkv = qkv.contiguous()
    batch, count, lines, width = qkv.shape
    mixed = qkv.new_empty(batch, count, heads * width)
    half_block = max(LEAST, triton.next_power_of_2(width // 2))
    _full_attention[(batch * heads,)](
        mixed,
        qkv,
        rotary,
        0 if rotary is None else rotary.stride(0),
        1 / math.sqrt(width),
        count,
        heads,
        (lines - heads) // 2,
        width // 2,
        max(LEAST, triton.next_power_of_2(count)),
        half_block,
        num_warps=half_block // LEAST,
        enable_fp_fusion=False,
    )
    return mixed


@triton.jit
def _full_attention(
    mixed,
    qkv,
    rotary,
    to_sin,
    scale,
    count,
    heads: tl.constexpr,
    kv_heads: tl.constexpr,
    half: tl.constexpr,
    block: tl.constexpr,
    half_block: tl.constexpr,
):
    """One program for each head of each row."""
    dtype: tl.constexpr = qkv.dtype.element_ty
    row = (tl.program_id(0) // heads).to(tl.int64)
    head = tl.program_id(0) % heads
    kv_head = heads + head // (heads // kv_heads)
    position = tl.arange(0, block)
    lane = tl.arange(0, half_block)
    inside = (position < count)[:, None] & (lane < half)[None, :]
    lines: tl.constexpr = heads + 2 * kv_heads
    qkv += row * count * lines * 2 * half
    line = (position * lines * 2 * half)[:, None] + lane[None, :]

    query, query_end = halves(qkv + head * 2 * half + line, half, inside)
    key, key_end = halves(qkv + kv_head * 2 * half + line, half, inside)
    value, value_end = halves(qkv + (kv_head + kv_heads) * 2 * half + line, half, inside)
    if rotary is not None:
        turn = (position * 2 * half)[:, None] + lane[None, :]
        cos = tl.load(rotary + turn, mask=inside, other=0.0)
        sin = tl.load(rotary + to_sin + half + turn, mask=inside, other=0.0)
        query, query_end = turned(query, query_end, cos, sin)
        key, key_end = turned(key, key_end, cos, sin)

    scores = tl.dot(query, tl.trans(key), input_precision="ieee")
    scores = tl.dot(query_end, tl.trans(key_end), acc=scores, input_precision="ieee") * scale
    scores = tl.where((position < count)[None, :], scores, float("-inf"))
    weights = tl.exp(scores - tl.max(scores, 1)[:, None])
    total = tl.sum(weights, 1)[:, None]
    weights = weights.to(dtype)
    heard = tl.dot(weights, value, input_precision="ieee") / total
    heard_end = tl.dot(weights, value_end, input_precision="ieee") / total

    mixed += (row * count * heads + head) * 2 * half
    place = (position * heads * 2 * half)[:, None] + lane[None, :]
    tl.store(mixed + place, heard.to(dtype), mask=inside)
    tl.store(mixed + half + place, heard_end.to(dtype), mask=inside)


@triton.jit
def halves(start, half: tl.constexpr, inside):
    return tl.load(start, mask=inside, other=0.0), tl.load(start + half, mask=inside, other=0.0)


@triton.jit
def turned(first, second, cos, sin):
    """Turn the halves of heads as `rotated` does, by sines without the sign that its table has."""
    wide, wide_end = first.to(tl.float32), second.to(tl.float32)
    return (wide * cos - wide_end * sin).to(first.dtype), (wide_end * cos + wide * sin).to(first.dtype)
