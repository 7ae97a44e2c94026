# mypy: disable-error-code="import-not-found,import-untyped,no-untyped-def,untyped-decorator"
"""Kernels for the attention of `fused` to all that a stream remembers, each under the name that it has there."""

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from voxcli.voxcpm.kernels.triton_attention import LEAST, halves, turned

_BLOCK = 64
"""Positions that a program looks at together."""

_MOST_PARTS = 32
_BUSY = 128
"""Programs that keep a large GPU busy: about one for each of its processors."""

_MOST_IN_FLIGHT = 64 * 1024
"""Bytes of keys and values that one program may wait for. Every GPU has that much shared memory."""


def rotate_and_append_kv(
    qkv: Tensor, rotary: Tensor | None, lengths: Tensor, keys: Tensor, values: Tensor, heads: int
) -> Tensor:
    qkv = qkv.contiguous()
    batch, _, lines, width = qkv.shape
    queries = qkv.new_empty(batch, heads, width)
    _rotate_and_append_kv[(batch * lines,)](
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
        (lines - heads) // 2,
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
    to_sin,
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
    """One program for each head of each row, those of keys and values among them."""
    lines: tl.constexpr = heads + 2 * kv_heads
    row = (tl.program_id(0) // lines).to(tl.int64)
    head = tl.program_id(0) % lines
    at = tl.load(lengths + row)
    lane = tl.arange(0, block)
    inside = lane < half
    first, second = halves(qkv + (row * lines + head) * 2 * half + lane, half, inside)
    if rotary is not None:  # noqa: SIM102  (this is decided when it is compiled)
        if head < heads + kv_heads:
            turn = rotary + at * 2 * half + lane
            cos = tl.load(turn, mask=inside, other=0.0)
            sin = tl.load(turn + to_sin + half, mask=inside, other=0.0)
            first, second = turned(first, second, cos, sin)
    if head < heads:
        there = queries + (row * heads + head) * 2 * half
    elif head < heads + kv_heads:
        there = keys + row * key_slot + (head - heads) * key_head + at * key_position
    else:
        there = values + row * value_slot + (head - heads - kv_heads) * value_head + at * value_position
    tl.store(there + lane, first, mask=inside)
    tl.store(there + half + lane, second, mask=inside)


def decode_attention(queries: Tensor, keys: Tensor, values: Tensor, lengths: Tensor) -> Tensor:
    queries = queries.contiguous()
    batch, heads, width = queries.shape
    kv_heads = keys.size(1)
    mixed = queries.new_empty(batch, heads * width)
    parts = min(_MOST_PARTS, triton.next_power_of_2(triton.cdiv(_BUSY, batch * kv_heads)))
    heard, weights = mixed, mixed  # the latter is not written to
    if parts > 1:
        heard = queries.new_empty(batch, heads, parts, width, dtype=torch.float32)
        weights = queries.new_empty(batch, heads, parts, dtype=torch.float32)
    _attend_part[(parts, kv_heads, batch)](
        heard,
        weights,
        queries,
        keys,
        values,
        lengths,
        *keys.stride()[:3],
        *values.stride()[:3],
        1 / math.sqrt(width),
        heads // kv_heads,
        width,
        max(LEAST, triton.next_power_of_2(heads // kv_heads)),
        max(LEAST, triton.next_power_of_2(width)),
        _BLOCK,
        parts,
        num_warps=4,
        num_stages=max(1, min(3, _MOST_IN_FLIGHT // (2 * _BLOCK * width * keys.element_size()))),
        enable_fp_fusion=False,
    )
    if parts > 1:
        _join_parts[(batch * heads,)](
            mixed,
            heard,
            weights,
            lengths,
            heads,
            width,
            triton.next_power_of_2(width),
            _BLOCK,
            parts,
            num_warps=4,
            enable_fp_fusion=False,
        )
    return mixed


@triton.jit
def _attend_part(
    heard,
    weights,
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
    group: tl.constexpr,
    width: tl.constexpr,
    group_block: tl.constexpr,
    width_block: tl.constexpr,
    block: tl.constexpr,
    parts: tl.constexpr,
):
    """One program for each part of the past, each key head and each row: all queries of that head, block by block.

    It leaves what they hear, and the logarithm of what it weighs beside other parts; or the result, if it is the only.
    """
    row = tl.program_id(2).to(tl.int64)
    kv_head = tl.program_id(1)
    part = tl.program_id(0)
    seen = tl.load(lengths + row).to(tl.int32) + 1
    size = _part_size(seen, parts, block)
    first = part * size
    last = tl.minimum(first + size, seen)
    if first >= last:
        return

    head = tl.arange(0, group_block)
    lane = tl.arange(0, width_block)
    asking = (head < group)[:, None] & (lane < width)[None, :]
    line = (tl.program_id(2) * tl.num_programs(1) + kv_head) * group + head
    query = tl.load(queries + (line * width)[:, None] + lane[None, :], mask=asking, other=0.0)
    keys += row * key_slot + kv_head * key_head
    values += row * value_slot + kv_head * value_head
    mixed, weight = _attend(query, keys, values, key_position, value_position, scale, first, last, width, block)
    if parts > 1:
        line = line * parts + part
        tl.store(weights + line, weight, mask=head < group)
    tl.store(heard + (line * width)[:, None] + lane[None, :], mixed.to(heard.dtype.element_ty), mask=asking)


@triton.jit
def _attend(
    query, keys, values, key_position, value_position, scale, first, last, width: tl.constexpr, block: tl.constexpr
):
    """Return what queries hear from positions `first` to `last`, and the logarithm of what that weighs."""
    lane = tl.arange(0, query.shape[1])
    highest = tl.full([query.shape[0]], float("-inf"), tl.float32)
    total = tl.zeros([query.shape[0]], tl.float32)
    mixed = tl.zeros(query.shape, tl.float32)
    for start in range(first, last, block):
        position = start + tl.arange(0, block)
        inside = (position < last)[:, None] & (lane < width)[None, :]
        key = tl.load(keys + (position * key_position)[:, None] + lane[None, :], mask=inside, other=0.0)
        value = tl.load(values + (position * value_position)[:, None] + lane[None, :], mask=inside, other=0.0)
        scores = tl.dot(query, tl.trans(key), input_precision="ieee") * scale
        scores = tl.where((position < last)[None, :], scores, float("-inf"))
        higher = tl.maximum(highest, tl.max(scores, 1))
        shrunk = tl.exp(highest - higher)
        share = tl.exp(scores - higher[:, None])
        total = total * shrunk + tl.sum(share, 1)
        mixed = tl.dot(share.to(query.dtype), value, acc=mixed * shrunk[:, None], input_precision="ieee")
        highest = higher
    return mixed / total[:, None], highest + tl.log(total)


@triton.jit
def _join_parts(
    mixed,
    heard,
    weights,
    lengths,
    heads: tl.constexpr,
    width: tl.constexpr,
    width_block: tl.constexpr,
    block: tl.constexpr,
    parts: tl.constexpr,
):
    """One program for each head of each row."""
    line = tl.program_id(0)
    seen = tl.load(lengths + line // heads).to(tl.int32) + 1
    part = tl.arange(0, parts)
    lane = tl.arange(0, width_block)
    there = part * _part_size(seen, parts, block) < seen
    weight = tl.load(weights + line * parts + part, mask=there, other=float("-inf"))
    share = tl.exp(weight - tl.max(weight, 0))
    share = share / tl.sum(share, 0)
    places = heard + ((line * parts + part) * width)[:, None] + lane[None, :]
    pieces = tl.load(places, mask=there[:, None] & (lane < width)[None, :], other=0.0)
    joined = tl.sum(pieces * share[:, None], 0)
    tl.store(mixed + line * width + lane, joined.to(mixed.dtype.element_ty), mask=lane < width)


@triton.jit
def _part_size(seen, parts: tl.constexpr, block: tl.constexpr):
    """Share out so many positions among the parts, in whole blocks."""
    return tl.cdiv(tl.cdiv(seen, parts), block) * block
