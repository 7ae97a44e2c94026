"""Every candidate kernel gives the results of what it would replace. Without a GPU, the interpreter runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.checkpoints.configs import config_of
from tests.voxcpm.kernels.interpreted import DEVICE, DTYPES, ON_GPU, check_close, choose_interpreter, drawn, on_device
from voxcli.voxcpm.codec.layers import CausalConv, Snake
from voxcli.voxcpm.kernels import ops
from voxcli.voxcpm.network.config import CONFIG_FILE, RopeConfig, read_config
from voxcli.voxcpm.network.transformer import rotary_table

with pytest.MonkeyPatch.context() as patch:
    choose_interpreter(patch)
    from tests.benchmarks.gpu import kernel_times
    from tests.benchmarks.gpu.candidates import triton_codec, triton_prefill, triton_products
    from tests.benchmarks.gpu.candidates.cases import Case, cases_of

ROOT = Path(__file__).parents[3]

pytestmark = [pytest.mark.cuda, pytest.mark.benchmark]


@pytest.fixture(autouse=True)
def _interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    choose_interpreter(monkeypatch)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("rows", "outputs", "inputs"), [(1, 40, 96), (18, 64, 1024), (32, 33, 130), (5, 96, 4096)])
def test_product(dtype: torch.dtype, rows: int, outputs: int, inputs: int) -> None:
    x, weight = drawn(rows, inputs, dtype=dtype), drawn(outputs, inputs, dtype=dtype) / inputs**0.5
    got = triton_products.product(*on_device((x, weight)))
    check_close(got, (x.double() @ weight.double().T).to(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize(("rows", "inputs", "parts"), [(1, 96, 1), (5, 128, 4), (18, 300, 2)])
def test_add_norm_product(dtype: torch.dtype, gated: bool, rows: int, inputs: int, parts: int) -> None:
    x, gain = drawn(rows, inputs, dtype=dtype), drawn(inputs, dtype=dtype)
    update, weight = drawn(parts, rows, inputs), drawn(80, inputs, dtype=dtype) / inputs**0.5
    added, normed = ops.add_rms_norm(x, update.sum(0).to(dtype), 0.25, gain, 1e-5)
    y = (normed.double() @ weight.double().T).to(dtype)
    expected = ops.silu_and_mul(y) if gated else y
    got = triton_products.add_norm_product(*on_device((x, update, 0.25, gain, 1e-5, weight)), gated=gated)
    check_close(got[0], added, exactly=True)
    check_close(got[1], expected)


def codec_unit(channels: int, dilation: int) -> tuple[Snake, CausalConv, Snake]:
    conv = CausalConv(channels, channels, triton_codec.TAPS, dilation=dilation, groups=channels)
    layers = Snake(channels), conv, Snake(channels)
    for layer in layers:
        for number, parameter in enumerate(layer.parameters()):
            parameter.data = drawn(*parameter.shape).abs() + 0.1 + number
        layer.prepare(torch.float32)
    return layers


@pytest.mark.parametrize("dilation", [1, 9])
def test_snake_conv_snake_piece_after_piece(dilation: int) -> None:
    before, conv, after = codec_unit(40, dilation)
    weight = conv._kernel.squeeze(1).squeeze(1).contiguous()
    of_snakes = (before._alpha, after._alpha), (before._inverse, after._inverse)
    history = conv.new_history(2, torch.device("cpu"))
    given = weight, conv._shift, *(tuple(on_device(pair)) for pair in of_snakes), dilation
    kept = history.to(DEVICE, copy=True)
    for count in (100, 7, 64, 1):
        x = drawn(2, count, 40)
        expected = after(conv(before(x), history))
        got = triton_codec.snake_conv_snake(x.to(DEVICE), kept, *on_device(given[:2]), *given[2:])
        torch.testing.assert_close(got.cpu(), expected, rtol=1e-5, atol=2e-4)
        torch.testing.assert_close(kept.cpu(), history, rtol=1e-5, atol=2e-4)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("turning", [True, False])
def test_rotate_and_store_kv(dtype: torch.dtype, turning: bool) -> None:
    heads, kv_heads, width, start, count = 6, 2, 64, 3, 9
    qkv = drawn(2, count, heads + 2 * kv_heads, width, dtype=dtype)
    factors = tuple(1 + 0.3 * pair for pair in range(width // 2))
    table = rotary_table(RopeConfig(10000.0, factors, 1.19), width, 20)[:, start : start + count] if turning else None
    expected: list[Tensor] = list(ops.split_heads(qkv, table, heads))
    kept = torch.full((2, 2, kv_heads, 20, width), float("nan"), dtype=dtype).to(DEVICE)
    queries = triton_prefill.rotate_and_store_kv(*on_device((qkv, table)), *kept, heads, start)
    check_close(queries, expected[0], exactly=True)
    for got, right in zip(kept.cpu(), expected[1:], strict=True):
        check_close(got[:, :, start : start + count], right, exactly=True)
        assert got[:, :, :start].isnan().all()
        assert got[:, :, start + count :].isnan().all()


@pytest.mark.skipif(not ON_GPU, reason="there is no CUDA device")
def test_dependent_launches_give_the_same() -> None:
    if torch.cuda.get_device_capability() < (9, 0):
        pytest.skip("GPUs before Hopper have none")
    x, weight = (
        drawn(18, 1024, dtype=torch.bfloat16).to(DEVICE),
        drawn(1024, 1024, dtype=torch.bfloat16).to(DEVICE) / 32,
    )
    plain = dependent = x
    for _ in range(20):
        plain = triton_products.product(plain, weight)
        dependent = triton_products.product(dependent, weight, pdl=True)
    assert torch.equal(plain, dependent)


@pytest.mark.filterwarnings("ignore:overflow encountered in exp")
@pytest.mark.parametrize("family", ["voxcpm-1.5", "voxcpm-2"])
def test_in_every_case_that_is_measured_both_ways_give_the_same(family: str, tmp_path: Path) -> None:
    (tmp_path / CONFIG_FILE).write_text(json.dumps(config_of(family, "tiny", {})))
    with torch.inference_mode():
        for case in cases_of(read_config(tmp_path), DEVICE, torch.float32):
            if "64 rows" in case.name or "256 positions" in case.name:
                continue  # the interpreter takes long
            for got, right in zip(case.candidate(case.given()), case.shipped(case.given()), strict=True):
                torch.testing.assert_close(
                    got, right, rtol=1e-3, atol=1e-3, msg=lambda text, case=case: f"{case.name}: {text}"
                )


def test_candidates_are_measured_one_by_one_and_what_fails_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / CONFIG_FILE).write_text(json.dumps(config_of("voxcpm-1.5", "tiny", {})))
    config = read_config(tmp_path)
    cases = list(cases_of(config, DEVICE, torch.float32))
    product, mlp = (next(case for case in cases if name in case.name) for name in ("qkv", "MLP"))
    wrong = Case("wrong", product.given, product.shipped, lambda given: (2 * product.shipped(given)[0],), 1.0)
    broken = Case("broken", product.given, product.shipped, lambda given: (), 1.0)
    monkeypatch.setattr(ops, "has_kernels", lambda device: True)
    monkeypatch.setattr(kernel_times, "cases_of", lambda config, device: [broken, wrong, product, mlp])
    loaded: Any = SimpleNamespace(
        model=SimpleNamespace(config=config), device=DEVICE, options=SimpleNamespace(on_gpu=False)
    )
    with pytest.raises(AssertionError, match="2 candidates"):
        kernel_times.candidates(loaded)
    printed = capsys.readouterr().out
    assert "candidate broken: FAILED  ValueError" in printed
    assert printed.count("WRONG") == 1
    assert f"candidate {mlp.name}: " in printed


@pytest.mark.skipif(ON_GPU, reason="compiled without a GPU, by a process of its own")
@pytest.mark.parametrize(
    ("family", "capability", "shared"), [("voxcpm-1.5", "80", 163 * 1024), ("voxcpm-2", "90", 227 * 1024)]
)
def test_all_candidates_compile_and_fit_into_shared_memory(
    family: str, capability: str, shared: int, tmp_path: Path
) -> None:
    (tmp_path / CONFIG_FILE).write_text(json.dumps(config_of(family, "full", {})))
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    command = [sys.executable, "-m", "tests.benchmarks.gpu.compile_candidates", capability, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    compiled = json.loads(done.stdout)
    names = {"_product", "_sum_parts", "_add_norm_product", "_snake_conv_snake", "_rotate_and_store_kv"}
    assert {kernel["name"] for kernel in compiled} == names
    assert max(kernel["shared"] for kernel in compiled) <= shared
