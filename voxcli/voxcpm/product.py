"""The matrix product of the codec: float32 on both sides, multiplied in what is fast."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from voxcli.voxcpm.linear import PackedMatrix, can_pack


class Product:
    """x ↦ x·Wᵀ + b from float32 to float32, whatever the dtype of the factors; they are summed up in float32."""

    def __init__(self, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> None:
        """weight: (outputs, inputs), bias: (outputs,), dtype: of the factors."""
        weight, bias = weight.to(dtype).contiguous(), bias.to(dtype)
        self._dtype = dtype
        self._multiply: Callable[[Tensor], Tensor] = (
            PackedMatrix(weight, bias)
            if can_pack(weight.device, dtype)
            else partial(functional.linear, weight=weight, bias=bias)
        )

    def __call__(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs)."""
        return self._multiply(x.to(self._dtype)).float()
