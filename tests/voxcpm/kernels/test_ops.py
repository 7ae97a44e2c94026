"""What the operations between matrix products are, as torch itself does them. Kernels have a file of their own."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from voxcli.voxcpm.kernels import ops
from voxcli.voxcpm.kernels.ops import decode_attention, euler_step, quantize_rows_fp8, rotate_and_append_kv, split_heads
from voxcli.voxcpm.network.config import RopeConfig
from voxcli.voxcpm.network.transformer import rotary_table

HEADS, KV_HEADS, WIDTH, POSITIONS = 6, 2, 16, 12
ROPE = RopeConfig(theta=10000.0, factors=tuple(1 + 0.3 * pair for pair in range(8)), scale=1.19)
TABLE = rotary_table(ROPE, WIDTH, POSITIONS)


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("table", [TABLE, None], ids=["rotary", "no rotary"])
def test_position_after_position_streams_hear_what_causal_attention_gives_them(table: Tensor | None) -> None:
    qkv = drawn(2, POSITIONS, HEADS + 2 * KV_HEADS, WIDTH)
    queries, keys, values = split_heads(qkv, table, HEADS)
    expected = functional.scaled_dot_product_attention(queries, keys, values, is_causal=True, enable_gqa=True)
    kept = torch.zeros(2, 3, KV_HEADS, POSITIONS, WIDTH)
    # The second stream is three positions ahead.
    kept[0, 1, :, :3], kept[1, 1, :, :3] = keys[1, :, :3], values[1, :, :3]
    for at in range(POSITIONS - 3):
        lengths = torch.tensor([at, at + 3, 99])
        newest = torch.stack((qkv[0, at], qkv[1, at + 3])).unsqueeze(1)
        heard = decode_attention(rotate_and_append_kv(newest, table, lengths, *kept, HEADS), *kept, lengths)
        torch.testing.assert_close(heard.view(2, HEADS, WIDTH)[0], expected[0, :, at], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(heard.view(2, HEADS, WIDTH)[1], expected[1, :, at + 3], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(kept[0, 0, :, : POSITIONS - 3], keys[0, :, : POSITIONS - 3])
    assert not kept[:, 2].any()


def test_each_row_of_an_euler_step_has_its_own_span_and_guidance() -> None:
    x, both = drawn(3, 4, 16), drawn(6, 4, 16)
    span, guidance = torch.tensor([0.0, 0.1, 0.2]), torch.tensor([1.0, 2.0, 3.0])
    together = euler_step(x, both, span, guidance)
    assert torch.equal(together[0], x[0])
    for row in range(3):
        alone = euler_step(x[row, None], both[row::3], span[row, None], guidance[row, None])
        torch.testing.assert_close(together[row, None], alone)


def test_numbers_in_8_bits_are_off_by_a_sixteenth_at_most() -> None:
    x = drawn(20, 50) * torch.logspace(-30, 30, 20)[:, None]
    levels, scales = quantize_rows_fp8(x)
    assert levels.float().abs().amax(1).eq(448).all()
    # Below 2⁻⁶ the levels are as far from each other as there.
    nearest = torch.maximum(x.abs() / 16, scales * 2**-10)
    assert ((levels.float() * scales - x).abs() <= nearest * 1.001).all()


def test_a_row_of_zeros_stays_one_in_8_bits() -> None:
    levels, scales = quantize_rows_fp8(torch.zeros(1, 16, dtype=torch.bfloat16))
    assert not levels.float().any()
    assert scales.isfinite().all()


def test_on_a_cpu_nobody_asks_for_kernels() -> None:
    asked = ops._find_kernels.cache_info()
    rotate_and_append_kv(drawn(1, 1, 4, 16), None, torch.zeros(1, dtype=torch.int64), *torch.zeros(2, 1, 1, 4, 16), 2)
    quantize_rows_fp8(drawn(3, 16))
    assert ops._find_kernels.cache_info() == asked
