"""Random matrices, an emulation of fp8, and the error of a product."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from voxcli.voxcpm.kernels.ops import quantize_rows_fp8
from voxcli.voxcpm.network.linear import Linear

INPUTS, OUTPUTS = 96, 144

Product = Callable[[Tensor], Tensor]


def new_linear(dtype: torch.dtype = torch.float32, *, bias: bool = True) -> Linear:
    torch.manual_seed(1)
    return Linear(INPUTS, OUTPUTS, bias, dtype=dtype)


def rows_of(count: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(count, INPUTS, generator=torch.Generator().manual_seed(count)).to(dtype)


def relative_error(found: Tensor, right: Tensor) -> float:
    return float((found.double() - right).norm() / right.norm())


class EmulatedFp8Matrix:
    """The product of an `Fp8Matrix` on any device: the same rounded numbers, multiplied in float32."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """weight: (outputs, inputs), bias: (outputs,), both of any floating dtype."""
        levels, scales = quantize_rows_fp8(weight.contiguous())
        self._levels, self._scales = levels.float(), scales.view(-1)
        self._bias = torch.zeros_like(self._scales) if bias is None else bias.bfloat16().float()

    def __call__(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs) of the same dtype, at most as exact as bfloat16."""
        levels, scales = quantize_rows_fp8(x.reshape(-1, x.size(-1)))
        y = functional.linear(levels.float(), self._levels).mul_(scales).mul_(self._scales).add_(self._bias)
        return y.bfloat16().view(*x.shape[:-1], -1).to(x.dtype)
