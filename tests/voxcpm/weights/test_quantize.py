"""What is held in 8 bits is what the device can multiply, and what can bear it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.refusals import refused
from tests.voxcpm.matrices import EmulatedFp8Matrix
from voxcli.errors import DeviceError
from voxcli.voxcpm.device import Placement
from voxcli.voxcpm.kernels.cpu.targets import find_target
from voxcli.voxcpm.network import cpu_stack
from voxcli.voxcpm.network.block_matrix import Int8Blocks
from voxcli.voxcpm.network.config import read_config
from voxcli.voxcpm.network.linear import Linear
from voxcli.voxcpm.weights import quantization
from voxcli.voxcpm.weights.checkpoint import load_backbone
from voxcli.voxcpm.weights.quantization import KEPT_BY_FP8, Int8Matrix, choose_formats, in_blocks

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("device", "wish", "words"),
    [
        ("cuda:1", "int8", r"cuda:1.*--quantize fp8"),
        ("mps", "int8", r"mps.*Leave out"),
        ("cpu", "fp8", r"cpu.*--quantize int8"),
        ("mps", "fp8", r"mps.*Leave out"),
        ("cpu", "int3", r"'int3'.*int8.*fp8"),
    ],
)
def test_what_a_device_cannot_do_is_refused_with_what_it_can(
    checkpoints: Callable[[str], Path], device: str, wish: str, words: str
) -> None:
    with refused(words):
        choose_formats(Placement(torch.device(device), torch.float32), wish, read_config(checkpoints("voxcpm-1.5")))


def test_without_a_wish_all_stays_as_it_is_loaded(checkpoints: Callable[[str], Path]) -> None:
    format_of = choose_formats(Placement(CPU, torch.float32), None, read_config(checkpoints("voxcpm-1.5")))
    assert format_of("base_lm.layers.1.mlp.down_proj") is None


def test_kernels_are_used_with_the_caches_that_they_know(checkpoints: Callable[[str], Path]) -> None:
    config = read_config(checkpoints("voxcpm-1.5"))
    for dtype, expected in ((torch.float16, Int8Matrix), (torch.float32, Int8Blocks), (torch.bfloat16, Int8Blocks)):
        form = choose_formats(Placement(CPU, dtype), "int8", config)("base_lm.layers.1.mlp.down_proj")
        assert form is expected or (form is Int8Matrix and find_target() is None)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_products_that_are_wrong_are_not_used_instead_of_kernels(
    checkpoints: Callable[[str], Path], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantization, "_int8_is_exact", lambda: False)
    config = read_config(checkpoints("voxcpm-1.5"))
    if find_target() and dtype == torch.float32:
        assert choose_formats(Placement(CPU, dtype), "int8", config)("base_lm.layers.1.mlp.down_proj") is Int8Blocks
    monkeypatch.setattr(cpu_stack, "find_target", lambda: None)
    with refused(r"AVX2.*NEON.*Leave out", DeviceError):
        choose_formats(Placement(CPU, dtype), "int8", config)


def test_what_feels_it_most_is_kept_from_it(checkpoints: Callable[[str], Path], family: str) -> None:
    folder = checkpoints(family)
    backbone = load_backbone(
        folder,
        read_config(folder),
        Placement(CPU, torch.float32),
        format_of=in_blocks(EmulatedFp8Matrix, but=KEPT_BY_FP8),
    )
    held, left = set(), set()
    for name, module in backbone.named_modules():
        if isinstance(module, Linear):
            (held if isinstance(module._product, EmulatedFp8Matrix) else left).add(name)
    assert held == {
        f"{stack}.layers.{block}.mlp.{matrix}"
        for stack in ("base_lm", "residual_lm", "feat_encoder.encoder", "feat_decoder.decoder")
        for block in range(1, len(backbone.get_submodule(stack).layers))
        for matrix in ("gate_up_proj", "down_proj")
    }
    assert {"base_lm.layers.0.mlp.down_proj", "feat_decoder.out_proj", "stop_head"} <= left
