# mypy: disable-error-code="import-not-found,import-untyped,no-untyped-def,untyped-decorator"
"""Triton kernels for decoding with a KV cache, with the signatures of their counterparts in `ops`."""

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from voxcli.voxcpm.kernels.triton_attention import MIN_DOT, load_halves, rotate_halves

_BLOCK = 64
"""Positions per iteration of a program."""

_MAX_PARTS = 32
_TARGET_PROGRAMS = 128
"""Programs that fill a large GPU: about one per multiprocessor."""

_MAX_PREFETCH = 64 * 1024
"""Bytes of keys and values that a program prefetches. Every supported GPU has that much shared memory."""


def rotate_and_append_kv(
    qkv: Tensor, rotary: Tensor | None, lengths: Tensor, keys: Tensor, values: Tensor, heads: int
) -> Tensor:
    qkv = qkv.contiguous()
    batch, _, qkv_heads, width = qkv.shape
    queries = qkv.new_empty(batch, heads, width)
    _rotate_and_append_kv[(batch * qkv_heads,)](
        queries,
        keys,
        values,
        qkv,
        rotary,
        0 if rotary is None else rotary.stride(0),
        lengths,
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


@triton.jit
def _rotate_and_append_kv(
    queries,
    keys,
    values,
    qkv,
    rotary,
    sin_offset,
    lengths,
    key_slot,
    key_head,
    key_position,
    value_slot,
    value_head,
    value_position,
    heads: tl.constexpr,
    kv_heads: tl.constexpr,
    half: tl.constexpr,
    block: tl.constexpr,
):
    """One program per head of q, k and v, and batch row."""
    qkv_heads: tl.constexpr = heads + 2 * kv_heads
    row = (tl.program_id(0) // qkv_heads).to(tl.int64)
    head = tl.program_id(0) % qkv_heads
    position = tl.load(lengths + row)
    d = tl.arange(0, block)
    mask = d < half
    first, second = load_halves(qkv + (row * qkv_heads + head) * 2 * half + d, half, mask)
    if rotary is not None:  # noqa: SIM102  (a compile-time condition)
        if head < heads + kv_heads:
            rotary_offsets = rotary + position * 2 * half + d
            cos = tl.load(rotary_offsets, mask=mask, other=0.0)
            sin = tl.load(rotary_offsets + sin_offset + half, mask=mask, other=0.0)
            first, second = rotate_halves(first, second, cos, sin)
    if head < heads:
        dst = queries + (row * heads + head) * 2 * half
    elif head < heads + kv_heads:
        dst = keys + row * key_slot + (head - heads) * key_head + position * key_position
    else:
        dst = values + row * value_slot + (head - heads - kv_heads) * value_head + position * value_position
    tl.store(dst + d, first, mask=mask)
    tl.store(dst + half + d, second, mask=mask)


def decode_attention(queries: Tensor, keys: Tensor, values: Tensor, lengths: Tensor) -> Tensor:
    queries = queries.contiguous()
    batch, heads, width = queries.shape
    kv_heads = keys.size(1)
    out = queries.new_empty(batch, heads * width)
    parts = min(_MAX_PARTS, triton.next_power_of_2(triton.cdiv(_TARGET_PROGRAMS, batch * kv_heads)))
    acc = out if parts == 1 else queries.new_empty(batch, heads, parts, width, dtype=torch.float32)
    lse = queries.new_empty(batch, heads, parts, dtype=torch.float32)
    _attend_part[(parts, kv_heads, batch)](
        acc,
        lse,
        queries,
        keys,
        values,
        lengths,
        *keys.stride()[:3],
        *values.stride()[:3],
        1 / math.sqrt(width),
        parts,
        heads // kv_heads,
        width,
        max(MIN_DOT, triton.next_power_of_2(heads // kv_heads)),
        max(MIN_DOT, triton.next_power_of_2(width)),
        _BLOCK,
        num_warps=4,
        num_stages=max(1, min(3, _MAX_PREFETCH // (2 * _BLOCK * width * keys.element_size()))),
        enable_fp_fusion=False,
    )
    if parts > 1:
        _combine_parts[(batch * heads,)](
            out,
            acc,
            lse,
            lengths,
            parts,
            heads,
            width,
            triton.next_power_of_2(width),
            _BLOCK,
            _MAX_PARTS,
            num_warps=4,
            enable_fp_fusion=False,
        )
    return out


# One version serves any number of streams: `parts` depends on it.
@triton.jit(do_not_specialize=["parts"])
def _attend_part(
    acc,
    lse,
    queries,
    keys,
    values,
    lengths,
    key_slot,
    key_head,
    key_position,
    value_slot,
    value_head,
    value_position,
    scale,
    parts,
    group: tl.constexpr,
    width: tl.constexpr,
    group_block: tl.constexpr,
    width_block: tl.constexpr,
    block: tl.constexpr,
):
    """One program per part of the cache, key head and batch row, for all queries of the key head (split-KV decoding).

    Stores the part's output and log-sum-exp, or the result if there is only one part.
    """
    row = tl.program_id(2).to(tl.int64)
    kv_head = tl.program_id(1)
    part = tl.program_id(0)
    kv_len = tl.load(lengths + row).to(tl.int32) + 1
    part_size = _part_size(kv_len, parts, block)
    first = part * part_size
    last = tl.minimum(first + part_size, kv_len)
    if first >= last:
        return

    head = tl.arange(0, group_block)
    d = tl.arange(0, width_block)
    q_mask = (head < group)[:, None] & (d < width)[None, :]
    row_head = (tl.program_id(2) * tl.num_programs(1) + kv_head) * group + head
    query = tl.load(queries + (row_head * width)[:, None] + d[None, :], mask=q_mask, other=0.0)
    keys += row * key_slot + kv_head * key_head
    values += row * value_slot + kv_head * value_head
    part_acc, part_lse = _attend(query, keys, values, key_position, value_position, scale, first, last, width, block)
    row_head = row_head * parts + part
    tl.store(lse + row_head, part_lse, mask=head < group)
    tl.store(acc + (row_head * width)[:, None] + d[None, :], part_acc.to(acc.dtype.element_ty), mask=q_mask)


@triton.jit
def _attend(
    query, keys, values, key_position, value_position, scale, first, last, width: tl.constexpr, block: tl.constexpr
):
    """Return the output of queries over positions `first` to `last`, and its log-sum-exp (online softmax)."""
    d = tl.arange(0, query.shape[1])
    running_max = tl.full([query.shape[0]], float("-inf"), tl.float32)
    denominator = tl.zeros([query.shape[0]], tl.float32)
    acc = tl.zeros(query.shape, tl.float32)
    for start in range(first, last, block):
        position = start + tl.arange(0, block)
        mask = (position < last)[:, None] & (d < width)[None, :]
        key = tl.load(keys + (position * key_position)[:, None] + d[None, :], mask=mask, other=0.0)
        value = tl.load(values + (position * value_position)[:, None] + d[None, :], mask=mask, other=0.0)
        scores = tl.dot(query, tl.trans(key), input_precision="ieee") * scale
        scores = tl.where((position < last)[None, :], scores, float("-inf"))
        new_max = tl.maximum(running_max, tl.max(scores, 1))
        rescale = tl.exp(running_max - new_max)
        p = tl.exp(scores - new_max[:, None])
        denominator = denominator * rescale + tl.sum(p, 1)
        acc = tl.dot(p.to(query.dtype), value, acc=acc * rescale[:, None], input_precision="ieee")
        running_max = new_max
    return acc / denominator[:, None], running_max + tl.log(denominator)


@triton.jit(do_not_specialize=["parts"])
def _combine_parts(
    out,
    acc,
    lse,
    lengths,
    parts,
    heads: tl.constexpr,
    width: tl.constexpr,
    width_block: tl.constexpr,
    block: tl.constexpr,
    max_parts: tl.constexpr,
):
    """Combine the parts of a query head by their log-sum-exps. One program per query head and batch row."""
    row_head = tl.program_id(0)
    kv_len = tl.load(lengths + row_head // heads).to(tl.int32) + 1
    part = tl.arange(0, max_parts)
    d = tl.arange(0, width_block)
    part_mask = part * _part_size(kv_len, parts, block) < kv_len  # false for those beyond `parts`
    part_lse = tl.load(lse + row_head * parts + part, mask=part_mask, other=float("-inf"))
    share = tl.exp(part_lse - tl.max(part_lse, 0))
    share = share / tl.sum(share, 0)
    acc_offsets = acc + ((row_head * parts + part) * width)[:, None] + d[None, :]
    pieces = tl.load(acc_offsets, mask=part_mask[:, None] & (d < width)[None, :], other=0.0)
    combined = tl.sum(pieces * share[:, None], 0)
    tl.store(out + row_head * width + d, combined.to(out.dtype.element_ty), mask=d < width)


@triton.jit
def _part_size(kv_len, parts, block: tl.constexpr):
    """Return the positions per part, in whole blocks."""
    return tl.cdiv(tl.cdiv(kv_len, parts), block) * block
