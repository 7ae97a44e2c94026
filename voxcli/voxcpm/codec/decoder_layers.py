"""Layers of a decoder with depthwise convolutions, in the order in which they are applied."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from voxcli.voxcpm.codec.blocked_product import padded
from voxcli.voxcpm.codec.layers import CausalConv, Layer


@dataclass(frozen=True, slots=True)
class UnitLayers:
    """The layers of a residual unit."""

    snake: Layer
    conv: CausalConv
    second_snake: Layer
    pointwise: Layer


@dataclass(frozen=True, slots=True)
class BlockLayers:
    """The layers that raise the sampling rate once."""

    condition: Layer | None
    snake: Layer
    transposed: Layer
    rate: int
    units: Sequence[UnitLayers]


@dataclass(frozen=True, slots=True)
class DecoderLayers:
    """The prepared layers of a decoder with depthwise convolutions, in the order in which they are applied."""

    first: CausalConv
    widen: Layer
    blocks: Sequence[BlockLayers]
    snake: Layer
    last: CausalConv

    @property
    def hop(self) -> int:
        """Samples of a frame."""
        return math.prod(block.rate for block in self.blocks)

    def histories(self) -> list[tuple[int, int]]:
        """Return the samples and the stored channels of each history, in the order of the layers."""
        found = [(self.first.memory, stored_channels(self.first))]
        for block in self.blocks:
            found.append((1, padded(len(block.snake.tensors()["_alpha"]))))
            found += [(unit.conv.memory, stored_channels(unit.conv)) for unit in block.units]
        return [*found, (self.last.memory, stored_channels(self.last))]


def stored_channels(conv: CausalConv) -> int:
    return padded(conv.channels)
