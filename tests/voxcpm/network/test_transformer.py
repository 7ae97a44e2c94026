"""The laws of one stack: with a cache it is causal and cuts change nothing, without one everybody sees everybody."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from voxcli.voxcpm.kernels.ops import rotated, unmasked
from voxcli.voxcpm.network.config import RopeConfig, StackConfig
from voxcli.voxcpm.network.kv_cache import KVCache
from voxcli.voxcpm.network.transformer import Stack, rotary_table

ROPE = RopeConfig(theta=10000.0, factors=tuple(1 + 0.3 * pair for pair in range(8)), scale=1.19)
CONFIG = StackConfig(
    hidden=48, ffn=96, layers=3, heads=6, kv_heads=2, head_dim=16, norm_eps=1e-5, residual_scale=1.0, rope=ROPE
)
POSITIONS = 400
CPU = torch.device("cpu")


def new_stack(config: StackConfig = CONFIG) -> Stack:
    torch.manual_seed(5)
    stack = Stack(config)
    for parameter in stack.parameters():
        torch.nn.init.normal_(parameter, mean=float(parameter.ndim == 1), std=0.15)
    stack.prepare(CPU, POSITIONS)
    return stack.requires_grad_(False)


def new_cache(config: StackConfig = CONFIG, longest: int = POSITIONS) -> KVCache:
    return KVCache(config, longest, CPU, torch.float32)


def words(count: int, seed: int = 1) -> Tensor:
    return torch.randn(1, count, CONFIG.hidden, generator=torch.Generator().manual_seed(seed))


STACK = new_stack()
WHOLE = words(40)
HEARD = STACK(WHOLE, new_cache())


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 39), max_size=8))
def test_however_a_sequence_is_cut_it_is_heard_the_same(cuts: list[int]) -> None:
    places = sorted({0, *cuts, 40})
    cache = new_cache()
    pieces = [STACK(WHOLE[:, a:b], cache) for a, b in pairwise(places)]
    torch.testing.assert_close(torch.cat(pieces, 1), HEARD, atol=1e-5, rtol=1e-5)
    assert cache.length == 40


def test_with_a_cache_nobody_hears_the_future() -> None:
    changed = WHOLE.clone()
    changed[:, 25:] += 1
    heard = STACK(changed, new_cache())
    torch.testing.assert_close(heard[:, :25], HEARD[:, :25])
    assert (heard[:, 25:] - HEARD[:, 25:]).abs().max() > 0.01


def test_sequences_that_share_the_memory_of_a_cache_are_what_they_are_alone() -> None:
    sequences = [words(9, seed) for seed in range(3)]
    cache = KVCache(CONFIG, POSITIONS, CPU, torch.float32, capacity=31).divided(3)
    assert cache.of_streams() is None, "a kernel takes the caches of streams one by one"
    together = STACK(torch.cat(sequences), cache)
    for row, sequence in enumerate(sequences):
        alone = new_cache()
        torch.testing.assert_close(together[row, None], STACK(sequence, alone), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(cache.filled[:, :, row, None], alone.filled, atol=1e-5, rtol=1e-5)


def test_without_a_cache_everybody_hears_everybody() -> None:
    changed = WHOLE.clone()
    changed[:, -1] += 1
    assert ((STACK(changed) - STACK(WHOLE)).abs().amax(-1) > 1e-4).all()


def test_a_row_of_a_batch_is_what_it_is_alone() -> None:
    batch = torch.cat([words(9, seed) for seed in range(4)])
    torch.testing.assert_close(STACK(batch)[2:3], STACK(words(9, 2)), atol=1e-5, rtol=1e-5)


def test_without_rotary_embedding_the_order_of_the_past_is_not_heard() -> None:
    config = replace(CONFIG, rope=None)
    stack = new_stack(config)
    mixed = WHOLE[:, [*torch.randperm(39, generator=torch.Generator().manual_seed(1)).tolist(), 39]]
    torch.testing.assert_close(stack(WHOLE)[:, -1], stack(mixed)[:, -1], atol=1e-5, rtol=1e-5)


def test_attention_is_what_torch_calls_grouped_query_attention() -> None:
    queries, keys, values = torch.randn(2, 6, 5, 16), torch.randn(2, 2, 7, 16), torch.randn(2, 2, 7, 16)
    expected = functional.scaled_dot_product_attention(queries, keys, values, enable_gqa=True)
    torch.testing.assert_close(unmasked(queries, keys, values), expected)


@settings(deadline=None, max_examples=20)
@given(first=st.integers(0, 100), second=st.integers(0, 100), shift=st.integers(0, 200))
def test_only_the_distance_of_two_positions_matters(first: int, second: int, shift: int) -> None:
    table = rotary_table(ROPE, 16, POSITIONS)
    query, key = torch.randn(2, 1, 1, 1, 16, generator=torch.Generator().manual_seed(3)).double().float()

    def score(a: int, b: int) -> Tensor:
        return (rotated(query, table[:, a : a + 1]) * rotated(key, table[:, b : b + 1])).sum()

    torch.testing.assert_close(score(first, second), score(first + shift, second + shift), atol=1e-4, rtol=1e-4)


def test_a_cache_grows_only_when_needed_and_never_beyond_its_end() -> None:
    cache = new_cache(longest=300)
    STACK(words(250), cache)
    STACK(words(50), cache)
    with pytest.raises(IndexError, match="301 of 300"):
        STACK(words(1), cache)
