"""Layers of the audio codec: they never look ahead, and what they heard last is an argument.

Sound is (B, T, C) here, the channels of a sample side by side, so that most convolutions are one matrix product. A
history is (B, samples, C), belongs to the caller and is updated in place: sound may be cut anywhere, joined it is the
same.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from voxcli.voxcpm.kernels.ops import snake
from voxcli.voxcpm.network.linear import Product


class Layer(nn.Module, ABC):
    """A layer that is loaded with the weights of a checkpoint, then prepared, then called with sound."""

    @abstractmethod
    def prepare(self, matmul_dtype: torch.dtype) -> None:
        """Lay the weights out for running on the device where they are. The layout of the checkpoint is let go."""


class Streaming(Layer):
    """A layer that needs some of the samples before the first it is given."""

    def __init__(self, memory: int, channels: int) -> None:
        """memory: how many of them."""
        super().__init__()
        self._shape = (memory, channels)

    def new_history(self, batch: int, device: torch.device) -> Tensor:
        """Return the silence before everything."""
        return torch.zeros(batch, *self._shape, device=device)


class Chain(nn.ModuleList):
    """Layers, and chains of them, one after the other. Those that stream take their histories in this order."""

    def forward(self, x: Tensor, histories: Iterator[Tensor]) -> Tensor:
        for layer in self:
            x = through(layer, x, histories)
        return x


def through(layer: nn.Module, x: Tensor, histories: Iterator[Tensor]) -> Tensor:
    """Lead sound through a layer, which takes as many histories as it needs."""
    if isinstance(layer, Streaming):
        y: Tensor = layer(x, next(histories))
    elif isinstance(layer, Layer):
        y = layer(x)
    else:
        y = layer(x, histories)
    return y


def new_histories(module: nn.Module, batch: int, device: torch.device) -> tuple[Tensor, ...]:
    """Return a fresh history for every streaming layer in a module, in the order of its layers."""
    return tuple(part.new_history(batch, device) for part in module.modules() if isinstance(part, Streaming))


class Snake(Layer):
    """x + sin²(αx) / α, with one α per channel (arXiv 2006.08195)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.empty(1, channels, 1))

    def prepare(self, matmul_dtype: torch.dtype) -> None:
        self._alpha = self.alpha.detach().flatten()
        self._inverse = (self._alpha + 1e-9).reciprocal()
        del self.alpha

    def forward(self, x: Tensor) -> Tensor:
        return snake(x, self._alpha, self._inverse)


class Pointwise(Layer):
    """A convolution of kernel 1: every sample by itself."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 1))
        self.bias = nn.Parameter(torch.empty(outputs))

    def prepare(self, matmul_dtype: torch.dtype) -> None:
        self._product = Product(self.weight.detach().squeeze(2), self.bias.detach(), matmul_dtype)
        del self.weight, self.bias

    def forward(self, x: Tensor) -> Tensor:
        return self._product(x)


class CausalConv(Streaming):
    """A convolution of stride 1."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, dilation: int = 1, groups: int = 1) -> None:
        super().__init__((kernel - 1) * dilation, inputs)
        self.weight = nn.Parameter(torch.empty(outputs, inputs // groups, kernel))
        self.bias = nn.Parameter(torch.empty(outputs))
        self._dilation, self._groups = dilation, groups

    def prepare(self, matmul_dtype: torch.dtype) -> None:
        self._kernel = self.weight.detach().unsqueeze(2).contiguous(memory_format=torch.channels_last)
        self._shift = self.bias.detach()
        del self.weight, self.bias

    def forward(self, x: Tensor, history: Tensor) -> Tensor:
        # As an image of one row, channels last: only for images does torch have convolutions in this layout.
        row = extended(x, history).transpose(1, 2).unsqueeze(2)
        y = functional.conv2d(row, self._kernel, self._shift, dilation=(1, self._dilation), groups=self._groups)
        return y.squeeze(2).transpose(1, 2)


class StridedConv(Streaming):
    """A convolution of stride `rate` and kernel 2·rate: every `rate` samples become one.

    Takes whole multiples of `rate` samples.
    """

    def __init__(self, inputs: int, outputs: int, rate: int, *, memory: int) -> None:
        """memory: how many samples before the first the first output hears."""
        super().__init__(memory, inputs)
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 2 * rate))
        self.bias = nn.Parameter(torch.empty(outputs))
        self._rate = rate

    def prepare(self, matmul_dtype: torch.dtype) -> None:
        matrix = self.weight.detach().transpose(1, 2).flatten(1)
        self._product = Product(matrix, self.bias.detach(), matmul_dtype)
        del self.weight, self.bias

    def forward(self, x: Tensor, history: Tensor) -> Tensor:
        return self._product(windows(extended(x, history), 2 * self._rate, self._rate))


class TransposedConv(Streaming):
    """A transposed convolution of stride `rate` and kernel 2·rate: every sample becomes `rate`.

    These are sums of what the sample and the one before it spread, so the two together are multiplied by one matrix.
    """

    def __init__(self, inputs: int, outputs: int, rate: int) -> None:
        super().__init__(1, inputs)
        self.weight = nn.Parameter(torch.empty(inputs, outputs, 2 * rate))
        self.bias = nn.Parameter(torch.empty(outputs))
        self._outputs = outputs

    def prepare(self, matmul_dtype: torch.dtype) -> None:
        spread = self.weight.detach().permute(2, 1, 0)  # (2·rate, outputs, inputs)
        by_this, by_the_one_before = spread.chunk(2)
        matrix = torch.cat((by_the_one_before, by_this), dim=2).flatten(0, 1)
        self._product = Product(matrix, self.bias.detach().repeat(len(by_this)), matmul_dtype)
        del self.weight, self.bias

    def forward(self, x: Tensor, history: Tensor) -> Tensor:
        y = self._product(windows(extended(x, history), 2))
        return y.reshape(x.size(0), -1, self._outputs)


def extended(x: Tensor, history: Tensor) -> Tensor:
    """Put sound behind its history, (B, samples + T, C), and keep the newest of both as the next history."""
    whole = torch.cat((history, x), dim=1)
    history.copy_(whole[:, x.size(1) :])
    return whole


def windows(x: Tensor, size: int, step: int = 1) -> Tensor:
    """Cut (B, T, C) into rows of `size` neighbouring samples, (B, rows, size·C). They may share memory."""
    return x.unfold(1, size, step).transpose(2, 3).flatten(2)
