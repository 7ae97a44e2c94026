"""Formats of the factors of products on CPUs: how weights are rounded and laid out in blocks of 32 outputs."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

BLOCK = 32
"""Outputs of a block of weights."""
_HALF = BLOCK // 2

FLOAT16_PRODUCTS = 64
"""Products that are added up in float16. With weights of at most 1/64, such a sum is not above the largest
activation."""
BYTE_SCALE = 2**-13
"""What weights in int8 are multiplied with as they are read, so that they are at most 1/64."""
INT8_MAX = 127
"""Largest level; the levels are symmetric around zero."""


def round_to_int8(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Round a weight, (outputs, inputs), to levels of int8 of the same shape, and one float32 scale per output."""
    wide = weight.float()
    scales = wide.abs().amax(1).div_(INT8_MAX).clamp_(min=torch.finfo(torch.float32).tiny)
    return (wide / scales.unsqueeze(1)).round_().to(torch.int8), scales


class FactorFormat(ABC):
    """A format of weights and activations. Sums are float32."""

    name: ClassVar[str]
    activation: ClassVar[torch.dtype]
    """Type as wide as an activation in memory."""

    @property
    def few_rows(self) -> "FactorFormat":
        """Format of a matrix that meets a few rows at a time."""
        return self

    @property
    def many_rows(self) -> "FactorFormat":
        """Format of the other matrices."""
        return self

    @abstractmethod
    def round(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Round a weight, (outputs, inputs) in float32, and return it with a float32 scale for each output."""

    @abstractmethod
    def pack(self, rounded: Tensor) -> Tensor:
        """Lay out a rounded weight, (outputs, inputs), in blocks: (outputs / 32, inputs, ...)."""

    @abstractmethod
    def unpack(self, packed: Tensor) -> Tensor:
        """Return the rounded weight, (outputs, inputs)."""


class Wide(FactorFormat):
    """Weights in bfloat16, widened as they are read, and activations in float32: products are exact.

    32 bits hold the weights of an output and of the one 16 further.
    """

    name, activation = "wide", torch.float32

    def round(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return weight.bfloat16(), torch.ones(len(weight))

    def pack(self, rounded: Tensor) -> Tensor:
        return rounded.view(-1, 2, _HALF, rounded.size(1)).permute(0, 3, 2, 1).contiguous()

    def unpack(self, packed: Tensor) -> Tensor:
        return packed.permute(0, 3, 2, 1).flatten(0, 2)


class Paired(FactorFormat):
    """Weights and activations in bfloat16. 32 bits hold the weights of an output for two inputs."""

    name, activation = "paired", torch.int16

    def round(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return weight.bfloat16(), torch.ones(len(weight))

    def pack(self, rounded: Tensor) -> Tensor:
        inputs = rounded.size(1)
        return rounded.view(-1, BLOCK, inputs // 2, 2).transpose(1, 2).reshape(-1, inputs, BLOCK)

    def unpack(self, packed: Tensor) -> Tensor:
        blocks, inputs, _ = packed.shape
        return packed.view(blocks, inputs // 2, BLOCK, 2).transpose(1, 2).reshape(-1, inputs)


class Half(FactorFormat):
    """Weights and activations in float16, which is more exact than bfloat16, and twice as fast as float32.

    Weights are scaled to 1/64 at most, so that no sum overflows.
    """

    name, activation = "half", torch.int32  # twice in 32 bits: processors read and spread these in one step, but not 16

    def round(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        least = torch.finfo(torch.float32).tiny * FLOAT16_PRODUCTS
        scales = weight.abs().amax(1).clamp_(min=least).mul_(FLOAT16_PRODUCTS)
        return (weight / scales.unsqueeze(1)).half(), scales

    def pack(self, rounded: Tensor) -> Tensor:
        return rounded.view(-1, BLOCK, rounded.size(1)).transpose(1, 2).contiguous()

    def unpack(self, packed: Tensor) -> Tensor:
        return packed.transpose(1, 2).flatten(0, 1)


class Bytes(Half):
    """Weights in int8, half the bytes of the others, and activations as for `Half`. For products with few rows."""

    name = "bytes"

    def round(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        levels, scales = round_to_int8(weight)
        return levels, scales / BYTE_SCALE

    def unpack(self, packed: Tensor) -> Tensor:
        return super().unpack(packed) * BYTE_SCALE


class HalfAndBytes(Half):
    """`Half`, with the largest matrix in int8, which is read for a row or a few: 47 dB from float32 become 41."""

    name = "half and bytes"

    @property
    def few_rows(self) -> FactorFormat:
        return BYTES

    @property
    def many_rows(self) -> FactorFormat:
        return HALF


WIDE, PAIRED, HALF, BYTES, HALF_AND_BYTES = Wide(), Paired(), Half(), Bytes(), HalfAndBytes()


def format_of(packed: Tensor) -> FactorFormat:
    """Return the format of a packed weight."""
    if packed.dtype == torch.int8:
        return BYTES
    if packed.dtype == torch.float16:
        return HALF
    return WIDE if packed.ndim == 4 else PAIRED
