"""Matrix products of all layers: plain when loaded, then packed into the layout that is fastest on the device."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import cache
from typing import Self, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

_ROWS = 128
"""Batch size that oneDNN lays weights out for. With 1 it would be slow from 40 rows on; 128 is good for all sizes."""

MatrixFormat: TypeAlias = Callable[[Tensor, Tensor | None], Callable[[Tensor], Tensor]]
"""From a weight, (outputs, inputs), and a bias, (outputs,), to the function x ↦ x·Wᵀ + b."""


class Matrix(ABC):
    """A weight and a bias in the form in which they are multiplied. It can be kept as tensors."""

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs)."""

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """Return what it consists of, by name."""

    @classmethod
    @abstractmethod
    def of_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        """Return the matrix that consists of these tensors, which it shares."""


class Linear(nn.Linear):
    """x ↦ x·Wᵀ + b. Packing replaces `weight` by another layout or format."""

    _product: Callable[[Tensor], Tensor] | None = None

    @property
    def packed(self) -> Callable[[Tensor], Tensor] | None:
        """What the weight has been packed as."""
        return self._product

    def forward(self, input: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs) of the same dtype."""
        return self._product(input) if self._product else functional.linear(input, self.weight, self.bias)

    def pack(self, form: MatrixFormat | None = None) -> None:
        """Convert the weight to its fastest form, and free the loaded one.

        Args:
            form: a quantized format; None keeps the precision.
        """
        if form is None:
            if not can_pack(self.weight.device, self.weight.dtype):
                return
            form = PackedMatrix
        self._product = form(self.weight.detach(), None if self.bias is None else self.bias.detach())
        del self.weight

    def tensors(self) -> dict[str, Tensor]:
        """Return what it consists of, by name, for `restore`."""
        if self._product is None:
            return {name: parameter.detach() for name, parameter in self.named_parameters(recurse=False)}
        assert isinstance(self._product, Matrix)
        return self._product.tensors()

    def restore(self, tensors: Mapping[str, Tensor], form: MatrixFormat | None = None) -> None:
        """Take the place of loading and packing.

        Args:
            tensors: of a packed layer of the same shape.
            form: the quantized format in which it was packed.
        """
        if form is None and not is_packed(tensors["weight"]):
            for name, tensor in tensors.items():
                setattr(self, name, nn.Parameter(tensor, requires_grad=False))
            return
        chosen = form or PackedMatrix
        assert isinstance(chosen, type)
        assert issubclass(chosen, Matrix)
        self._product = chosen.of_tensors(tensors)
        del self.weight


class PackedMatrix(Matrix):
    """A weight in oneDNN's own layout, which plain products would convert to at every call."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """weight: (outputs, inputs) and bias: (outputs,), of a dtype for which `can_pack` is true."""
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), _ROWS)
        self._bias = bias

    def __call__(self, x: Tensor) -> Tensor:
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._weight, self._bias, "none", [], "")
        return y

    def tensors(self) -> dict[str, Tensor]:
        return {"weight": self._weight} if self._bias is None else {"weight": self._weight, "bias": self._bias}

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        matrix = cls.__new__(cls)
        matrix._weight, matrix._bias = tensors["weight"], tensors.get("bias")
        return matrix


def is_packed(weight: Tensor) -> bool:
    """Whether a tensor is in a layout of oneDNN's own."""
    return weight.layout is torch._mkldnn  # type: ignore[attr-defined]


def cpu_has_bf16() -> bool:
    """Whether the CPU has bfloat16 products. Emulated ones take twice as long as float32."""
    if _is_x86():
        return torch.cpu._is_avx512_bf16_supported()
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def can_pack(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether packing works on this device and is known to be faster."""
    return device.type == "cpu" and _is_x86() and _packs(dtype)


def _is_x86() -> bool:
    return torch.backends.cpu.get_cpu_capability().startswith("AVX")


@cache
def _packs(dtype: torch.dtype) -> bool:
    """Whether a packed product works: it depends on the build of torch, the dtype and the processor."""
    try:
        PackedMatrix(torch.zeros(16, 16, dtype=dtype), None)(torch.zeros(1, 16, dtype=dtype))
    except (AttributeError, RuntimeError):
        return False
    return True


class Product(Matrix):
    """x ↦ x·Wᵀ + b in float32, with factors rounded to another dtype and sums in float32."""

    def __init__(self, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> None:
        """weight: (outputs, inputs), bias: (outputs,), dtype: of the factors."""
        weight, bias = weight.to(dtype).contiguous(), bias.to(dtype)
        packed = can_pack(weight.device, dtype)
        self._prepare(PackedMatrix(weight, bias).tensors() if packed else {"weight": weight, "bias": bias})

    def _prepare(self, tensors: Mapping[str, Tensor]) -> None:
        self._weight, self._bias = tensors["weight"], tensors["bias"]
        self._packed = PackedMatrix.of_tensors(tensors) if is_packed(self._weight) else None

    def __call__(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs)."""
        factor = x.to(self._bias.dtype)
        y = self._packed(factor) if self._packed else functional.linear(factor, self._weight, self._bias)
        return y.float()

    def tensors(self) -> dict[str, Tensor]:
        return {"weight": self._weight, "bias": self._bias}

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        product = cls.__new__(cls)
        product._prepare(tensors)
        return product
