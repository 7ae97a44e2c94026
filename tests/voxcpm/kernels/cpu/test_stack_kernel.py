"""A stack's kernel computes what the plain stack computes, whatever runs beside it and however often it is cut."""

import dataclasses
import os
import platform
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from voxcli.voxcpm.kernels.cpu.arithmetic import (
    Arithmetic,
    Bf16,
    Float16,
    Int8,
    Int8ByDotProduct,
    Int8ByMixedDotProduct,
    Int8BySigns,
    WideBf16,
)
from voxcli.voxcpm.kernels.cpu.targets import Target, find_target
from voxcli.voxcpm.network import cpu_stack
from voxcli.voxcpm.network.block_matrix import Bf16Blocks, BlockMatrix, HalfBlocks, Int8Blocks
from voxcli.voxcpm.network.config import RopeConfig, StackConfig
from voxcli.voxcpm.network.kv_cache import JoinedCaches, KVCache
from voxcli.voxcpm.network.linear import Linear
from voxcli.voxcpm.network.transformer import Stack

ROPE = RopeConfig(10000.0, (1.0,) * 16, 1.0)
USUAL = StackConfig(64, 288, 3, 4, 2, 32, 1e-5, 1.0, ROPE)  # 256 outputs of queries, keys and values
CONFIGS = [
    USUAL,
    StackConfig(64, 32, 2, 12, 2, 8, 1e-6, 0.3, None),
    StackConfig(192, 288, 2, 4, 2, 48, 1e-5, 1.4, dataclasses.replace(ROPE, factors=(1.0,) * 24)),
]
ARITHMETICS: dict[Arithmetic, str] = {
    Int8(16, 12): "avx512vnni",
    Int8(8, 2): "avx512vnni",
    Int8BySigns(8, 2): "avx2",
    Int8ByDotProduct(4, 2): "dotprod",
    Int8ByMixedDotProduct(4, 2): "i8mm",
    WideBf16(16, 9): "avx512f",
    WideBf16(8, 2): "fma",
    WideBf16(4, 2): "neon",
    Bf16(16, 12): "avx512bf16",
    Float16(16, 12): "avx512fp16",
    Float16(4, 2): "fullfp16",
}
"""With the instructions that they need."""
ARM = platform.machine() in ("aarch64", "arm64")
HERE = find_target()
pytestmark = pytest.mark.skipif(HERE is None, reason="kernels cannot be compiled here")


@pytest.fixture
def kept() -> Path:
    """Where compiled code is kept between workers and runs."""
    return Path(os.environ["VOXCLI_KERNELS"])


@pytest.fixture(
    params=[one for one in ARITHMETICS if (one.lanes == 4) == ARM], ids=lambda one: f"{type(one).__name__}-{one.lanes}"
)
def arithmetic(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Arithmetic:
    chosen: Arithmetic = request.param
    assert HERE
    if f"+{ARITHMETICS[chosen]}" not in HERE.features.split(","):
        pytest.skip(f"needs {ARITHMETICS[chosen]}")
    target = Target(HERE.cpu, HERE.features, chosen if chosen.name == "int8" else None, chosen)
    monkeypatch.setattr(cpu_stack, "find_target", lambda: target)
    return chosen


def new_stack(config: StackConfig, arithmetic: Arithmetic, seed: int = 0) -> Stack:
    """Return a stack of random weights, packed for the kernel."""
    generator = torch.Generator().manual_seed(seed)
    stack = Stack(config)
    form = cpu_stack._FORMS[arithmetic.name]
    with torch.no_grad():
        for module in stack.modules():
            if isinstance(module, Linear):
                module.weight.normal_(std=module.in_features**-0.5, generator=generator)
                module.pack(form)
            elif hasattr(module, "weight"):
                module.weight.normal_(1.0, 0.1, generator=generator)
    stack.prepare(torch.device("cpu"), 64)
    return stack.requires_grad_(False)


def with_kernel(stack: Stack, kept: Path) -> Stack:
    stack.use_kernel(kept)
    assert stack._kernel
    return stack


def drawn(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def new_cache(config: StackConfig) -> KVCache:
    return KVCache(config, 64, torch.device("cpu"), torch.float32)


def tolerance(arithmetic: Arithmetic) -> float:
    """Relative: an activation near the middle between two levels may be rounded either way."""
    return {"int8": 0.03, "bf16": 0.01, "wide_bf16": 1e-5, "float16": 5e-3}[arithmetic.name]


def assert_close(found: Tensor, expected: Tensor, arithmetic: Arithmetic) -> None:
    assert (found - expected).norm() <= tolerance(arithmetic) * expected.norm()


@pytest.fixture(params=CONFIGS, ids=lambda config: f"{config.hidden}")
def config(request: pytest.FixtureRequest, arithmetic: Arithmetic) -> StackConfig:
    """All for the arithmetic of this processor, and the usual one for the others, as compiling takes a second."""
    found: StackConfig = request.param
    assert HERE
    if found is not USUAL and arithmetic not in (HERE.int8, HERE.bf16):
        pytest.skip("is tested with the arithmetic of this processor")
    return found


def test_it_is_the_plain_stack(config: StackConfig, arithmetic: Arithmetic, kept: Path) -> None:
    for streams, count in ((1, 1), (2, 9), (3, 5)):
        x = drawn(streams, count, config.hidden)
        expected = new_stack(config, arithmetic)(x)
        assert_close(with_kernel(new_stack(config, arithmetic), kept)(x), expected, arithmetic)


def test_it_continues_caches_as_the_plain_stack_does(config: StackConfig, arithmetic: Arithmetic, kept: Path) -> None:
    plain, kernel = new_stack(config, arithmetic), with_kernel(new_stack(config, arithmetic), kept)
    found, expected = [], []
    for stack, results in ((plain, expected), (kernel, found)):
        caches = [new_cache(config) for _ in range(2)]
        for number, cache in enumerate(caches):
            results.append(stack(drawn(1, 7 + number, config.hidden), cache))
        results.append(stack(drawn(2, 1, config.hidden, seed=2), JoinedCaches(caches)))
        results += [cache.filled for cache in caches]
        assert [cache.length for cache in caches] == [8, 9]
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other, arithmetic)


def test_a_row_does_not_depend_on_other_rows(arithmetic: Arithmetic, kept: Path) -> None:
    stack = with_kernel(new_stack(USUAL, arithmetic), kept)
    x = drawn(14, 3, USUAL.hidden)
    together = stack(x)
    for number in (0, 5, 13):
        assert torch.equal(stack(x[number : number + 1])[0], together[number])


def test_a_sequence_may_be_cut_anywhere(arithmetic: Arithmetic, kept: Path) -> None:
    stack = with_kernel(new_stack(USUAL, arithmetic), kept)
    x = drawn(1, 20, USUAL.hidden)
    whole = new_cache(USUAL)
    expected = stack(x, whole)
    for cut in (1, 6, 19):
        cache = new_cache(USUAL)
        parts = [stack(part, cache) for part in x.split((cut, 20 - cut), 1)]
        assert torch.equal(torch.cat(parts, 1), expected)
        assert torch.equal(cache.filled, whole.filled)


def test_the_number_of_threads_changes_nothing(arithmetic: Arithmetic, kept: Path, threads: None) -> None:
    stack = with_kernel(new_stack(USUAL, arithmetic), kept)
    x = drawn(2, 9, USUAL.hidden)
    expected = stack(x)
    for count in (1, 3, 5):
        torch.set_num_threads(count)
        assert torch.equal(stack(x), expected)


def test_many_rows_take_several_calls_with_the_same_result(
    arithmetic: Arithmetic, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = with_kernel(new_stack(USUAL, arithmetic), kept)
    x, long = drawn(9, 5, USUAL.hidden), drawn(1, 30, USUAL.hidden)
    cache, expected_cache = new_cache(USUAL), new_cache(USUAL)
    expected = stack(x), stack(long, expected_cache)
    monkeypatch.setattr(cpu_stack, "MOST_ROWS", 7)
    assert torch.equal(stack(x), expected[0])
    assert torch.equal(stack(long, cache), expected[1])
    assert torch.equal(cache.filled, expected_cache.filled)


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("form", [Int8Blocks, Bf16Blocks, HalfBlocks])
def test_packing_loses_nothing_but_precision(form: Callable[[Tensor, None], BlockMatrix]) -> None:
    weight = drawn(96, 20)
    matrix = form(weight, None)
    assert torch.allclose(matrix.unpacked(), weight, atol=0.02)
    again = type(matrix).of_tensors(matrix.tensors())
    assert torch.equal(again.unpacked(), matrix.unpacked())
