"""What happens between matrix products: each operation as one kernel of ours on a GPU, by torch's own elsewhere.

On a CPU a block costs some 250 µs before its matrices have any size, 350 µs with int8; half of it is inside oneDNN's
calls. Less than 3 % came of the norm by layer_norm or vector_norm, of SwiGLU within the products, and of fewer
operations in rounding to int8, so the plain ones stayed.
"""

import logging
from collections.abc import Callable, Mapping
from functools import cache, wraps
from subprocess import SubprocessError
from typing import Any, Concatenate, ParamSpec, TypeVar

import torch
from torch import Tensor
from torch.nn import functional

_log = logging.getLogger(__name__)

_FP8 = torch.float8_e4m3fn
_FP8_MOST = 448.0
"""The largest number there is in it."""

_OLDEST_GPU = (8, 0)
"""Compute capability from which on Triton supports all of this."""

P = ParamSpec("P")
R = TypeVar("R")


def _with_kernel(plain: Callable[Concatenate[Tensor, P], R]) -> Callable[Concatenate[Tensor, P], R]:
    """Let the kernel of the same name take over where the first argument is on a GPU that has it.

    The plain operation stays at hand as `__wrapped__`.
    """

    @wraps(plain)
    def chosen(x: Tensor, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if x.is_cuda and (kernels := _find_kernels(x.device)):
            fast: Callable[Concatenate[Tensor, P], R] = kernels[plain.__name__]
            with torch.cuda.device_of(x):  # Triton starts kernels on the current device, wherever the data is.
                return fast(x, *args, **kwargs)
        return plain(x, *args, **kwargs)

    return chosen


@cache
def _find_kernels(device: torch.device) -> Mapping[str, Callable[..., Any]] | None:
    """Return the kernels by name, if they work there. Triton is imported here and nowhere else, for it is slow to load.

    That is found out by trying one: Triton is not for every system and GPU, and compiles with what it finds installed.
    """
    if torch.cuda.get_device_capability(device) < _OLDEST_GPU:
        return None
    try:
        from voxcli.voxcpm.kernels import triton_attention, triton_rows
        from voxcli.voxcpm.kernels import triton_decode_attention as triton_past
    except ImportError:
        _log.info("There is no Triton here, with which this GPU would speak sooner.")
        return None
    try:
        with torch.cuda.device(device):
            triton_rows.rms_norm(torch.ones(1, 16, device=device), torch.ones(16, device=device), 1e-5)
    except (triton_rows.TritonError, OSError, RuntimeError, SubprocessError) as error:
        _log.warning("Triton, with which this GPU would speak sooner, does not work here: %s", error)
        return None
    return vars(triton_rows) | vars(triton_attention) | vars(triton_past)


@_with_kernel
def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Divide each row of (..., W) by its root mean square, computed in float32, and multiply by a weight, (W,)."""
    return functional.rms_norm(x, weight.shape, weight, eps)


@_with_kernel
def add_rms_norm(x: Tensor, update: Tensor, scale: float, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Return x + scale·update, and the `rms_norm` of that."""
    x = torch.add(x, update, alpha=scale)
    return x, functional.rms_norm(x, weight.shape, weight, eps)


@_with_kernel
def silu_and_mul(gate_up: Tensor) -> Tensor:
    """Map (..., 2F), of which the first half are gates for the second, to (..., F), by SwiGLU."""
    gate, up = gate_up.chunk(2, dim=-1)
    return functional.silu(gate).mul_(up)


@_with_kernel
def full_attention(qkv: Tensor, rotary: Tensor | None, heads: int) -> Tensor:
    """Let every position of a short sequence attend to every other.

    Args:
        qkv: (B, T, heads + 2·kv_heads, head_dim), not rotated.
        rotary: of these positions, (2, T, 1, head_dim) in float32.

    Returns:
        (B, T, heads·head_dim).
    """
    return unmasked(*split_heads(qkv, rotary, heads)).transpose(1, 2).flatten(2)


@_with_kernel
def rotate_and_append_kv(
    qkv: Tensor, rotary: Tensor | None, lengths: Tensor, keys: Tensor, values: Tensor, heads: int
) -> Tensor:
    """Rotate the next position of every stream to where the stream is, and keep its key and value there.

    Args:
        qkv: (B, 1, heads + 2·kv_heads, head_dim), not rotated.
        rotary: of all positions, (2, positions, 1, head_dim) in float32.
        lengths: (slots,), how many positions each stream has kept before: less than there is room for, which is not
            checked on a GPU.
        keys, values: (slots, kv_heads, L, head_dim), of which the first B slots are written to. Any strides but of the
            last dimension.

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
    """Let the newest position of every stream attend to all up to itself.

    Args:
        queries: (B, heads, head_dim).
        keys, values: as for `rotate_and_append_kv`. What is behind the newest position must be finite: kernels do not
            read it, torch's own attention multiplies it by zero.
        lengths: (slots,), the newest position of each stream.

    Returns:
        (B, heads·head_dim).
    """
    batch = len(queries)
    seen = torch.arange(keys.size(2), device=keys.device) <= lengths[:batch, None]
    grouped = queries.reshape(batch, keys.size(1), -1, queries.size(2))
    mixed = functional.scaled_dot_product_attention(
        grouped, keys[:batch], values[:batch], attn_mask=seen[:, None, None]
    )
    return mixed.reshape(batch, -1)


@_with_kernel
def euler_step(x: Tensor, both: Tensor, span: Tensor, guidance: Tensor) -> Tensor:
    """Follow the flow for one step, led away from where it would go without guides (CFG-Zero*, arXiv 2503.18886).

    Args:
        x: (B, P, D).
        both: dx/dt with the guides, and behind it without, (2B, P, D). The latter counts by how much of it is in the
            former.
        span: (B,), in the dtype of x.
        guidance: (B,), in float32.
    """
    positive, negative = both.chunk(2)
    flat_positive, flat_negative = positive.flatten(1), negative.flatten(1)
    dot = (flat_positive * flat_negative).sum(1)
    norm = (flat_negative**2).sum(1) + 1e-8
    scaled = negative * (dot / norm)[:, None, None]
    led = (guidance[:, None, None] * (positive - scaled)).to(x.dtype)
    return x - span[:, None, None] * (scaled + led)


@_with_kernel
def snake(x: Tensor, alpha: Tensor, inverse: Tensor) -> Tensor:
    """Return x + sin²(αx)·(1/α) of sound, (B, T, C) in float32, with one α per channel (arXiv 2006.08195)."""
    return torch.addcmul(x, (x * alpha).sin_().square_(), inverse)


@_with_kernel
def quantize_rows_fp8(x: Tensor) -> tuple[Tensor, Tensor]:
    """Round (N, W) to float8_e4m3fn, and return that with the scale of each row, (N, 1) in float32."""
    wide = x.float()
    scales = wide.abs().amax(1, keepdim=True).mul_(1 / _FP8_MOST).clamp_(min=torch.finfo(torch.float32).tiny)
    return (wide / scales).to(_FP8), scales


def split_heads(qkv: Tensor, rotary: Tensor | None, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return queries, keys and values, (B, heads, T, head_dim) each, of which the first two are rotated.

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
    """Turn heads, (B, T, heads, head_dim), by a table of T positions. Computed in float32."""
    cos, sin = table
    wide = x.float()
    halves_swapped = wide.roll(x.size(-1) // 2, -1)
    turned: Tensor = (wide * cos).add_(halves_swapped.mul_(sin))
    return turned.to(x.dtype)


def unmasked(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Attend to all of it. The queries that share a key head stand in line before it, so nothing is repeated.

    Args:
        queries: (B, heads, T, head_dim).
        keys, values: (B, kv_heads, L, head_dim).
    """
    batch, heads, count, width = queries.shape
    grouped = queries.reshape(batch, keys.size(1), -1, width)
    return functional.scaled_dot_product_attention(grouped, keys, values).view(batch, heads, count, width)
