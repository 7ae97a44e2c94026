"""Products in the layout of the native decoder."""

from collections.abc import Mapping
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

from voxcli.voxcpm.kernels.factor_formats import BLOCK, FactorFormat, format_of
from voxcli.voxcpm.network.linear import Matrix


def padded(channels: int) -> int:
    """Return how many channels are stored for a number of channels."""
    return -(-channels // BLOCK) * BLOCK


class BlockedProduct(Matrix):
    """A weight in the blocks that the native decoder multiplies with."""

    def __init__(self, weight: Tensor, bias: Tensor, factors: FactorFormat, *, parts: int = 1, taps: int = 1) -> None:
        """
        Args:
            weight: (parts * outputs, taps * inputs).
            bias: (parts * outputs,).
        """
        grid = weight.float().view(parts, -1, taps, weight.size(1) // taps)
        rows, inputs = (padded(grid.size(axis)) for axis in (1, 3))
        filled = functional.pad(grid, (0, inputs - grid.size(3), 0, 0, 0, rows - grid.size(1)))
        rounded, scales = factors.round(filled.reshape(parts * rows, taps * inputs))
        offsets = functional.pad(bias.float().view(parts, -1), (0, rows - grid.size(1))).flatten()
        self._prepare(factors.pack(rounded), scales, offsets, torch.tensor(grid.shape))

    def _prepare(self, blocks: Tensor, scales: Tensor, bias: Tensor, shape: Tensor) -> None:
        self.blocks, self.scales, self.bias, self._shape = blocks, scales, bias, shape
        self.factors = format_of(blocks)

    def __call__(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs), slowly."""
        parts, rows, taps, inputs = self._shape.tolist()
        grid = (self.factors.unpack(self.blocks).float() * self.scales.unsqueeze(1)).view(parts, padded(rows), taps, -1)
        weight = grid[:, :rows, :, :inputs].reshape(parts * rows, taps * inputs)
        return functional.linear(x, weight, self.bias.view(parts, -1)[:, :rows].flatten())

    def tensors(self) -> dict[str, Tensor]:
        return {"blocks": self.blocks, "scales": self.scales, "bias": self.bias, "shape": self._shape}

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        product = cls.__new__(cls)
        product._prepare(tensors["blocks"], tensors["scales"], tensors["bias"], tensors["shape"])
        return product
