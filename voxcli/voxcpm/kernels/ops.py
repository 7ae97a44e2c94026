"""Fused operations between matrix products: Triton kernels on CUDA GPUs, plain torch operations elsewhere.

On a CPU, a transformer block has a fixed cost of about 250 µs, or 350 µs with int8, half of it inside oneDNN's calls.
The following gained less than 3 % there and were left out: the norm by layer_norm or vector_norm, SwiGLU fused into the
products, and fewer operations for rounding to int8.
"""

import logging
import math
from collections.abc import Callable, Mapping
from functools import cache, wraps
from subprocess import SubprocessError
from typing import Any, Concatenate, ParamSpec, TypeVar

import torch
from torch import Tensor
from torch.nn import functional

_log = logging.getLogger(__name__)

_FP8 = torch.float8_e4m3fn
_FP8_MAX = 448.0
"""Its largest value."""

_OLDEST_GPU = (8, 0)
"""Lowest compute capability for which Triton supports all of these kernels."""

P = ParamSpec("P")
R = TypeVar("R")


def _with_kernel(plain: Callable[Concatenate[Tensor, P], R]) -> Callable[Concatenate[Tensor, P], R]:
    """Dispatch to the kernel of the same name if the first argument is on a supported GPU.

    The plain operation remains available as `__wrapped__`.
    """

    @wraps(plain)
    def chosen(x: Tensor, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if x.is_cuda and (kernels := _find_kernels(x.device)):
            fast: Callable[Concatenate[Tensor, P], R] = kernels[plain.__name__]
            with torch.cuda.device_of(x):  # Triton launches on the current device
                return fast(x, *args, **kwargs)
        return plain(x, *args, **kwargs)

    return chosen


def has_kernels(device: torch.device) -> bool:
    """Whether the operations are kernels on this device."""
    return device.type == "cuda" and _find_kernels(device) is not None


@cache
def _find_kernels(device: torch.device) -> Mapping[str, Callable[..., Any]] | None:
    """Return the kernels by name, or None if they do not work on the device.

    One of them is run to find out: Triton does not support every system, and it needs a C compiler. It is imported
    lazily, because importing it is slow.
    """
    if torch.cuda.get_device_capability(device) < _OLDEST_GPU:
        return None
    try:
        from voxcli.voxcpm.kernels import triton_attention, triton_decode_attention, triton_rows
    except ImportError:
        _log.info("Triton is not installed; this GPU would be faster with it.")
        return None
    try:
        with torch.cuda.device(device):
            triton_rows.rms_norm(torch.ones(1, 16, device=device), torch.ones(16, device=device), 1e-5)
    except (triton_rows.TritonError, AssertionError, OSError, RuntimeError, SubprocessError) as error:
        # The assertion is Triton's own, where the system does not list libcuda.
        _log.warning("Triton, which would make this GPU faster, does not work: %s", error)
        return None
    return vars(triton_rows) | vars(triton_attention) | vars(triton_decode_attention)


@_with_kernel
def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Apply RMSNorm to each row of (..., W), computed in float32, with a weight of shape (W,)."""
    return functional.rms_norm(x, weight.shape, weight, eps)


@_with_kernel
def add_rms_norm(x: Tensor, update: Tensor, scale: float, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Return x + scale·update, and its `rms_norm`."""
    x = torch.add(x, update, alpha=scale)
    return x, functional.rms_norm(x, weight.shape, weight, eps)


@_with_kernel
def silu_and_mul(gate_up: Tensor) -> Tensor:
    """Apply SwiGLU to (..., 2F), gates first, and return (..., F)."""
    gate, up = gate_up.chunk(2, dim=-1)
    return functional.silu(gate).mul_(up)


@_with_kernel
def full_attention(qkv: Tensor, rotary: Tensor | None, heads: int) -> Tensor:
    """Apply attention without a mask to short sequences.

    Args:
        qkv: (B, T, heads + 2·kv_heads, head_dim), not rotated.
        rotary: table of these positions, (2, T, 1, head_dim) in float32.

    Returns:
        (B, T, heads·head_dim).
    """
    return unmasked(*split_heads(qkv, rotary, heads)).transpose(1, 2).flatten(2)


@_with_kernel
def rotate_and_append_kv(
    qkv: Tensor, rotary: Tensor | None, lengths: Tensor, keys: Tensor, values: Tensor, heads: int
) -> Tensor:
    """Apply rotary embeddings to the next position of each stream, and append its key and value to the cache.

    Args:
        qkv: (B, 1, heads + 2·kv_heads, head_dim), not rotated.
        rotary: table of all positions, (2, positions, 1, head_dim) in float32.
        lengths: (slots,), positions that each stream has filled: less than L, which is not checked on a GPU.
        keys, values: (slots, kv_heads, L, head_dim), of which the first B slots are written to. Only the last dimension
            needs to be contiguous.

    Returns:
        The rotated queries, (B, heads, head_dim).
    """
    at = lengths[: len(qkv)]
    table = None if rotary is None else rotary[:, at].unsqueeze(2)
    queries, newest, values_there = split_heads(qkv, table, heads)
    slots = torch.arange(len(qkv), device=qkv.device)
    keys[slots, :, at] = newest.squeeze(2)
    values[slots, :, at] = values_there.squeeze(2)
    return queries.squeeze(2)


@_with_kernel
def decode_attention(queries: Tensor, keys: Tensor, values: Tensor, lengths: Tensor) -> Tensor:
    """Apply attention of the newest position of each stream to all positions up to it.

    Args:
        queries: (B, heads, head_dim).
        keys, values: as for `rotate_and_append_kv`. Values behind the newest position must be finite: the kernels do
            not read them, but torch's attention multiplies them by zero.
        lengths: (slots,), the newest position of each stream.

    Returns:
        (B, heads·head_dim).
    """
    batch = len(queries)
    mask = torch.arange(keys.size(2), device=keys.device) <= lengths[:batch, None]
    grouped = queries.reshape(batch, keys.size(1), -1, queries.size(2))
    out = functional.scaled_dot_product_attention(grouped, keys[:batch], values[:batch], attn_mask=mask[:, None, None])
    return out.reshape(batch, -1)


def euler_step(x: Tensor, both: Tensor, span: Tensor, guidance: Tensor) -> Tensor:
    """Do one Euler step of the flow with classifier-free guidance (CFG-Zero*, arXiv 2503.18886).

    Args:
        x: (B, P, D).
        both: (2B, P, D): dx/dt with conditioning, followed by dx/dt without it. The latter is scaled by its projection
            onto the former.
        span: (B,), in the dtype of x.
        guidance: (B,), in float32.
    """
    positive, negative = both.chunk(2)
    flat_positive, flat_negative = positive.flatten(1), negative.flatten(1)
    dot = (flat_positive * flat_negative).sum(1)
    norm = (flat_negative**2).sum(1) + 1e-8
    scaled = negative * (dot / norm)[:, None, None]
    guided = (guidance[:, None, None] * (positive - scaled)).to(x.dtype)
    return x - span[:, None, None] * (scaled + guided)


@_with_kernel
def advance_flow(x: Tensor, both: Tensor, spans: Tensor, at: Tensor, ends: Tensor, guidance: Tensor) -> None:
    """Do one `euler_step` of each row in place, and move on to its next step.

    Args:
        x, both, guidance: as for `euler_step`; x is contiguous.
        spans: (N,), step lengths of all solvers, in the dtype of x.
        at: (B,), the index of the span of each row. It grows by one, up to that in `ends`.
    """
    x.copy_(euler_step(x, both, spans.index_select(0, at), guidance))
    torch.minimum(at + 1, ends, out=at)


@_with_kernel
def draw_noise(noise: Tensor, seeds: Tensor, counts: Tensor, due: Tensor) -> None:
    """Draw normal noise for some rows, each with a seed of its own: the same numbers as `torch.randn` draws on a GPU.

    There, torch has a Philox generator for each number of a tensor (Salmon et al., "Parallel random numbers: as easy as
    1, 2, 3"), which counts the calls, and cuRAND turns its output into normal numbers (Box and Muller).

    Args:
        noise: (B, D, P), contiguous.
        seeds: (B,), integers.
        counts: (B,), how often noise has been drawn with the seed. They grow by one in the rows that are due.
        due: (B,), the rows to draw noise for.
    """
    numbers = torch.arange(noise[0].numel(), device=noise.device).expand(len(noise), -1)
    first, second, *_ = philox((counts[:, None] + 0 * numbers, 0 * numbers, numbers, 0 * numbers), seeds[:, None])
    uniform, angle = first.float() * 2**-32 + 2**-33, (second.float() * 2**-32 + 2**-33) * math.tau
    normal = (uniform.log() * -2).sqrt() * angle.sin()
    torch.where(due[:, None, None], normal.view(noise.shape).to(noise.dtype), noise, out=noise)
    counts.add_(due)


_PHILOX_FACTORS, _PHILOX_KEYS = (0xD2511F53, 0xCD9E8D57), (0x9E3779B9, 0xBB67AE85)
_MASK = 0xFFFFFFFF


def philox(counter: tuple[Tensor, Tensor, Tensor, Tensor], seed: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the four 32-bit words of Philox-4x32-10 for a counter of four words and a seed of 64 bits."""
    a, b, c, d = counter
    low_key, high_key = seed & _MASK, (seed >> 32) & _MASK
    for _ in range(10):
        (high_a, low_a), (high_c, low_c) = _multiplied(a, _PHILOX_FACTORS[0]), _multiplied(c, _PHILOX_FACTORS[1])
        a, b, c, d = high_c ^ b ^ low_key, low_c, high_a ^ d ^ high_key, low_a
        low_key, high_key = (low_key + _PHILOX_KEYS[0]) & _MASK, (high_key + _PHILOX_KEYS[1]) & _MASK
    return a, b, c, d


def _multiplied(word: Tensor, factor: int) -> tuple[Tensor, Tensor]:
    """Return the upper and the lower 32 bits of a product of two words, which does not fit into a signed integer."""
    low = (word & 0xFFFF) * factor
    high = (word >> 16) * factor + (low >> 16)
    return high >> 16, (high << 16 | low & 0xFFFF) & _MASK


@_with_kernel
def snake(x: Tensor, alpha: Tensor, inverse: Tensor) -> Tensor:
    """Apply snake, x + sin²(αx)·(1/α), to (B, T, C) in float32, with one α per channel (arXiv 2006.08195)."""
    return torch.addcmul(x, (x * alpha).sin_().square_(), inverse)


@_with_kernel
def quantize_rows_fp8(x: Tensor) -> tuple[Tensor, Tensor]:
    """Quantize (N, W) to float8_e4m3fn, and return it with the scale of each row, (N, 1) in float32."""
    wide = x.float()
    scales = wide.abs().amax(1, keepdim=True).mul_(1 / _FP8_MAX).clamp_(min=torch.finfo(torch.float32).tiny)
    return (wide / scales).to(_FP8), scales


def split_heads(qkv: Tensor, rotary: Tensor | None, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """Split heads into queries, keys and values, (B, heads, T, head_dim) each, and rotate queries and keys.

    Args:
        qkv: (B, T, heads + 2·kv_heads, head_dim).
        rotary: the table for `rotated`.
    """
    turned = (qkv.size(2) + heads) // 2
    queries_keys, values = qkv[:, :, :turned], qkv[:, :, turned:].transpose(1, 2)
    if rotary is not None:
        queries_keys = rotated(queries_keys, rotary)
    queries, keys = queries_keys.transpose(1, 2).split((heads, turned - heads), dim=1)
    return queries, keys, values


def rotated(x: Tensor, table: Tensor) -> Tensor:
    """Apply rotary embeddings to (B, T, heads, head_dim), by a table of T positions. Computed in float32."""
    cos, sin = table
    wide = x.float()
    halves_swapped = wide.roll(x.size(-1) // 2, -1)
    turned: Tensor = (wide * cos).add_(halves_swapped.mul_(sin))
    return turned.to(x.dtype)


def unmasked(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Apply attention without a mask. Queries that share a key head are grouped, so that keys are not repeated.

    Args:
        queries: (B, heads, T, head_dim).
        keys, values: (B, kv_heads, L, head_dim).
    """
    batch, heads, count, width = queries.shape
    grouped = queries.reshape(batch, keys.size(1), -1, width)
    return functional.scaled_dot_product_attention(grouped, keys, values).view(batch, heads, count, width)
