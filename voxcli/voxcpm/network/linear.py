"""The matrix product of every layer: plain when loaded, then packed into the form that the CPU multiplies fastest."""

from collections.abc import Callable
from functools import cache, partial
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

_ROWS = 128
"""What oneDNN is told to lay weights out for. One layout serves them all: told 1, it is slow from 40 rows on."""

MatrixFormat: TypeAlias = Callable[[Tensor, Tensor | None], Callable[[Tensor], Tensor]]
"""From a weight, (outputs, inputs), and a bias, (outputs,), to x ↦ x·Wᵀ + b. It is used once they are loaded."""


class Linear(nn.Linear):
    """x ↦ x·Wᵀ + b. Packing takes `weight` away and keeps everything else as it is."""

    _product: Callable[[Tensor], Tensor] | None = None

    def forward(self, input: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs) of the same dtype."""
        return self._product(input) if self._product else functional.linear(input, self.weight, self.bias)

    def pack(self, form: MatrixFormat | None = None) -> None:
        """Bring the weight into its fastest form, and let go of what was loaded.

        Args:
            form: another to hold it in, which may be less exact.
        """
        if form is None:
            if not can_pack(self.weight.device, self.weight.dtype):
                return
            form = PackedMatrix
        self._product = form(self.weight.detach(), None if self.bias is None else self.bias.detach())
        del self.weight


class PackedMatrix:
    """A weight in oneDNN's own layout, which plain products rearrange anew at every call."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """weight: (outputs, inputs) and bias: (outputs,), of a dtype that `can_pack` affirms."""
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), _ROWS)
        self._bias = bias

    def __call__(self, x: Tensor) -> Tensor:
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._weight, self._bias, "none", [], "")
        return y


def cpu_has_bf16() -> bool:
    """Tell whether this CPU multiplies bfloat16 itself. One that imitates it takes twice as long as for float32."""
    if _is_x86():
        return torch.cpu._is_avx512_bf16_supported()
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def can_pack(device: torch.device, dtype: torch.dtype) -> bool:
    """Tell whether packing is possible and known to be faster there."""
    return device.type == "cpu" and _is_x86() and _packs(dtype)


def _is_x86() -> bool:
    return torch.backends.cpu.get_cpu_capability().startswith("AVX")


@cache
def _packs(dtype: torch.dtype) -> bool:
    """Tell by trying, for these operators are not in every build of torch, nor is every dtype for every processor."""
    try:
        PackedMatrix(torch.zeros(16, 16, dtype=dtype), None)(torch.zeros(1, 16, dtype=dtype))
    except (AttributeError, RuntimeError):
        return False
    return True


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
