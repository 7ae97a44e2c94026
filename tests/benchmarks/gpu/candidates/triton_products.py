# mypy: disable-error-code="import-not-found,import-untyped,no-untyped-def,untyped-decorator"
"""Candidate kernels for products of few rows with large weights, with what stands before and after them.

A block of a transformer would be five kernels instead of eight: the sum and its norm are taken by the product that
follows, SwiGLU by the product before it, and the parts of a sum by the next kernel that reads it. With programmatic
dependent launch (PDL), a kernel reads its first weights while the one before it ends.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

MAX_ROWS = 32

_MANY, _DEEP, _DEEP_AFTER_NORM = 32, 128, 64
"""Outputs and inputs per iteration of a program. What is prefetched has to fit into shared memory."""

_BLOCK = 256
"""Elements per program that adds up parts."""

_TARGET_PROGRAMS = 256
"""About two per multiprocessor."""

_MAX_PARTS = 8
_MIN_ITERATIONS = 2
"""Of a part."""


def product(x: Tensor, weight: Tensor, *, pdl: bool = False) -> Tensor:
    """Return x·Wᵀ for at most 32 rows: (rows, inputs) and (outputs, inputs) to (rows, outputs)."""
    parts = _parts_of(len(weight), x.size(1))
    if parts == 1:
        return _partial_product(x, weight, 1, x.dtype, pdl)[0]
    sums = _partial_product(x, weight, parts, torch.float32, pdl)
    y = torch.empty_like(sums[0], dtype=x.dtype)
    grid = (triton.cdiv(y.numel(), _BLOCK),)
    _sum_parts[grid](y, sums, y.numel(), parts, _BLOCK, pdl, num_warps=4, **_launch(pdl))
    return y


def partial_product(x: Tensor, weight: Tensor, *, pdl: bool = False) -> Tensor:
    """Return sums over parts of the inputs, (parts, rows, outputs) in float32, for `add_norm_product`."""
    return _partial_product(x, weight, _parts_of(len(weight), x.size(1)), torch.float32, pdl)


def _partial_product(x: Tensor, weight: Tensor, parts: int, dtype: torch.dtype, pdl: bool) -> Tensor:
    (rows, inputs), outputs = x.shape, len(weight)
    sums = x.new_empty(parts, rows, outputs, dtype=dtype)
    _product[(triton.cdiv(outputs, _MANY), parts)](
        sums,
        x,
        weight,
        rows,
        outputs,
        inputs,
        inputs // parts,
        _few(rows),
        _MANY,
        min(_DEEP, triton.next_power_of_2(inputs // parts)),
        pdl,
        num_warps=4,
        num_stages=4,
        **_launch(pdl),
    )
    return sums


def add_norm_product(
    x: Tensor,
    update: Tensor,
    scale: float,
    gain: Tensor,
    eps: float,
    weight: Tensor,
    *,
    gated: bool = False,
    pdl: bool = False,
) -> tuple[Tensor, Tensor]:
    """Return x + scale·update, and the product of its RMSNorm.

    Args:
        x: (rows, inputs), at most 32 rows.
        update: (parts, rows, inputs) in float32, of which the sum is meant.
        gain: (inputs,), the weight of the norm.
        weight: (outputs, inputs).
        gated: the first half of the outputs are gates of the second, and SwiGLU is applied.
    """
    (rows, inputs), outputs = x.shape, len(weight) // (2 if gated else 1)
    added, y = torch.empty_like(x), x.new_empty(rows, outputs)
    _add_norm_product[(triton.cdiv(outputs, _MANY),)](
        added,
        y,
        x,
        update,
        gain,
        weight,
        scale,
        eps,
        rows,
        outputs,
        inputs,
        len(update),
        _few(rows),
        _MANY,
        min(_DEEP_AFTER_NORM, triton.next_power_of_2(inputs)),
        gated,
        pdl,
        num_warps=4,
        num_stages=3 if len(update) <= 2 else 2,
        **_launch(pdl),
    )
    return added, y


def _parts_of(outputs: int, inputs: int) -> int:
    """Cut the inputs into parts until there are programs for the whole GPU."""
    parts = 1
    while (
        parts < _MAX_PARTS
        and triton.cdiv(outputs, _MANY) * parts < _TARGET_PROGRAMS
        and inputs % (2 * parts * _MIN_ITERATIONS * _DEEP) == 0
    ):
        parts *= 2
    return parts


def _few(rows: int) -> int:
    return max(16, triton.next_power_of_2(rows))


def _launch(pdl: bool) -> dict[str, bool]:
    return {"enable_fp_fusion": False} | ({"launch_pdl": True} if pdl else {})


@triton.jit
def _product(
    sums,
    x,
    weight,
    rows,
    outputs: tl.constexpr,
    inputs: tl.constexpr,
    share: tl.constexpr,
    few: tl.constexpr,
    many: tl.constexpr,
    deep: tl.constexpr,
    pdl: tl.constexpr,
):
    """One program per block of outputs and part of the inputs."""
    part = tl.program_id(1)
    row = tl.arange(0, few)
    column = tl.program_id(0) * many + tl.arange(0, many)
    at = tl.arange(0, deep)
    weight += column[:, None] * inputs + part * share
    x += row[:, None] * inputs + part * share
    mask = (column < outputs)[:, None] & (at < share)[None, :]
    first = tl.load(weight + at[None, :], mask=mask, other=0.0)  # no kernel writes weights
    if pdl:
        tl.extra.cuda.gdc_launch_dependents()
        tl.extra.cuda.gdc_wait()
    x_mask = (row < rows)[:, None]
    given = tl.load(x + at[None, :], mask=x_mask & (at < share)[None, :], other=0.0)
    total = tl.dot(first, tl.trans(given), input_precision="ieee")
    for start in range(deep, share, deep):
        here = start + at
        mask = (column < outputs)[:, None] & (here < share)[None, :]
        factors = tl.load(weight + here[None, :], mask=mask, other=0.0)
        given = tl.load(x + here[None, :], mask=x_mask & (here < share)[None, :], other=0.0)
        total = tl.dot(factors, tl.trans(given), total, input_precision="ieee")
    places = sums + (part * rows + row)[None, :] * outputs + column[:, None]
    tl.store(places, total.to(sums.dtype.element_ty), mask=(row < rows)[None, :] & (column < outputs)[:, None])


@triton.jit
def _sum_parts(y, sums, count, parts: tl.constexpr, block: tl.constexpr, pdl: tl.constexpr):
    if pdl:
        tl.extra.cuda.gdc_launch_dependents()
        tl.extra.cuda.gdc_wait()
    at = tl.program_id(0) * block + tl.arange(0, block)
    total = tl.zeros((block,), tl.float32)
    for part in tl.static_range(parts):
        total += tl.load(sums + part * count + at, mask=at < count, other=0.0)
    tl.store(y + at, total.to(y.dtype.element_ty), mask=at < count)


@triton.jit
def _add_norm_product(
    added,
    y,
    x,
    update,
    gain,
    weight,
    scale,
    eps,
    rows,
    outputs: tl.constexpr,
    inputs: tl.constexpr,
    parts: tl.constexpr,
    few: tl.constexpr,
    many: tl.constexpr,
    deep: tl.constexpr,
    gated: tl.constexpr,
    pdl: tl.constexpr,
):
    """One program per block of outputs. Each adds and normalizes all rows, which are few."""
    dtype: tl.constexpr = x.dtype.element_ty
    row = tl.arange(0, few)
    column = tl.program_id(0) * many + tl.arange(0, many)
    at = tl.arange(0, deep)
    if pdl:
        tl.extra.cuda.gdc_launch_dependents()
        tl.extra.cuda.gdc_wait()
    squares = tl.zeros((few,), tl.float32)
    for start in range(0, inputs, deep):
        here = start + at
        mask = (row < rows)[:, None] & (here < inputs)[None, :]
        wide = _added(x, update, scale, row, here, rows, inputs, parts, mask)
        squares += tl.sum(wide * wide, 1)
        if tl.program_id(0) == 0:
            tl.store(added + row[:, None] * inputs + here[None, :], wide.to(dtype), mask=mask)
    factor = tl.rsqrt(squares / inputs + eps)
    total = tl.zeros((many, few), tl.float32)
    gated_by = tl.zeros((many, few), tl.float32)
    for start in range(0, inputs, deep):
        here = start + at
        mask = (row < rows)[:, None] & (here < inputs)[None, :]
        wide = _added(x, update, scale, row, here, rows, inputs, parts, mask)
        gains = tl.load(gain + here, mask=here < inputs, other=0.0).to(tl.float32)
        normed = (wide * factor[:, None] * gains[None, :]).to(dtype)
        weights_mask = (column < outputs)[:, None] & (here < inputs)[None, :]
        offsets = weight + column[:, None] * inputs + here[None, :]
        if gated:
            gates = tl.load(offsets, mask=weights_mask, other=0.0)
            gated_by = tl.dot(gates, tl.trans(normed), gated_by, input_precision="ieee")
            offsets += outputs * inputs
        factors = tl.load(offsets, mask=weights_mask, other=0.0)
        total = tl.dot(factors, tl.trans(normed), total, input_precision="ieee")
    if gated:
        gate = gated_by.to(dtype).to(tl.float32)  # rounded where the plain operations do
        activated = (gate / (1 + tl.exp(-gate))).to(dtype).to(tl.float32)
        total = activated * total.to(dtype).to(tl.float32)
    places = y + row[None, :] * outputs + column[:, None]
    tl.store(places, total.to(dtype), mask=(row < rows)[None, :] & (column < outputs)[:, None])


@triton.jit
def _added(x, update, scale, row, column, rows, inputs: tl.constexpr, parts: tl.constexpr, mask):
    """Return some columns of x + scale·update in float32, rounded as the plain operations do."""
    dtype: tl.constexpr = x.dtype.element_ty
    offsets = row[:, None] * inputs + column[None, :]
    delta = tl.load(update + offsets, mask=mask, other=0.0)
    for part in tl.static_range(1, parts):
        delta += tl.load(update + part * rows * inputs + offsets, mask=mask, other=0.0)
    wide = tl.load(x + offsets, mask=mask, other=0.0).to(tl.float32)
    return tl.fma(delta.to(dtype).to(tl.float32), scale, wide).to(dtype).to(tl.float32)
