# mypy: disable-error-code="import-not-found,import-untyped,no-untyped-def,untyped-decorator"
"""Candidate kernel for prefill: rotary embeddings of all new positions, and their keys and values into the cache."""

import triton
import triton.language as tl
from torch import Tensor

from voxcli.voxcpm.kernels.triton_attention import load_halves, rotate_halves


def rotate_and_store_kv(
    qkv: Tensor, rotary: Tensor | None, keys: Tensor, values: Tensor, heads: int, start: int
) -> Tensor:
    """Rotate queries and keys, and write keys and values to the cache.

    Args:
        qkv: (B, T, heads + 2·kv_heads, head_dim).
        rotary: the table of these positions, (2, T, 1, head_dim) in float32.
        keys, values: (B, kv_heads, L, head_dim). Only the last dimension needs to be contiguous.
        start: position of the first.

    Returns:
        The rotated queries, (B, heads, T, head_dim).
    """
    qkv = qkv.contiguous()
    batch, count, qkv_heads, width = qkv.shape
    queries = qkv.new_empty(batch, heads, count, width)
    _rotate_and_store_kv[(count, qkv_heads, batch)](
        queries,
        keys,
        values,
        qkv,
        rotary,
        0 if rotary is None else rotary.stride(0),
        start,
        *keys.stride()[:3],
        *values.stride()[:3],
        heads,
        (qkv_heads - heads) // 2,
        width // 2,
        triton.next_power_of_2(width // 2),
        num_warps=1,
        enable_fp_fusion=False,
    )
    return queries


@triton.jit(do_not_specialize=["start"])
def _rotate_and_store_kv(
    queries,
    keys,
    values,
    qkv,
    rotary,
    sin_offset,
    start,
    key_row,
    key_head,
    key_position,
    value_row,
    value_head,
    value_position,
    heads: tl.constexpr,
    kv_heads: tl.constexpr,
    half: tl.constexpr,
    block: tl.constexpr,
):
    """One program per position, head of q, k and v, and batch row."""
    qkv_heads: tl.constexpr = heads + 2 * kv_heads
    position = tl.program_id(0)
    head = tl.program_id(1)
    row = tl.program_id(2).to(tl.int64)
    count = tl.num_programs(0)
    d = tl.arange(0, block)
    mask = d < half
    source = qkv + ((row * count + position) * qkv_heads + head) * 2 * half
    first, second = load_halves(source + d, half, mask)
    if rotary is not None:  # noqa: SIM102  (a compile-time condition)
        if head < heads + kv_heads:
            offsets = rotary + position * 2 * half + d
            cos = tl.load(offsets, mask=mask, other=0.0)
            sin = tl.load(offsets + sin_offset + half, mask=mask, other=0.0)
            first, second = rotate_halves(first, second, cos, sin)
    if head < heads:
        target = queries + ((row * heads + head) * count + position) * 2 * half
    elif head < heads + kv_heads:
        target = keys + row * key_row + (head - heads) * key_head + (start + position) * key_position
    else:
        target = values + row * value_row + (head - heads - kv_heads) * value_head + (start + position) * value_position
    tl.store(target + d, first, mask=mask)
    tl.store(target + half + d, second, mask=mask)
