"""Matrices in the layout of our CPU kernels: blocks of 16 outputs, with the inputs of a group side by side."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Self

import torch
from torch import Tensor
from torch.nn import functional

from voxcli.voxcpm.kernels.block_layout import INT8_OFFSET, WORDS
from voxcli.voxcpm.kernels.factor_formats import FLOAT16_PRODUCTS, INT8_MAX, round_to_int8
from voxcli.voxcpm.network.linear import Matrix


class BlockMatrix(Matrix):
    """A weight that a stack's kernel multiplies with. Called by itself, it does the same with plain operations."""

    outputs: ClassVar[int] = WORDS
    """Of a block."""
    group: ClassVar[int]
    """Inputs that lie side by side."""

    blocks: Tensor
    """(blocks, inputs / group, outputs of a block, group)."""
    scales: Tensor | None
    """(outputs,) in float32."""

    @abstractmethod
    def unpacked(self) -> Tensor:
        """Return the weight, (outputs, inputs) in float32."""

    def tensors(self) -> dict[str, Tensor]:
        return {"blocks": self.blocks} if self.scales is None else {"blocks": self.blocks, "scales": self.scales}

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        matrix = cls.__new__(cls)
        matrix.blocks, matrix.scales = tensors["blocks"], tensors.get("scales")
        return matrix

    @classmethod
    def _arranged(cls, weight: Tensor) -> Tensor:
        """Arrange a weight, (outputs, inputs), in blocks."""
        inputs = weight.size(1)
        return weight.view(-1, cls.outputs, inputs // cls.group, cls.group).transpose(1, 2).contiguous()

    def _rows(self) -> Tensor:
        blocks, groups, outputs, group = self.blocks.shape
        return self.blocks.transpose(1, 2).reshape(blocks * outputs, groups * group)


class Bf16Blocks(BlockMatrix):
    """A bfloat16 weight."""

    group = 2

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """weight: (outputs, inputs), multiples of 16 and 2. There must be no bias."""
        assert bias is None
        self.blocks, self.scales = self._arranged(weight.bfloat16()), None

    def unpacked(self) -> Tensor:
        return self._rows().float()

    def __call__(self, x: Tensor) -> Tensor:
        return functional.linear(x.float(), self.unpacked()).to(x.dtype)


class HalfBlocks(BlockMatrix):
    """A float16 weight with one scale per output, which holds a bfloat16 weight without loss but for tiny numbers.

    Activations are rounded to float16 too.
    """

    outputs, group = 2 * WORDS, 1

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """weight: (outputs, inputs), outputs a multiple of 32. There must be no bias."""
        assert bias is None
        wide = weight.float()
        # Powers of two, which change no digit.
        exponents = wide.abs().amax(1).clamp_(min=torch.finfo(torch.float32).tiny).log2().ceil_()
        self.scales = exponents.exp2().mul_(FLOAT16_PRODUCTS)
        self.blocks = self._arranged((wide / self.scales.unsqueeze(1)).half())

    def unpacked(self) -> Tensor:
        assert self.scales is not None
        return self._rows().float() * self.scales.unsqueeze(1)

    def __call__(self, x: Tensor) -> Tensor:
        limit = torch.finfo(torch.float16).max
        return functional.linear(x.float().clamp(-limit, limit).half().float(), self.unpacked()).to(x.dtype)


class Int8Blocks(BlockMatrix):
    """An int8 weight with one scale per output. Activations are rounded to 8 bits too, with one scale per row.

    Integer sums are exact, so the result of a row is bit-equal whatever other rows are in the batch.
    """

    group = 4

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """weight: (outputs, inputs), multiples of 16 and 4, of any floating dtype. There must be no bias."""
        assert bias is None
        levels, self.scales = round_to_int8(weight)
        self.blocks = self._arranged(levels.to(torch.int16).add_(INT8_OFFSET).to(torch.uint8))

    def unpacked(self) -> Tensor:
        assert self.scales is not None
        return self._levels() * self.scales.unsqueeze(1)

    def __call__(self, x: Tensor) -> Tensor:
        assert self.scales is not None
        levels, scales = round_rows_to_int8(x.float())
        # In float64, where sums of integers are exact.
        sums = functional.linear(levels.double(), self._levels().double()).float()
        return (sums * scales * self.scales).to(x.dtype)

    def _levels(self) -> Tensor:
        return self._rows().float() - INT8_OFFSET


class FloatMatrix(Matrix):
    """A weight and a bias in float32, for the few products that kernels do in float32."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """weight: (outputs, inputs), bias: (outputs,)."""
        assert bias is not None
        self.weight, self.bias = weight.float().contiguous(), bias.float()

    def __call__(self, x: Tensor) -> Tensor:
        return functional.linear(x.float(), self.weight, self.bias).to(x.dtype)

    def tensors(self) -> dict[str, Tensor]:
        return {"weight": self.weight, "bias": self.bias}

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        matrix = cls.__new__(cls)
        matrix.weight, matrix.bias = tensors["weight"], tensors["bias"]
        return matrix


def round_rows_to_int8(x: Tensor) -> tuple[Tensor, Tensor]:
    """Round each row of (..., width) to levels of int8, in float32, and return them and the scales, (..., 1)."""
    largest = x.abs().amax(-1, keepdim=True).clamp_(min=torch.finfo(torch.float32).tiny * INT8_MAX)
    return (x * (INT8_MAX / largest)).round_(), largest * (1 / INT8_MAX)
