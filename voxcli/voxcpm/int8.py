"""Matrices in 8-bit whole numbers, for a CPU."""

from functools import cache

import torch
from torch import Tensor

from voxcli.errors import DeviceError, RequestError

_MOST = 127
"""The largest of the levels; those below zero mirror those above."""

_ZERO = 128
"""The level of zero in what is multiplied. Bytes with a sign would need none, but where there is no AMX, oneDNN takes
thousands of times as long for them."""


class Int8Matrix:
    """A weight with one scale per output. What it multiplies is rounded to 8 bits too, with one scale per row.

    Integers add up exactly, so a row gives the same to the bit whatever other rows are in the batch.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """weight: (outputs, inputs), bias: (outputs,), both of any floating dtype."""
        wide = weight.float()
        self._scales = wide.abs().amax(1).div_(_MOST).clamp_(min=torch.finfo(torch.float32).tiny)
        levels = (wide / self._scales.unsqueeze(1)).round_().to(torch.int8)
        self._levels = torch.ops.onednn.qlinear_prepack(levels, None)
        self._zeros = torch.zeros(len(levels), dtype=torch.int32)
        self._bias = None if bias is None else bias.float()

    def __call__(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs) of the same dtype."""
        wide = x.float()
        scales = wide.abs().amax(-1, keepdim=True).mul_(1 / _MOST)
        # The half rounds, for what follows the point is cut off. A row of zeros becomes anything, times zero.
        levels = (wide / scales).add_(_ZERO + 0.5).to(torch.uint8)
        y: Tensor = torch.ops.onednn.qlinear_pointwise(
            levels, 1.0, _ZERO, self._levels, self._scales, self._zeros, None, 1.0, 0, torch.float32, "none", [], ""
        )
        y = y.mul_(scales) if self._bias is None else torch.addcmul(self._bias, y, scales)
        return y.to(x.dtype)


def check_int8(device: torch.device) -> None:
    """Refuse a device on which an `Int8Matrix` does not work.

    Raises:
        RequestError: it is no CPU.
        DeviceError: the CPU lacks instructions, or torch the operators.
    """
    if device.type != "cpu":
        instead = "Say --quantize fp8, or --device cpu." if device.type == "cuda" else "Leave out --quantize."
        raise RequestError(f"int8 is for a CPU, and this runs on {device}. {instead}")
    if not torch.backends.cpu.get_cpu_capability().startswith("AVX") or not _multiplies_exactly():
        raise DeviceError(
            "int8 needs an x86 CPU with AVX512-VNNI, AVX-VNNI or AMX, and a torch that uses them. Leave out --quantize."
        )


@cache
def _multiplies_exactly() -> bool:
    """Tell by trying: where products of 8 bits are added in 16, the largest ones do not fit."""
    largest = torch.full((16, 64), float(_MOST))
    try:
        product = Int8Matrix(largest, None)(largest)
    except (AttributeError, RuntimeError):
        return False
    return bool((product == _MOST * _MOST * 64).all())
