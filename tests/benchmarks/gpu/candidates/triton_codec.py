# mypy: disable-error-code="import-not-found,import-untyped,no-untyped-def,untyped-decorator"
"""Candidate kernel for the codec: snake, depthwise convolution with its history, bias and snake as one.

Now these are eight kernels that read and write the sound 15 times; this one does so 7 times, and needs no cuDNN.
"""

import triton
import triton.language as tl
from torch import Tensor

TAPS = 7

_TIMES, _CHANNELS = 64, 32
"""Samples and channels per program. A program must cover more samples than the longest memory, 6 · 9."""


def snake_conv_snake(
    x: Tensor,
    history: Tensor,
    weight: Tensor,
    bias: Tensor,
    alphas: tuple[Tensor, Tensor],
    inverses: tuple[Tensor, Tensor],
    dilation: int,
) -> Tensor:
    """Apply snake, a causal depthwise convolution of 7 taps, and another snake, and update the history.

    Args:
        x: (B, T, C) in float32.
        history: (B, 6·dilation, C), the newest inputs of the convolution.
        weight: (C, 7).
        bias: (C,).
        alphas, inverses: of the first and of the second snake, (C,) each.
    """
    x = x.contiguous()
    batch, count, channels = x.shape
    memory = (TAPS - 1) * dilation
    assert memory < _TIMES
    y = x.new_empty(x.shape)
    grid = (triton.cdiv(count, _TIMES), triton.cdiv(channels, _CHANNELS), batch)
    _snake_conv_snake[grid](
        y,
        x,
        history,
        weight,
        bias,
        alphas[0],
        inverses[0],
        alphas[1],
        inverses[1],
        count,
        channels,
        dilation,
        TAPS,
        _TIMES,
        _CHANNELS,
        triton.next_power_of_2(memory),
        num_warps=8,
        enable_fp_fusion=False,
    )
    return y


@triton.jit
def _snake_conv_snake(
    y,
    x,
    history,
    weight,
    bias,
    alpha,
    inverse,
    alpha_after,
    inverse_after,
    count,
    channels,
    dilation: tl.constexpr,
    taps: tl.constexpr,
    times: tl.constexpr,
    block: tl.constexpr,
    memory_block: tl.constexpr,
):
    """One program per run of samples, block of channels, and batch row. The first run alone needs the history."""
    memory: tl.constexpr = (taps - 1) * dilation
    run = tl.program_id(0)
    row = tl.program_id(2).to(tl.int64)
    channel = tl.program_id(1) * block + tl.arange(0, block)
    used = channel < channels
    time = run * times + tl.arange(0, times)
    x += row * count * channels
    history += row * memory * channels
    first_alpha = tl.load(alpha + channel, mask=used, other=0.0)
    first_inverse = tl.load(inverse + channel, mask=used, other=0.0)
    total = tl.zeros((times, block), tl.float32) + tl.load(bias + channel, mask=used, other=0.0)[None, :]
    for tap in range(taps):
        at = time + tap * dilation - memory  # below zero, it is in the history
        new = (at >= 0)[:, None] & (time < count)[:, None] & used[None, :]
        sample = _snaked(
            tl.load(x + at[:, None] * channels + channel[None, :], mask=new, other=0.0), first_alpha, first_inverse
        )
        if run == 0:
            past = (at < 0)[:, None] & used[None, :]
            before = tl.load(history + (at + memory)[:, None] * channels + channel[None, :], mask=past, other=0.0)
            sample = tl.where((at < 0)[:, None], before, sample)
        total += sample * tl.load(weight + channel * taps + tap, mask=used, other=0.0)[None, :]
    if run == 0:
        place = tl.arange(0, memory_block)
        time_of = count - memory + place
        kept = (place < memory)[:, None] & used[None, :]
        shifted = history + (time_of + memory)[:, None] * channels + channel[None, :]
        older = tl.load(shifted, mask=kept & (time_of < 0)[:, None], other=0.0)
        newest = tl.load(
            x + time_of[:, None] * channels + channel[None, :], mask=kept & (time_of >= 0)[:, None], other=0.0
        )
        newest = tl.where((time_of < 0)[:, None], older, _snaked(newest, first_alpha, first_inverse))
        tl.debug_barrier()  # all of the old history has been read
        tl.store(history + place[:, None] * channels + channel[None, :], newest, mask=kept)
    last_alpha = tl.load(alpha_after + channel, mask=used, other=0.0)
    last_inverse = tl.load(inverse_after + channel, mask=used, other=0.0)
    places = y + (row * count + time)[:, None] * channels + channel[None, :]
    tl.store(places, _snaked(total, last_alpha, last_inverse), mask=(time < count)[:, None] & used[None, :])


@triton.jit
def _snaked(x, alpha, inverse):
    wave = tl.sin(x * alpha[None, :])
    return x + wave * wave * inverse[None, :]
