"""Matrices that are drawn, and how far a product is from the right one."""

from collections.abc import Callable

import torch
from torch import Tensor

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
