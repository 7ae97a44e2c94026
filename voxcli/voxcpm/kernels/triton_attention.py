# mypy: disable-error-code="import-not-found,import-untyped,no-untyped-def,untyped-decorator"
"""Triton kernel for full attention over short sequences, with the signature of its counterpart in `ops`.

Heads are processed as two load_halves, since rotary embeddings combine the load_halves.
"""

import math

import triton
import triton.language as tl
from torch import Tensor

MIN_DOT = 16
"""Smallest matrix size of `tl.dot`."""


def full_attention(qkv: Tensor, rotary: Tensor | None, heads: int) -> Tensor:
    qkv = qkv.contiguous()
    batch, count, qkv_heads, width = qkv.shape
    out = qkv.new_empty(batch, count, heads * width)
    half_block = max(MIN_DOT, triton.next_power_of_2(width // 2))
    _full_attention[(batch * heads,)](
        out,
        qkv,
        rotary,
        0 if rotary is None else rotary.stride(0),
        1 / math.sqrt(width),
        count,
        heads,
        (qkv_heads - heads) // 2,
        width // 2,
        max(MIN_DOT, triton.next_power_of_2(count)),
        half_block,
        num_warps=half_block // MIN_DOT,
        enable_fp_fusion=False,
    )
    return out


@triton.jit
def _full_attention(
    out,
    qkv,
    rotary,
    sin_offset,
    scale,
    count,
    heads: tl.constexpr,
    kv_heads: tl.constexpr,
    half: tl.constexpr,
    block: tl.constexpr,
    half_block: tl.constexpr,
):
    """One program per query head and batch row."""
    dtype: tl.constexpr = qkv.dtype.element_ty
    row = (tl.program_id(0) // heads).to(tl.int64)
    head = tl.program_id(0) % heads
    kv_head = heads + head // (heads // kv_heads)
    position = tl.arange(0, block)
    d = tl.arange(0, half_block)
    mask = (position < count)[:, None] & (d < half)[None, :]
    qkv_heads: tl.constexpr = heads + 2 * kv_heads
    qkv += row * count * qkv_heads * 2 * half
    offsets = (position * qkv_heads * 2 * half)[:, None] + d[None, :]

    query, query_end = load_halves(qkv + head * 2 * half + offsets, half, mask)
    key, key_end = load_halves(qkv + kv_head * 2 * half + offsets, half, mask)
    value, value_end = load_halves(qkv + (kv_head + kv_heads) * 2 * half + offsets, half, mask)
    if rotary is not None:
        rotary_offsets = (position * 2 * half)[:, None] + d[None, :]
        cos = tl.load(rotary + rotary_offsets, mask=mask, other=0.0)
        sin = tl.load(rotary + sin_offset + half + rotary_offsets, mask=mask, other=0.0)
        query, query_end = rotate_halves(query, query_end, cos, sin)
        key, key_end = rotate_halves(key, key_end, cos, sin)

    scores = tl.dot(query, tl.trans(key), input_precision="ieee")
    scores = tl.dot(query_end, tl.trans(key_end), acc=scores, input_precision="ieee") * scale
    scores = tl.where((position < count)[None, :], scores, float("-inf"))
    p = tl.exp(scores - tl.max(scores, 1)[:, None])
    denominator = tl.sum(p, 1)[:, None]
    p = p.to(dtype)
    acc = tl.dot(p, value, input_precision="ieee") / denominator
    acc_end = tl.dot(p, value_end, input_precision="ieee") / denominator

    out += (row * count * heads + head) * 2 * half
    out_offsets = (position * heads * 2 * half)[:, None] + d[None, :]
    tl.store(out + out_offsets, acc.to(dtype), mask=mask)
    tl.store(out + half + out_offsets, acc_end.to(dtype), mask=mask)


@triton.jit
def load_halves(start, half: tl.constexpr, mask):
    return tl.load(start, mask=mask, other=0.0), tl.load(start + half, mask=mask, other=0.0)


@triton.jit
def rotate_halves(first, second, cos, sin):
    """Rotate heads, as `ops.rotated` does. The sines are those of its table, without their sign."""
    x1, x2 = first.to(tl.float32), second.to(tl.float32)
    return (x1 * cos - x2 * sin).to(first.dtype), (x2 * cos + x1 * sin).to(first.dtype)
