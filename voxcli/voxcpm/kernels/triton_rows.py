# mypy: disable-error-code="import-not-found,import-untyped,no-untyped-def,untyped-decorator"
"""Kernels for the operations of `fused` on rows of numbers, each under the name that it has there.

They compute in float32 and round where torch does, so that both give the same numbers but for the order of a sum. A
multiplication and an addition are not contracted into one, which rounds once less.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.errors import TritonError as TritonError

_PER_THREAD = 8
"""Numbers: 16 bytes of a 16-bit dtype, the most that one instruction loads."""

_MOST_WARPS = 16

_BLOCK = 1024
"""Numbers to a program where any will do."""

_FP8_MOST = 448.0
"""The largest number in float8_e4m3fn."""


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    x = x.contiguous()
    width = x.size(-1)
    normed = torch.empty_like(x)
    block, warps = _to_one_program(width)
    _rms_norm[(x.numel() // width,)](normed, x, weight, eps, width, block, num_warps=warps, enable_fp_fusion=False)
    return normed


@triton.jit
def _rms_norm(normed, x, weight, eps, width: tl.constexpr, block: tl.constexpr):
    columns = tl.arange(0, block)
    inside = columns < width
    places = tl.program_id(0).to(tl.int64) * width + columns
    row = tl.load(x + places, mask=inside, other=0.0).to(tl.float32)
    gain = tl.load(weight + columns, mask=inside, other=0.0).to(tl.float32)
    _store(normed + places, _normed(row, gain, eps, width), inside)


def add_rms_norm(x: Tensor, update: Tensor, scale: float, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    x, update = x.contiguous(), update.contiguous()
    width = x.size(-1)
    added, normed = torch.empty_like(x), torch.empty_like(x)
    block, warps = _to_one_program(width)
    _add_rms_norm[(x.numel() // width,)](
        added, normed, x, update, weight, scale, eps, width, block, num_warps=warps, enable_fp_fusion=False
    )
    return added, normed


@triton.jit
def _add_rms_norm(
    added,
    normed,
    x,
    update,
    weight,
    scale,
    eps,
    width: tl.constexpr,
    block: tl.constexpr,
):
    columns = tl.arange(0, block)
    inside = columns < width
    places = tl.program_id(0).to(tl.int64) * width + columns
    row = tl.load(x + places, mask=inside, other=0.0).to(tl.float32)
    change = tl.load(update + places, mask=inside, other=0.0).to(tl.float32)
    gain = tl.load(weight + columns, mask=inside, other=0.0).to(tl.float32)
    row = _rounded(tl.fma(change, scale, row), x.dtype.element_ty)  # as torch does
    _store(added + places, row, inside)
    _store(normed + places, _normed(row, gain, eps, width), inside)


@triton.jit
def _normed(row, gain, eps, width: tl.constexpr):
    mean = tl.sum(row * row, 0) / width
    return row * tl.rsqrt(mean + eps) * gain


def silu_and_mul(gate_up: Tensor) -> Tensor:
    gate_up = gate_up.contiguous()
    width = gate_up.size(-1) // 2
    y = gate_up.new_empty(*gate_up.shape[:-1], width)
    grid = (y.numel() // width, triton.cdiv(width, _BLOCK))
    _silu_and_mul[grid](y, gate_up, width, _BLOCK, num_warps=4, enable_fp_fusion=False)
    return y


@triton.jit
def _silu_and_mul(y, gate_up, width: tl.constexpr, block: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    columns = tl.program_id(1) * block + tl.arange(0, block)
    inside = columns < width
    places = gate_up + row * 2 * width + columns
    gate = tl.load(places, mask=inside, other=0.0).to(tl.float32)
    up = tl.load(places + width, mask=inside, other=0.0).to(tl.float32)
    opened = _rounded(gate / (1 + tl.exp(-gate)), y.dtype.element_ty)
    _store(y + row * width + columns, opened * up, inside)


def euler_step(x: Tensor, both: Tensor, span: Tensor, guidance: Tensor) -> Tensor:
    x, both = x.contiguous(), both.contiguous()
    moved = torch.empty_like(x)
    width = x[0].numel()
    block, warps = _to_one_program(width)
    _euler_step[(len(x),)](
        moved, x, both, span, guidance, x.numel(), width, block, num_warps=warps, enable_fp_fusion=False
    )
    return moved


@triton.jit
def _euler_step(
    moved,
    x,
    both,
    span,
    guidance,
    numbers,
    width: tl.constexpr,
    block: tl.constexpr,
):
    dtype: tl.constexpr = x.dtype.element_ty
    row = tl.program_id(0)
    columns = tl.arange(0, block)
    inside = columns < width
    places = row * width + columns
    positive = tl.load(both + places, mask=inside, other=0.0).to(tl.float32)
    negative = tl.load(both + numbers + places, mask=inside, other=0.0).to(tl.float32)
    dot = _rounded(tl.sum(_rounded(positive * negative, dtype), 0), dtype)
    norm = _rounded(_rounded(tl.sum(_rounded(negative * negative, dtype), 0), dtype) + 1e-8, dtype)
    scaled = _rounded(negative * _rounded(tl.div_rn(dot, norm), dtype), dtype)
    led = _rounded(tl.load(guidance + row) * _rounded(positive - scaled, dtype), dtype)
    step = _rounded(tl.load(span + row).to(tl.float32) * _rounded(scaled + led, dtype), dtype)
    start = tl.load(x + places, mask=inside, other=0.0).to(tl.float32)
    _store(moved + places, start - step, inside)


def snake(x: Tensor, alpha: Tensor, inverse: Tensor) -> Tensor:
    x = x.contiguous()
    y = torch.empty_like(x)
    _snake[(triton.cdiv(x.numel(), _BLOCK),)](
        y, x, alpha, inverse, x.numel(), x.size(-1), _BLOCK, num_warps=4, enable_fp_fusion=False
    )
    return y


@triton.jit
def _snake(y, x, alpha, inverse, numbers, channels: tl.constexpr, block: tl.constexpr):
    places = tl.program_id(0) * block + tl.arange(0, block)
    inside = places < numbers
    channel = places % channels
    heard = tl.load(x + places, mask=inside, other=0.0)
    wave = tl.sin(heard * tl.load(alpha + channel))
    tl.store(y + places, heard + wave * wave * tl.load(inverse + channel), mask=inside)


def quantize_rows_fp8(x: Tensor) -> tuple[Tensor, Tensor]:
    x = x.contiguous()
    rows, width = x.shape
    levels = torch.empty_like(x, dtype=torch.float8_e4m3fn)
    scales = x.new_empty(rows, 1, dtype=torch.float32)
    block, warps = _to_one_program(width)
    _quantize_rows_fp8[(rows,)](
        levels,
        scales,
        x,
        1 / _FP8_MOST,
        torch.finfo(torch.float32).tiny,
        width,
        block,
        num_warps=warps,
        enable_fp_fusion=False,
    )
    return levels, scales


@triton.jit
def _quantize_rows_fp8(levels, scales, x, share, least, width: tl.constexpr, block: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, block)
    inside = columns < width
    numbers = tl.load(x + row * width + columns, mask=inside, other=0.0).to(tl.float32)
    scale = tl.maximum(tl.max(tl.abs(numbers), 0) * share, least)
    tl.store(scales + row, scale)
    _store(levels + row * width + columns, tl.div_rn(numbers, scale), inside)


@triton.jit
def _rounded(numbers, dtype: tl.constexpr):
    """Lose what a dtype does not hold."""
    return numbers.to(dtype).to(tl.float32)


@triton.jit
def _store(places, numbers, inside):
    tl.store(places, numbers.to(places.dtype.element_ty), mask=inside)


def _to_one_program(width: int) -> tuple[int, int]:
    """Return the block and the warps of a program that sees a whole row."""
    block = triton.next_power_of_2(width)
    return block, max(1, min(_MOST_WARPS, block // (32 * _PER_THREAD)))
