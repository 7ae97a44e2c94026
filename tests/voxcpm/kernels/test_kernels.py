"""Every kernel gives the results of its torch counterpart. Without a GPU, Triton's interpreter runs them."""

import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.voxcpm.kernels.interpreted import (
    DEVICE,
    DTYPES,
    HALVES,
    KERNELS,
    MODULES,
    ON_GPU,
    check_close,
    choose_interpreter,
    drawn,
    on_device,
    recorded_versions,
    triton_rows,
)
from tests.voxcpm.speech import samples_of, utterance
from voxcli.voxcpm.codec import layers as causal
from voxcli.voxcpm.device import Placement
from voxcli.voxcpm.kernels import ops
from voxcli.voxcpm.loading import load_model
from voxcli.voxcpm.model import Model
from voxcli.voxcpm.network import kv_cache, transformer
from voxcli.voxcpm.network import local_dit as flow
from voxcli.voxcpm.network.config import RopeConfig
from voxcli.voxcpm.network.transformer import rotary_table
from voxcli.voxcpm.runtime import eager_runner, graph_runner
from voxcli.voxcpm.runtime.graph_runner import GraphRunner
from voxcli.voxcpm.runtime.kernel_compilation import kernel_calls
from voxcli.voxcpm.runtime.stream_state import draw_noise

NAN = float("nan")

pytestmark = pytest.mark.cuda

PLAIN = {name: value.__wrapped__ for name, value in vars(ops).items() if hasattr(value, "__wrapped__")}
OPERATIONS = {name: plain for name, plain in PLAIN.items() if name in KERNELS}


@pytest.fixture(autouse=True)
def _interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    choose_interpreter(monkeypatch)


@pytest.fixture(autouse=True)
def _nothing_comes_zeroed() -> Iterator[None]:
    """Fill memory that is asked for with NaN."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def by_kernel(operation: Callable[..., Any], *given: Any) -> Any:
    """Run the kernel of an operation, with copies of the arguments on its device."""
    return KERNELS[operation.__name__](*on_device(given))


def table(width: int, positions: int) -> Tensor:
    factors = tuple(1 + 0.3 * pair for pair in range(width // 2))
    return rotary_table(RopeConfig(10000.0, factors, 1.19), width, positions)


def test_every_kernel_is_called_as_its_twin_is() -> None:
    assert len(OPERATIONS) == 10
    for name, plain in OPERATIONS.items():
        assert inspect.signature(KERNELS[name]) == inspect.signature(plain)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [7, 100, 1024])
def test_rms_norm(dtype: torch.dtype, width: int) -> None:
    x, weight = drawn(2, 3, width, dtype=dtype), drawn(width, dtype=dtype)
    check_close(by_kernel(ops.rms_norm, x, weight, 1e-5), ops.rms_norm(x, weight, 1e-5), exactly=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_add_rms_norm(dtype: torch.dtype, scale: float) -> None:
    given = drawn(2, 3, 100, dtype=dtype), drawn(2, 5, 100, dtype=dtype)[:, :3], scale, drawn(100, dtype=dtype), 1e-5
    for got, expected in zip(by_kernel(ops.add_rms_norm, *given), ops.add_rms_norm(*given), strict=True):
        check_close(got, expected, exactly=True)


@pytest.mark.filterwarnings("ignore:overflow encountered in exp")  # What is divided by infinity is zero, as it should.
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [5, 1030])
def test_silu_and_mul(dtype: torch.dtype, width: int) -> None:
    gate_up = 3 * drawn(2, 3, 2 * width, dtype=dtype)
    gate_up[0, 0, :2] = torch.tensor([-500, 500])
    check_close(by_kernel(ops.silu_and_mul, gate_up), ops.silu_and_mul(gate_up), exactly=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("count", "heads", "width"), [(1, 4, 16), (5, 2, 128), (9, 4, 64), (11, 6, 20), (16, 2, 64)])
def test_full_attention(dtype: torch.dtype, count: int, heads: int, width: int) -> None:
    qkv, rotary = drawn(2, count, heads + 4, width, dtype=dtype), table(width, 20)
    for given in ((qkv, rotary[:, :count], heads), (qkv, None, heads)):
        check_close(by_kernel(ops.full_attention, *given), ops.full_attention(*given))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rotary", [table(64, 80), None], ids=["rotary", "no rotary"])
def test_rotate_and_append_kv(dtype: torch.dtype, rotary: Tensor | None) -> None:
    qkv, lengths = drawn(3, 1, 8, 64, dtype=dtype), torch.tensor([0, 64, 79, 99])
    keys = torch.full((4, 2, 80, 64), NAN, dtype=dtype)
    values = torch.full((4, 80, 2, 64), NAN, dtype=dtype).transpose(1, 2)
    there = keys.to(DEVICE, copy=True), values.to(DEVICE, copy=True)
    turning = None if rotary is None else rotary.to(DEVICE)
    queries = KERNELS["rotate_and_append_kv"](qkv.to(DEVICE), turning, lengths.to(DEVICE), *there, 4)
    check_close(queries, ops.rotate_and_append_kv(qkv, rotary, lengths, keys, values, 4), exactly=True)
    for got, expected in zip(there, (keys, values), strict=True):
        torch.testing.assert_close(got.cpu(), expected, equal_nan=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("heads", "kv_heads", "width", "lengths"),
    [
        (8, 2, 64, [500]),
        (4, 2, 16, [0, 63, 64]),
        (6, 2, 128, [1]),
        (3, 1, 20, [2100]),
        (32, 16, 16, [0, 1, 2, 3, 4, 5, 6, 70]),
    ],
    ids=["many parts", "some parts", "one position", "parts of several blocks", "no parts"],
)
def test_decode_attention(dtype: torch.dtype, heads: int, kv_heads: int, width: int, lengths: list[int]) -> None:
    rows, longest = len(lengths), max(lengths) + 70
    keys, values = drawn(2, rows + 1, kv_heads, longest, width, dtype=dtype)
    values = values.transpose(1, 2).contiguous().transpose(1, 2)
    queries, newest = drawn(rows, heads, width, dtype=dtype), torch.tensor([*lengths, 7])
    expected = ops.decode_attention(queries, keys, values, newest)
    for kept in (keys, values):
        kept[rows:] = NAN
        for row, length in enumerate(lengths):
            kept[row, :, length + 1 :] = NAN
    check_close(by_kernel(ops.decode_attention, queries, keys, values, newest), expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_advance_flow(dtype: torch.dtype) -> None:
    x, both, spans = drawn(3, 4, 15, dtype=dtype), drawn(6, 4, 15, dtype=dtype), drawn(9, dtype=dtype)
    given = x, both, spans, torch.tensor([4, 0, 8]), torch.tensor([5, 9, 8]), torch.tensor([1.0, 2.0, 3.3])
    there = on_device(given)
    KERNELS["advance_flow"](*there)
    ops.advance_flow(*given)
    check_close(there[0], x, exactly=True)
    assert there[3].tolist() == given[3].tolist() == [5, 1, 8]


def test_snake() -> None:
    x, alpha = 10 * drawn(2, 70, 24), 5 * drawn(24)
    x[0, 0] = 1000
    given = x, alpha, (alpha + 1e-9).reciprocal()
    torch.testing.assert_close(by_kernel(ops.snake, *given).cpu(), ops.snake(*given), rtol=1e-5, atol=2e-4)


@pytest.mark.parametrize("dtype", DTYPES)
def test_quantize_rows_fp8(dtype: torch.dtype) -> None:
    x = drawn(5, 100, dtype=dtype) * torch.logspace(-3, 3, 5, dtype=dtype)[:, None]
    x[2] = 0
    (levels, scales), (expected, expected_scales) = by_kernel(ops.quantize_rows_fp8, x), ops.quantize_rows_fp8(x)
    assert torch.equal(scales.cpu(), expected_scales)
    if ON_GPU:  # The interpreter loses what is carried over from the mantissa.
        assert torch.equal(levels.cpu().view(torch.uint8), expected.view(torch.uint8))


def test_in_8_bits_numbers_that_fit_are_kept() -> None:
    bits = torch.arange(256, dtype=torch.int32).to(torch.uint8)
    fitting = bits.view(torch.float8_e4m3fn).float()[(bits & 127) != 127].expand(3, -1) * torch.tensor(
        [[0.125], [1], [4]]
    )
    levels, scales = by_kernel(ops.quantize_rows_fp8, fitting)
    assert torch.equal(levels.cpu().float() * scales.cpu(), fitting)


@pytest.mark.skipif(not ON_GPU, reason="there is no CUDA device")
def test_a_graph_of_kernels_goes_on_from_where_the_streams_are() -> None:
    rotary = table(64, 200).to(DEVICE)
    qkv, lengths = drawn(2, 1, 8, 64).to(DEVICE), torch.tensor([3, 70], device=DEVICE)
    kept = drawn(2, 2, 2, 200, 64).to(DEVICE)

    def step() -> Tensor:
        return ops.decode_attention(ops.rotate_and_append_kv(qkv, rotary, lengths, *kept, 4), *kept, lengths)

    expected = []
    before = kept.clone()
    for _ in range(3):
        expected.append(step())
        lengths += 1
    lengths -= 3
    kept.copy_(before)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        heard = step()
    for one in expected:
        graph.replay()
        assert torch.equal(heard, one)
        lengths += 1


def test_it_goes_on_without_kernels_where_triton_does_not_find_the_driver(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(*given: object) -> None:
        raise AssertionError("libcuda.so cannot found!")  # as Triton says it

    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(torch.cuda, "device", nullcontext)
    monkeypatch.setattr(triton_rows, "rms_norm", failing)
    assert ops._find_kernels.__wrapped__(torch.device("cpu")) is None
    assert "libcuda.so" in caplog.text


def test_decoding_takes_two_versions_of_a_kernel_for_any_number_of_streams() -> None:
    with recorded_versions(*MODULES) as versions:
        for streams in (1, 2, 3, 8, 64):
            queries, kept = drawn(streams, 4, 16, dtype=torch.float16), drawn(2, streams, 2, 8, 16, dtype=torch.float16)
            by_kernel(ops.decode_attention, queries, *kept, torch.ones(streams, dtype=torch.int64))
    assert Counter(version[0] for version in versions) == {"_attend_part": 2, "_combine_parts": 1}


def test_all_layers_of_a_codec_share_one_version_of_snake() -> None:
    with recorded_versions(*MODULES) as versions:
        for width in (2048, 256, 16):
            by_kernel(ops.snake, drawn(1, 32, width), drawn(width), drawn(width))
    assert len(versions) == 1


@contextmanager
def with_kernels(model: Model, monkeypatch: pytest.MonkeyPatch, slots: int = 1) -> Iterator[Model]:
    """Run the same weights with graphs and kernels. Without a GPU, neither comes by itself."""
    if not ON_GPU:
        for stack in model._backbone.modules():
            if isinstance(stack, transformer.Stack):
                monkeypatch.setattr(stack, "_kernel", None)  # that of the CPU
        for module in (ops, transformer, kv_cache, flow, causal):
            for name in OPERATIONS.keys() & vars(module).keys():
                monkeypatch.setattr(module, name, KERNELS[name])
    runner = GraphRunner(model._backbone, model._codec, slots, lazy=True)
    other = Model(model.config, model._tokenizer, model._backbone, model._codec, runner, slots)
    yield other
    other.close()


@pytest.mark.parametrize("family", ["voxcpm-1.5", "voxcpm-2"])
def test_all_versions_are_compiled_before_the_first_stream_is(
    family: str, checkpoints: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = load_model(checkpoints(family), Placement(DEVICE, HALVES[-1]), threads=1, graphs=False)
    with with_kernels(plain, monkeypatch, 3) as model:
        with torch.inference_mode(), recorded_versions(*MODULES) as compiled:
            for call in kernel_calls(model.config, DEVICE, HALVES[-1]):
                before = len(compiled)
                call()
                assert len(compiled) > before  # it is not called for nothing
        with recorded_versions(*MODULES) as launched, ThreadPoolExecutor(3) as threads:
            list(threads.map(lambda seed: samples_of(model, utterance(seed=seed, steps=2, max_patches=3)), range(3)))
    plain.close()
    assert launched - compiled == set()


def test_a_whole_model_by_kernels_is_the_plain_one(
    checkpoints: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, said = checkpoints("voxcpm-2"), utterance(steps=2, min_patches=2, max_patches=2)
    with monkeypatch.context() as plain_only:  # on the same device, as each kind draws other noise
        plain_only.setattr(ops, "_find_kernels", lambda device: None)
        plain = load_model(folder, Placement(DEVICE, torch.float32), threads=1, graphs=False)
        expected = samples_of(plain, said)
    with with_kernels(plain, monkeypatch) as model:
        np.testing.assert_allclose(samples_of(model, said), expected, atol=1e-4)
    plain.close()


@pytest.mark.parametrize("dtype", HALVES)
def test_a_first_patch_in_half_precision_is_near_the_one_in_float32(
    dtype: torch.dtype, checkpoints: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Later patches may differ more: a number between two levels of the quantizer falls to either."""

    def drawn_alike(noise: Tensor, generator: torch.Generator) -> None:
        exact = torch.empty_like(noise, dtype=torch.float32)
        draw_noise(exact, generator)
        noise.copy_(exact)

    for runner in (eager_runner, graph_runner):
        monkeypatch.setattr(runner, "draw_noise", drawn_alike)
    folder, said = checkpoints("voxcpm-1.5"), utterance(steps=4, min_patches=1, max_patches=1)
    exact = load_model(folder, Placement(DEVICE, torch.float32), threads=1, graphs=False)
    expected = samples_of(exact, said)
    exact.close()
    half = load_model(folder, Placement(DEVICE, dtype), threads=1, graphs=False)
    with with_kernels(half, monkeypatch) as model:
        off = np.linalg.norm(samples_of(model, said) - expected) / np.linalg.norm(expected)
    half.close()
    assert 0 < off < 0.1
