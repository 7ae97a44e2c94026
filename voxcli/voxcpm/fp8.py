"""Matrices in 8-bit floats, for a CUDA device: four bits of exponent and three of mantissa (float8_e4m3fn)."""

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from voxcli.errors import DeviceError, RequestError
from voxcli.voxcpm.kernels.ops import rows_to_fp8

_CAPABILITY = (8, 9)
"""Of the first GPUs that multiply these numbers: Ada; Hopper and Blackwell are later."""


class Fp8Matrix:
    """A weight with one scale per output. What it multiplies is rounded to 8 bits too, with one scale per row.

    No row knows of another: with as many rows, a row gives the same to the bit whatever the others hold. With another
    number of them the order of the sum may differ.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """weight: (outputs, inputs), both multiples of 16; bias: (outputs,); of any floating dtype."""
        levels, scales = rows_to_fp8(weight.contiguous())
        # Columns one after another in memory, and scales as a row: torch takes no other arrangement.
        self._levels, self._scales = levels.t(), scales.view(1, -1)
        self._bias = None if bias is None else bias.bfloat16()

    def __call__(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs) of the same dtype, at most as exact as bfloat16."""
        levels, scales = rows_to_fp8(x.reshape(-1, x.size(-1)))
        # Hopper's faster sum keeps 14 bits (arXiv 2412.19437, section 3.3.2): too few for thousands of products.
        y = torch._scaled_mm(
            levels,
            self._levels,
            scale_a=scales,
            scale_b=self._scales,
            bias=self._bias,
            out_dtype=torch.bfloat16,  # where CUTLASS multiplies, the only one
            use_fast_accum=False,
        )
        return y.view(*x.shape[:-1], -1).to(x.dtype)


class EmulatedFp8Matrix:
    """The same product of the same rounded numbers on any device: in float32, so slower than a plain one."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """weight: (outputs, inputs), bias: (outputs,), both of any floating dtype."""
        levels, scales = rows_to_fp8(weight.contiguous())
        self._levels, self._scales = levels.float(), scales.view(-1)
        self._bias = torch.zeros_like(self._scales) if bias is None else bias.bfloat16().float()

    def __call__(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs) of the same dtype, at most as exact as bfloat16."""
        levels, scales = rows_to_fp8(x.reshape(-1, x.size(-1)))
        y = functional.linear(levels.float(), self._levels).mul_(scales).mul_(self._scales).add_(self._bias)
        return y.bfloat16().view(*x.shape[:-1], -1).to(x.dtype)


def check_fp8(device: torch.device) -> None:
    """Refuse a device on which an `Fp8Matrix` does not work.

    Raises:
        RequestError: it is no CUDA device.
        DeviceError: it is too old, or torch cannot do it there.
    """
    if device.type != "cuda":
        instead = "Say --quantize int8." if device.type == "cpu" else "Leave out --quantize."
        raise RequestError(f"fp8 is for an NVIDIA GPU, and this runs on {device}. {instead}")
    name = torch.cuda.get_device_name(device)
    check_capability(name, torch.cuda.get_device_capability(device))
    if not _multiplies(device):
        raise DeviceError(
            f"torch {torch.__version__} does not multiply in fp8 on {name}, although the GPU could. "
            "Leave out --quantize, or install another version."
        )


def check_capability(name: str, capability: tuple[int, int]) -> None:
    """Refuse a GPU that knows no such numbers.

    Raises:
        DeviceError: with what it has and what it needs.
    """
    if capability < _CAPABILITY:
        has, needs = (".".join(map(str, numbers)) for numbers in (capability, _CAPABILITY))
        raise DeviceError(
            f"fp8 needs an NVIDIA GPU of compute capability {needs} or more (Ada, Hopper, Blackwell), and {name} has "
            f"{has}. Leave out --quantize."
        )


@cache
def _multiplies(device: torch.device) -> bool:
    """Tell by trying, one row and several: versions, GPUs and systems differ (pytorch/pytorch issue 192707)."""
    try:
        matrix = Fp8Matrix(torch.ones(32, 64, device=device), None)
        return all(bool((matrix(torch.ones(rows, 64, device=device)) == 64).all()) for rows in (1, 18, 300))
    except (AttributeError, RuntimeError, ValueError):
        return False
