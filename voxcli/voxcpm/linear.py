"""The matrix product of every layer: plain when loaded, then packed into the form that the CPU multiplies fastest."""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from voxcli.voxcpm.quantize import Int8Matrix

_ROWS = 128
"""What oneDNN is told to lay weights out for. One layout serves them all: told 1, it is slow from 40 rows on."""


class Linear(nn.Linear):
    """x ↦ x·Wᵀ + b. Packing takes `weight` away and keeps everything else as it is."""

    _product: Callable[[Tensor], Tensor] | None = None

    def forward(self, input: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs) of the same dtype."""
        return self._product(input) if self._product else functional.linear(input, self.weight, self.bias)

    def pack(self, *, int8: bool = False) -> None:
        """Bring the weight into its fastest form, and let go of what was loaded.

        Args:
            int8: in 8 bits, on a CPU that `check_int8` does not refuse.
        """
        weight, bias = self.weight.detach(), None if self.bias is None else self.bias.detach()
        if int8:
            self._product = Int8Matrix(weight, bias)
        elif can_pack(weight.device, weight.dtype):
            self._product = PackedMatrix(weight, bias)
        else:
            return
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
