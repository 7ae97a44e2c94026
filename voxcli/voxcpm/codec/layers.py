"""Streaming layers of the audio codec: causal, with the history of their input as an argument.

Activations are (B, T, C), channels last, so that most convolutions are one matrix product. A history is
(B, samples, C), belongs to the caller and is updated in place: a signal may be cut into pieces anywhere without any
difference to the output.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from voxcli.voxcpm.codec.blocked_product import BlockedProduct
from voxcli.voxcpm.kernels.ops import snake
from voxcli.voxcpm.network.linear import Matrix, Product


class NewProduct(Protocol):
    """Converts a weight, (outputs, inputs), and a bias, (outputs,), to the form in which they are multiplied."""

    def __call__(self, weight: Tensor, bias: Tensor, *, parts: int = 1, taps: int = 1) -> Matrix:
        """
        Args:
            parts: successive samples that the outputs consist of.
            taps: successive samples that the inputs consist of.
        """


def rounding_to(dtype: torch.dtype) -> NewProduct:
    """Return a conversion that rounds factors to a dtype."""

    def new_product(weight: Tensor, bias: Tensor, *, parts: int = 1, taps: int = 1) -> Matrix:
        return Product(weight, bias, dtype)

    return new_product


class Layer(nn.Module, ABC):
    """A layer that is loaded with the weights of a checkpoint, then prepared, then called."""

    @abstractmethod
    def prepare(self, new_product: NewProduct) -> None:
        """Convert the weights to the layout they are used in, on their device, and free the checkpoint's layout."""

    def tensors(self) -> dict[str, Tensor]:
        """Return what a prepared layer consists of, by name, for `restore`."""
        found: dict[str, Tensor] = {}
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                found[name] = value
            elif isinstance(value, Matrix):
                found.update({f"{name}.{part}": tensor for part, tensor in value.tensors().items()})
        return found

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the place of loading and preparing, with the tensors of a prepared layer of the same shape."""
        self._parameters.clear()
        self._modules.clear()
        products: dict[str, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            attribute, _, part = name.partition(".")
            if part:
                products.setdefault(attribute, {})[part] = tensor
            else:
                setattr(self, attribute, tensor)
        for attribute, parts in products.items():
            setattr(self, attribute, (BlockedProduct if "blocks" in parts else Product).of_tensors(parts))


class Streaming(Layer):
    """A layer whose output depends on earlier samples too."""

    def __init__(self, memory: int, channels: int) -> None:
        """
        Args:
            memory: number of earlier samples.
            channels: of each sample.
        """
        super().__init__()
        self.memory, self.channels = memory, channels

    def new_history(self, batch: int, device: torch.device) -> Tensor:
        """Return an initial history of zeros, (batch, memory, channels)."""
        return torch.zeros(batch, self.memory, self.channels, device=device)


class Chain(nn.ModuleList):
    """Layers and chains of layers in sequence. Streaming layers take their histories in this order."""

    def forward(self, x: Tensor, histories: Iterator[Tensor]) -> Tensor:
        for layer in self:
            x = through(layer, x, histories)
        return x


def through(layer: nn.Module, x: Tensor, histories: Iterator[Tensor]) -> Tensor:
    """Apply a layer, which takes as many histories as it needs."""
    if isinstance(layer, Streaming):
        y: Tensor = layer(x, next(histories))
    elif isinstance(layer, Layer):
        y = layer(x)
    else:
        y = layer(x, histories)
    return y


def new_histories(module: nn.Module, batch: int, device: torch.device) -> tuple[Tensor, ...]:
    """Return an initial history for every streaming layer of a module, in the order of its layers."""
    return tuple(part.new_history(batch, device) for part in module.modules() if isinstance(part, Streaming))


class Snake(Layer):
    """x + sin²(αx) / α, with one α per channel (arXiv 2006.08195)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.empty(1, channels, 1))

    def prepare(self, new_product: NewProduct) -> None:
        self._alpha = self.alpha.detach().flatten()
        self._inverse = (self._alpha + 1e-9).reciprocal()
        del self.alpha

    def forward(self, x: Tensor) -> Tensor:
        return snake(x, self._alpha, self._inverse)


class Pointwise(Layer):
    """A convolution of kernel size 1."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 1))
        self.bias = nn.Parameter(torch.empty(outputs))

    def prepare(self, new_product: NewProduct) -> None:
        self._product = new_product(self.weight.detach().squeeze(2), self.bias.detach())
        del self.weight, self.bias

    def forward(self, x: Tensor) -> Tensor:
        return self._product(x)


class CausalConv(Streaming):
    """A convolution of stride 1."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, dilation: int = 1, groups: int = 1) -> None:
        super().__init__((kernel - 1) * dilation, inputs)
        self.weight = nn.Parameter(torch.empty(outputs, inputs // groups, kernel))
        self.bias = nn.Parameter(torch.empty(outputs))
        self.dilation, self._groups = dilation, groups

    def prepare(self, new_product: NewProduct) -> None:
        self._kernel = self.weight.detach().unsqueeze(2).contiguous(memory_format=torch.channels_last)
        self._shift = self.bias.detach()
        del self.weight, self.bias

    def forward(self, x: Tensor, history: Tensor) -> Tensor:
        # As an image of one row: torch has channels-last convolutions for images only.
        row = extended(x, history).transpose(1, 2).unsqueeze(2)
        y = functional.conv2d(row, self._kernel, self._shift, dilation=(1, self.dilation), groups=self._groups)
        return y.squeeze(2).transpose(1, 2)


class StridedConv(Streaming):
    """A convolution of stride `rate` and kernel size 2·rate.

    The number of samples must be a multiple of `rate`.
    """

    def __init__(self, inputs: int, outputs: int, rate: int, *, memory: int) -> None:
        """memory: number of earlier samples that the first output depends on."""
        super().__init__(memory, inputs)
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 2 * rate))
        self.bias = nn.Parameter(torch.empty(outputs))
        self._rate = rate

    def prepare(self, new_product: NewProduct) -> None:
        matrix = self.weight.detach().transpose(1, 2).flatten(1)
        self._product = new_product(matrix, self.bias.detach())
        del self.weight, self.bias

    def forward(self, x: Tensor, history: Tensor) -> Tensor:
        return self._product(windows(extended(x, history), 2 * self._rate, self._rate))


class TransposedConv(Streaming):
    """A transposed convolution of stride `rate` and kernel size 2·rate.

    Each output depends on one sample and the one before it, so both together are multiplied by one matrix.
    """

    def __init__(self, inputs: int, outputs: int, rate: int) -> None:
        super().__init__(1, inputs)
        self.weight = nn.Parameter(torch.empty(inputs, outputs, 2 * rate))
        self.bias = nn.Parameter(torch.empty(outputs))
        self._outputs = outputs
        self.rate = rate

    def prepare(self, new_product: NewProduct) -> None:
        spread = self.weight.detach().permute(2, 1, 0)  # (2·rate, outputs, inputs)
        by_this, by_the_one_before = spread.chunk(2)
        matrix = torch.cat((by_the_one_before, by_this), dim=2).flatten(0, 1)
        parts = len(by_this)
        self._product = new_product(matrix, self.bias.detach().repeat(parts), parts=parts, taps=2)
        del self.weight, self.bias

    def forward(self, x: Tensor, history: Tensor) -> Tensor:
        y = self._product(windows(extended(x, history), 2))
        return y.reshape(x.size(0), -1, self._outputs)


def extended(x: Tensor, history: Tensor) -> Tensor:
    """Return history and input joined, (B, samples + T, C), and update the history to the newest samples."""
    whole = torch.cat((history, x), dim=1)
    history.copy_(whole[:, x.size(1) :])
    return whole


def windows(x: Tensor, size: int, step: int = 1) -> Tensor:
    """Return sliding windows of (B, T, C) as rows of `size` samples, (B, rows, size·C), which may share memory."""
    return x.unfold(1, size, step).transpose(2, 3).flatten(2)
