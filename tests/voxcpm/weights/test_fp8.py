"""Matrices in 8-bit floats multiply nearly as the plain ones do, each row by itself, on a GPU as in the emulation."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor

from tests.checkpoints import FAMILIES
from tests.checkpoints.configs import config_of
from tests.refusals import refused
from tests.voxcpm.matrices import INPUTS, OUTPUTS, EmulatedFp8Matrix, new_linear, relative_error, rows_of
from voxcli.errors import DeviceError
from voxcli.voxcpm.kernels.ops import quantize_rows_fp8
from voxcli.voxcpm.network.backbone import Backbone
from voxcli.voxcpm.network.config import CONFIG_FILE, read_config
from voxcli.voxcpm.network.linear import Linear, MatrixFormat
from voxcli.voxcpm.weights.quantization import Fp8Matrix, check_capability, check_fp8, in_blocks

HALF_A_STEP = 2**-4
"""Of a number that has three bits of mantissa, relative; below the smallest such number it is 2^-10."""
ROUNDED = 2**-8
"""By bfloat16, relative."""


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture(
    params=["emulated", "torch on the CPU", pytest.param("torch on a GPU", marks=pytest.mark.cuda)],
)
def form(request: pytest.FixtureRequest) -> MatrixFormat:
    """Return a format whose products take and give what is on the CPU."""
    if request.param == "emulated":
        return EmulatedFp8Matrix
    device = torch.device("cuda" if "GPU" in request.param else "cpu")
    if device.type == "cuda":
        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device")
        try:
            check_fp8(device)
        except DeviceError as error:
            pytest.skip(str(error))
    try:
        Fp8Matrix(torch.ones(16, 16, device=device), None)(torch.ones(1, 16, device=device))
    except (RuntimeError, ValueError) as error:
        pytest.skip(str(error))
    return partial(_on, device)


def _on(device: torch.device, weight: Tensor, bias: Tensor | None) -> Callable[[Tensor], Tensor]:
    matrix = Fp8Matrix(weight.to(device), None if bias is None else bias.to(device))
    return lambda x: matrix(x.to(device)).cpu()


def weight_of(outliers: float = 1) -> Tensor:
    weight = new_linear(bias=False).weight.detach().clone()
    weight[:, 3] *= outliers
    return weight


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("count", [1, 18])
@pytest.mark.parametrize("bias", [False, True])
def test_the_product_is_near(form: MatrixFormat, dtype: torch.dtype, count: int, bias: bool) -> None:
    linear, x = new_linear(dtype, bias=bias), rows_of(count, dtype)
    right = x.double() @ linear.weight.double().T + (linear.bias.double() if bias else 0)
    y = form(linear.weight, linear.bias)(x)
    assert (y.dtype, y.shape) == (dtype, right.shape)
    assert relative_error(y, right) < 0.06


@pytest.mark.parametrize("outliers", [1, 300, 1e5])
def test_no_product_is_further_off_than_rounding_makes_it(form: MatrixFormat, outliers: float) -> None:
    """One input is so much louder than the others that these fall to the smallest levels."""
    weight, x = weight_of(1 / outliers), rows_of(18)
    x[:, 3] *= outliers
    steps = [rows.abs().amax(1, keepdim=True) / 448 * 2**-10 for rows in (x, weight)]
    x_off, weight_off = (rows.abs() * HALF_A_STEP + step for rows, step in zip((x, weight), steps, strict=True))
    right = x.double() @ weight.double().T
    most = (x.abs() + x_off) @ weight_off.T + x_off @ weight.abs().T
    most += ROUNDED * (right.abs() + most) + 1e-3 * x.abs() @ weight.abs().T  # a GPU adds up with 14 bits
    assert ((form(weight, None)(x) - right).abs() <= most).all()


def test_whole_levels_are_exact(form: MatrixFormat) -> None:
    drawn = torch.Generator().manual_seed(2)
    weight = torch.randint(-16, 17, (OUTPUTS, INPUTS), generator=drawn).float()
    weight[:, 0] = 448
    x = weight[:20].roll(1, 1)
    right = x.double() @ weight.double().T
    assert ((form(weight, None)(x) - right).abs() <= ROUNDED * right.abs() + 1e-3 * x.abs() @ weight.abs().T).all()


def test_no_row_of_a_batch_knows_of_another(form: MatrixFormat) -> None:
    product, x, others = form(weight_of(), None), rows_of(41, torch.bfloat16), rows_of(41, torch.bfloat16).flip(0)
    others[7] = x[7]
    others[9] *= 1e6
    assert torch.equal(product(others)[7], product(x)[7])


def test_a_row_of_a_batch_is_as_alone(form: MatrixFormat) -> None:
    product, x = form(weight_of(), None), rows_of(41, torch.bfloat16)
    x[7] *= 1000
    together, alone = product(x), torch.cat([product(row.unsqueeze(0)) for row in x])
    assert torch.equal(together, product(x.unsqueeze(0))[0])
    # The sum may be taken in another order, which shows where bfloat16 rounds to the other side.
    assert relative_error(together, alone.double()) < 1e-3


def test_rows_are_rounded_as_if_alone() -> None:
    x = rows_of(41, torch.bfloat16)
    levels, scales = quantize_rows_fp8(x)
    for number, row in enumerate(x):
        level, scale = quantize_rows_fp8(row.unsqueeze(0))
        assert torch.equal(level.float()[0], levels.float()[number])
        assert torch.equal(scale[0], scales[number])


def test_any_arrangement_of_rows_is_taken(form: MatrixFormat) -> None:
    product, x = form(weight_of(), None), rows_of(24).view(2, 12, INPUTS).transpose(0, 1)
    assert torch.equal(product(x), product(x.contiguous()))
    assert product(x[0, 0]).shape == (OUTPUTS,)


def test_a_row_twice_as_loud_comes_out_twice_as_loud(form: MatrixFormat) -> None:
    product, x = form(weight_of(), None), rows_of(5)
    assert torch.equal(product(2 * x), 2 * product(x))


def test_a_row_of_zeros_gives_the_bias(form: MatrixFormat) -> None:
    linear, x = new_linear(torch.bfloat16), rows_of(3, torch.bfloat16)
    x[1] = 0
    assert torch.equal(form(linear.weight, linear.bias)(x)[1], linear.bias)


def test_an_output_of_zeros_is_zero(form: MatrixFormat) -> None:
    weight = weight_of()
    weight[5] = 0
    y = form(weight, None)(rows_of(3))
    assert not y[:, 5].any()
    assert y.isfinite().all()


def test_what_is_no_number_spoils_its_row_only(form: MatrixFormat) -> None:
    product, x = form(weight_of(), None), rows_of(3)
    right = product(x)
    x[1, 4] = torch.nan
    y = product(x)
    assert y[1].isnan().all()
    assert torch.equal(y[[0, 2]], right[[0, 2]])


@pytest.mark.parametrize("count", [1, 2, 18, 41, 300])
def test_the_emulation_gives_the_same_numbers(form: MatrixFormat, count: int) -> None:
    linear, x = new_linear(torch.bfloat16), rows_of(count, torch.bfloat16)
    right = EmulatedFp8Matrix(linear.weight, linear.bias)(x)
    assert relative_error(form(linear.weight, linear.bias)(x), right.double()) < 3e-3


@pytest.mark.parametrize("size", ["tiny", "full"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_matrix_of_a_block_has_a_size_that_torch_takes(
    family: str, size: Literal["tiny", "full"], tmp_path: Path
) -> None:
    (tmp_path / CONFIG_FILE).write_text(json.dumps(config_of(family, size, {})))
    with torch.device("meta"):
        backbone = Backbone(read_config(tmp_path))
    matrices = [m for name, m in backbone.named_modules() if isinstance(m, Linear) and in_blocks(Fp8Matrix)(name)]
    assert len(matrices) > 30
    assert [m for m in matrices if m.in_features % 16 or m.out_features % 16] == []


def test_a_cpu_is_told_what_it_can_do() -> None:
    with refused("--quantize int8"):
        check_fp8(torch.device("cpu"))


def test_an_older_gpu_is_told_what_it_needs() -> None:
    with pytest.raises(DeviceError, match=r"A100 has 8\.0.*"):
        check_capability("A100", (8, 0))
    check_capability("L4", (8, 9))
    check_capability("H200", (9, 0))
