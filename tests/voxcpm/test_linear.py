"""Matrices packed for the CPU multiply as the plain ones do."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from voxcli.errors import DeviceError, RequestError
from voxcli.voxcpm.linear import Linear, can_pack, cpu_has_bf16
from voxcli.voxcpm.quantize import check_int8

CPU = torch.device("cpu")
INPUTS, OUTPUTS = 96, 130
ROWS = (1, 2, 9, 18, 41, 300)


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


def new_linear(dtype: torch.dtype = torch.float32, *, bias: bool = True) -> Linear:
    torch.manual_seed(1)
    return Linear(INPUTS, OUTPUTS, bias, dtype=dtype)


def rows_of(count: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(count, INPUTS, generator=torch.Generator().manual_seed(count)).to(dtype)


def packed(linear: Linear, *, int8: bool = False) -> Linear:
    linear.pack(int8=int8)
    return linear


def relative_error(found: Tensor, right: Tensor) -> float:
    return float((found.double() - right).norm() / right.norm())


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("count", ROWS)
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 4e-3), (torch.float16, 5e-4)], ids=str
)
def test_a_packed_matrix_multiplies_as_the_plain_one(
    dtype: torch.dtype, tolerance: float, count: int, bias: bool
) -> None:
    plain, x = new_linear(dtype, bias=bias), rows_of(count, dtype)
    right = functional.linear(x.double(), plain.weight.double(), plain.bias.double() if bias else None)
    y = packed(new_linear(dtype, bias=bias))(x)
    assert y.dtype == dtype
    assert relative_error(y, right) < tolerance
    assert relative_error(plain(x), right) < tolerance


def test_any_arrangement_of_rows_is_taken() -> None:
    plain, x = new_linear(), rows_of(24).view(2, 12, INPUTS).transpose(0, 1)
    torch.testing.assert_close(packed(new_linear())(x), plain(x))
    torch.testing.assert_close(packed(new_linear())(x[0, 0]), plain(x[0, 0]))


def test_packing_lets_go_of_what_was_loaded() -> None:
    linear = new_linear()
    linear.pack()
    assert hasattr(linear, "weight") is not can_pack(CPU, torch.float32)


def test_what_cannot_be_packed_stays_plain() -> None:
    linear = new_linear(torch.float64)
    x = rows_of(3, torch.float64)
    right = linear(x)
    linear.pack()
    assert torch.equal(linear(x), right)


def test_a_matrix_starts_without_memory_and_is_loaded() -> None:
    with torch.device("meta"):
        linear = Linear(INPUTS, OUTPUTS)
    linear.load_state_dict(new_linear().state_dict(), assign=True)
    assert torch.equal(linear(rows_of(2)), new_linear()(rows_of(2)))


@pytest.mark.usefixtures("needs_int8")
class TestEightBits:
    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
    @pytest.mark.parametrize("bias", [False, True])
    def test_the_product_is_near(self, dtype: torch.dtype, bias: bool) -> None:
        linear, x = new_linear(dtype, bias=bias), rows_of(18, dtype)
        right = functional.linear(x.double(), linear.weight.double(), linear.bias.double() if bias else None)
        y = packed(linear, int8=True)(x)
        assert y.dtype == dtype
        assert relative_error(y, right) < 0.02

    def test_whole_levels_are_exact(self) -> None:
        linear = new_linear()
        levels = torch.randint(-127, 128, (OUTPUTS, INPUTS), generator=torch.Generator().manual_seed(2)).float()
        levels[:, 0] = 127
        linear.weight.copy_(levels / 64)
        right = linear(levels[:20])
        assert relative_error(packed(linear, int8=True)(levels[:20]), right.double()) < 1e-6

    def test_a_row_of_a_batch_is_as_alone(self) -> None:
        linear, x = packed(new_linear(torch.bfloat16), int8=True), rows_of(41, torch.bfloat16)
        x[7] *= 1000
        together = linear(x)
        assert torch.equal(together, torch.cat([linear(row.unsqueeze(0)) for row in x]))
        assert torch.equal(together, linear(x.unsqueeze(0))[0])

    def test_a_row_twice_as_loud_comes_out_twice_as_loud(self) -> None:
        linear, x = packed(new_linear(bias=False), int8=True), rows_of(5)
        assert torch.equal(linear(2 * x), 2 * linear(x))

    def test_a_row_of_zeros_gives_the_bias(self) -> None:
        linear, x = new_linear(), rows_of(3)
        x[1] = 0
        assert torch.equal(packed(linear, int8=True)(x)[1], linear.bias)

    def test_an_output_of_zeros_is_zero(self) -> None:
        linear = new_linear(bias=False)
        linear.weight[5] = 0
        y = packed(linear, int8=True)(rows_of(3))
        assert not y[:, 5].any()
        assert y.isfinite().all()

    def test_what_is_no_number_stays_none_and_spoils_its_row_only(self) -> None:
        linear, x = packed(new_linear(), int8=True), rows_of(3)
        right = linear(x)
        x[1, 4] = torch.nan
        y = linear(x)
        assert y[1].isnan().all()
        assert torch.equal(y[[0, 2]], right[[0, 2]])


@pytest.mark.skipif(platform.machine() != "x86_64" or sys.platform != "linux", reason="asks Linux about an x86")
def test_bfloat16_is_what_the_processor_says_it_has() -> None:
    assert cpu_has_bf16() == ("avx512_bf16" in Path("/proc/cpuinfo").read_text())


def test_eight_bits_are_for_the_cpu() -> None:
    with pytest.raises(RequestError, match="cuda:1"):
        check_int8(torch.device("cuda:1"))


needs_x86 = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="hides instructions of an x86")


def run_with(instructions: str, program: str) -> str:
    """Run a program on a CPU that has no newer instructions, as far as oneDNN knows."""
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": instructions, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", program]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


@needs_x86
def test_a_cpu_that_adds_up_in_16_bits_is_refused() -> None:
    program = (
        "import torch; from voxcli.voxcpm.quantize import check_int8; from voxcli.errors import DeviceError\n"
        "try: check_int8(torch.device('cpu'))\n"
        "except DeviceError as error: print(error)"
    )
    assert "8-bit" in run_with("AVX2", program)


@needs_x86
@pytest.mark.usefixtures("needs_int8")
def test_eight_bits_are_fast_without_amx() -> None:
    program = (
        "import time, torch; from voxcli.voxcpm.quantize import Int8Matrix\n"
        "weight, x = torch.randn(512, 512), torch.randn(18, 512)\n"
        "def seconds(f): f(); start = time.perf_counter(); f(); return time.perf_counter() - start\n"
        "matrix = Int8Matrix(weight, None)\n"
        "print(seconds(lambda: matrix(x)) / seconds(lambda: [x @ weight.T for _ in range(20)]))"
    )
    assert float(run_with("AVX512_CORE_VNNI", program)) < 1
