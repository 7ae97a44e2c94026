# mypy: disable-error-code="import-not-found,import-untyped,no-untyped-def,untyped-decorator"
"""Triton kernels for row-wise and elementwise operations, with the signatures of their counterparts in `ops`.

They compute in float32 and round where torch does, so that results differ only by the order of sums. Fused
multiply-add is disabled, since it rounds once less.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.errors import TritonError as TritonError

_PER_THREAD = 8
"""Elements: 16 bytes of a 16-bit dtype, the widest load instruction."""

_MAX_WARPS = 16

_BLOCK = 1024
"""Elements per program of elementwise kernels."""

_FP8_MAX = 448.0
"""Largest value of float8_e4m3fn."""


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    x = x.contiguous()
    width = x.size(-1)
    normed = torch.empty_like(x)
    block, warps = _row_launch(width)
    _rms_norm[(x.numel() // width,)](normed, x, weight, eps, width, block, num_warps=warps, enable_fp_fusion=False)
    return normed


@triton.jit
def _rms_norm(normed, x, weight, eps, width: tl.constexpr, block: tl.constexpr):
    columns = tl.arange(0, block)
    mask = columns < width
    offsets = tl.program_id(0).to(tl.int64) * width + columns
    row = tl.load(x + offsets, mask=mask, other=0.0).to(tl.float32)
    gain = tl.load(weight + columns, mask=mask, other=0.0).to(tl.float32)
    _store(normed + offsets, _normed(row, gain, eps, width), mask)


def add_rms_norm(x: Tensor, update: Tensor, scale: float, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    x, update = x.contiguous(), update.contiguous()
    width = x.size(-1)
    added, normed = torch.empty_like(x), torch.empty_like(x)
    block, warps = _row_launch(width)
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
    mask = columns < width
    offsets = tl.program_id(0).to(tl.int64) * width + columns
    row = tl.load(x + offsets, mask=mask, other=0.0).to(tl.float32)
    delta = tl.load(update + offsets, mask=mask, other=0.0).to(tl.float32)
    gain = tl.load(weight + columns, mask=mask, other=0.0).to(tl.float32)
    row = _rounded(tl.fma(delta, scale, row), x.dtype.element_ty)  # as torch does
    _store(added + offsets, row, mask)
    _store(normed + offsets, _normed(row, gain, eps, width), mask)


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
    mask = columns < width
    offsets = gate_up + row * 2 * width + columns
    gate = tl.load(offsets, mask=mask, other=0.0).to(tl.float32)
    up = tl.load(offsets + width, mask=mask, other=0.0).to(tl.float32)
    activated = _rounded(gate / (1 + tl.exp(-gate)), y.dtype.element_ty)
    _store(y + row * width + columns, activated * up, mask)


def advance_flow(x: Tensor, both: Tensor, spans: Tensor, at: Tensor, ends: Tensor, guidance: Tensor) -> None:
    both = both.contiguous()
    width = x[0].numel()
    block, warps = _row_launch(width)
    _advance_flow[(len(x),)](
        x, both, spans, at, ends, guidance, x.numel(), width, block, num_warps=warps, enable_fp_fusion=False
    )


@triton.jit
def _advance_flow(
    x,
    both,
    spans,
    at,
    ends,
    guidance,
    count,
    width: tl.constexpr,
    block: tl.constexpr,
):
    dtype: tl.constexpr = x.dtype.element_ty
    row = tl.program_id(0)
    position = tl.load(at + row)
    columns = tl.arange(0, block)
    mask = columns < width
    offsets = row * width + columns
    positive = tl.load(both + offsets, mask=mask, other=0.0).to(tl.float32)
    negative = tl.load(both + count + offsets, mask=mask, other=0.0).to(tl.float32)
    dot = _rounded(tl.sum(_rounded(positive * negative, dtype), 0), dtype)
    norm = _rounded(_rounded(tl.sum(_rounded(negative * negative, dtype), 0), dtype) + 1e-8, dtype)
    scaled = _rounded(negative * _rounded(tl.div_rn(dot, norm), dtype), dtype)
    guided = _rounded(tl.load(guidance + row) * _rounded(positive - scaled, dtype), dtype)
    step = _rounded(tl.load(spans + position).to(tl.float32) * _rounded(scaled + guided, dtype), dtype)
    start = tl.load(x + offsets, mask=mask, other=0.0).to(tl.float32)
    _store(x + offsets, start - step, mask)
    tl.debug_barrier()  # all warps have read the position
    tl.store(at + row, tl.minimum(position + 1, tl.load(ends + row)))


def draw_noise(noise: Tensor, seeds: Tensor, counts: Tensor, due: Tensor) -> None:
    width = noise[0].numel()
    block, warps = _row_launch(width)
    _draw_noise[(len(noise),)](noise, seeds, counts, due, width, block, num_warps=warps, enable_fp_fusion=False)


@triton.jit
def _draw_noise(noise, seeds, counts, due, width: tl.constexpr, block: tl.constexpr):
    row = tl.program_id(0)
    if tl.load(due + row) == 0:
        return
    calls = tl.load(counts + row)
    columns = tl.arange(0, block)
    zeros = tl.zeros([block], tl.int32)
    first, second, _, _ = tl.philox(tl.load(seeds + row), zeros + calls.to(tl.int32), zeros, columns, zeros)
    uniform = first.to(tl.float32) * 2.3283064365386963e-10 + 1.1641532182693481e-10  # 2⁻³² and 2⁻³³
    angle = second.to(tl.float32) * 1.4629180792671596e-09 + 7.314590396335798e-10  # the same, times 2π
    _store(noise + row * width + columns, tl.sqrt(-2 * tl.log(uniform)) * tl.sin(angle), columns < width)
    tl.debug_barrier()  # all warps have read the count
    tl.store(counts + row, calls + 1)


def snake(x: Tensor, alpha: Tensor, inverse: Tensor) -> Tensor:
    x = x.contiguous()
    y = torch.empty_like(x)
    _snake[(triton.cdiv(x.numel(), _BLOCK),)](
        y, x, alpha, inverse, x.numel(), x.size(-1), _BLOCK, num_warps=4, enable_fp_fusion=False
    )
    return y


@triton.jit
def _snake(y, x, alpha, inverse, count, channels, block: tl.constexpr):  # channels: one version serves all layers
    offsets = tl.program_id(0) * block + tl.arange(0, block)
    mask = offsets < count
    channel = offsets % channels
    value = tl.load(x + offsets, mask=mask, other=0.0)
    wave = tl.sin(value * tl.load(alpha + channel))
    tl.store(y + offsets, value + wave * wave * tl.load(inverse + channel), mask=mask)


def quantize_rows_fp8(x: Tensor) -> tuple[Tensor, Tensor]:
    x = x.contiguous()
    rows, width = x.shape
    quantized = torch.empty_like(x, dtype=torch.float8_e4m3fn)
    scales = x.new_empty(rows, 1, dtype=torch.float32)
    block, warps = _row_launch(width)
    _quantize_rows_fp8[(rows,)](
        quantized,
        scales,
        x,
        1 / _FP8_MAX,
        torch.finfo(torch.float32).tiny,
        width,
        block,
        num_warps=warps,
        enable_fp_fusion=False,
    )
    return quantized, scales


@triton.jit
def _quantize_rows_fp8(quantized, scales, x, share, least, width: tl.constexpr, block: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, block)
    mask = columns < width
    numbers = tl.load(x + row * width + columns, mask=mask, other=0.0).to(tl.float32)
    scale = tl.maximum(tl.max(tl.abs(numbers), 0) * share, least)
    tl.store(scales + row, scale)
    _store(quantized + row * width + columns, tl.div_rn(numbers, scale), mask)


@triton.jit
def _rounded(numbers, dtype: tl.constexpr):
    """Round to a dtype, and return float32."""
    return numbers.to(dtype).to(tl.float32)


@triton.jit
def _store(pointers, numbers, mask):
    tl.store(pointers, numbers.to(pointers.dtype.element_ty), mask=mask)


def _row_launch(width: int) -> tuple[int, int]:
    """Return the block size and the number of warps of a program that processes a whole row."""
    block = triton.next_power_of_2(width)
    return block, max(1, min(_MAX_WARPS, block // (32 * _PER_THREAD)))
