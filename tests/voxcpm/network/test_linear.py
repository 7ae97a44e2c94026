"""Matrices packed for the CPU multiply as the plain ones do."""

import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from tests.voxcpm.matrices import INPUTS, OUTPUTS, new_linear, relative_error, rows_of
from voxcli.voxcpm.network.linear import Linear, can_pack, cpu_has_bf16

CPU = torch.device("cpu")
ROWS = (1, 2, 9, 18, 41, 300)


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


def packed(linear: Linear) -> Linear:
    linear.pack()
    return linear


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


@pytest.mark.skipif(platform.machine() != "x86_64" or sys.platform != "linux", reason="asks Linux about an x86")
def test_bfloat16_is_what_the_processor_says_it_has() -> None:
    assert cpu_has_bf16() == ("avx512_bf16" in Path("/proc/cpuinfo").read_text())
