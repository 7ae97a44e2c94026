"""Matrices in 8-bit whole numbers multiply nearly as the plain ones do, and each row by itself."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
from torch.nn import functional

from tests.voxcpm.matrices import INPUTS, OUTPUTS, new_linear, relative_error, rows_of
from voxcli.errors import DeviceError
from voxcli.voxcpm.network.linear import Linear
from voxcli.voxcpm.weights.quantization import Int8Matrix, check_int8

CPU = torch.device("cpu")

needs_x86 = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="hides instructions of an x86")


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture
def needs_int8() -> None:
    try:
        check_int8(CPU)
    except DeviceError as error:
        pytest.skip(str(error))


def packed(linear: Linear) -> Linear:
    linear.pack(Int8Matrix)
    return linear


@pytest.mark.usefixtures("needs_int8")
class TestEightBits:
    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
    @pytest.mark.parametrize("bias", [False, True])
    def test_the_product_is_near(self, dtype: torch.dtype, bias: bool) -> None:
        linear, x = new_linear(dtype, bias=bias), rows_of(18, dtype)
        right = functional.linear(x.double(), linear.weight.double(), linear.bias.double() if bias else None)
        y = packed(linear)(x)
        assert y.dtype == dtype
        assert relative_error(y, right) < 0.02

    def test_whole_levels_are_exact(self) -> None:
        linear = new_linear()
        levels = torch.randint(-127, 128, (OUTPUTS, INPUTS), generator=torch.Generator().manual_seed(2)).float()
        levels[:, 0] = 127
        linear.weight.copy_(levels / 64)
        right = linear(levels[:20])
        assert relative_error(packed(linear)(levels[:20]), right.double()) < 1e-6

    def test_a_row_of_a_batch_is_as_alone(self) -> None:
        linear, x = packed(new_linear(torch.bfloat16)), rows_of(41, torch.bfloat16)
        x[7] *= 1000
        together = linear(x)
        assert torch.equal(together, torch.cat([linear(row.unsqueeze(0)) for row in x]))
        assert torch.equal(together, linear(x.unsqueeze(0))[0])

    def test_a_row_twice_as_loud_comes_out_twice_as_loud(self) -> None:
        linear, x = packed(new_linear(bias=False)), rows_of(5)
        assert torch.equal(linear(2 * x), 2 * linear(x))

    def test_a_row_of_zeros_gives_the_bias(self) -> None:
        linear, x = new_linear(), rows_of(3)
        x[1] = 0
        assert torch.equal(packed(linear)(x)[1], linear.bias)

    def test_an_output_of_zeros_is_zero(self) -> None:
        linear = new_linear(bias=False)
        linear.weight[5] = 0
        y = packed(linear)(rows_of(3))
        assert not y[:, 5].any()
        assert y.isfinite().all()

    def test_what_is_no_number_stays_none_and_spoils_its_row_only(self) -> None:
        linear, x = packed(new_linear()), rows_of(3)
        right = linear(x)
        x[1, 4] = torch.nan
        y = linear(x)
        assert y[1].isnan().all()
        assert torch.equal(y[[0, 2]], right[[0, 2]])


def run_with(instructions: str, program: str) -> str:
    """Run a program on a CPU that has no newer instructions, as far as oneDNN knows."""
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": instructions, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", program]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


@needs_x86
def test_products_of_torch_that_are_added_up_in_16_bits_are_not_used() -> None:
    program = "from voxcli.voxcpm.weights.quantization import _int8_is_exact\nprint(_int8_is_exact())"
    assert [run_with(name, program).strip() for name in ("AVX2", "AVX512_CORE_VNNI")] == ["False", "True"]


@needs_x86
@pytest.mark.usefixtures("needs_int8")
def test_eight_bits_are_fast_without_amx() -> None:
    program = (
        "import time, torch; from voxcli.voxcpm.weights.quantization import Int8Matrix\n"
        "weight, x = torch.randn(512, 512), torch.randn(18, 512)\n"
        "def seconds(f): f(); start = time.perf_counter(); f(); return time.perf_counter() - start\n"
        "matrix = Int8Matrix(weight, None)\n"
        "print(seconds(lambda: matrix(x)) / seconds(lambda: [x @ weight.T for _ in range(20)]))"
    )
    # Signed activations would make it thousands of times slower, so this holds on a busy machine too.
    assert float(run_with("AVX512_CORE_VNNI", program)) < 20
