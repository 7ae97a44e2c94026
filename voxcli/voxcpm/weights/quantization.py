"""Which matrices are held in 8 bits, and how: half the bytes of bfloat16, for some error in every product.

How far a patch is from that of the model in bfloat16 after the same patches, relative, mean and worst, and how flat the
spectrum of the sound is; with random weights, fp8 emulated (tests/benchmarks/measure_quantized.py):

|              | float32     | int8        | fp8         | flatness, with bfloat16 first |
|--------------|-------------|-------------|-------------|-------------------------------|
| VoxCPM-0.5B  | .025   .041 | .038   .052 | .049   .061 | .375   .375   .375   .376     |
| VoxCPM1.5    | .025   .034 | .040   .057 | .055   .075 | .383   .383   .384   .384     |
| VoxCPM2      | .039   .050 | .057   .070 | .076   .089 | .377   .378   .378   .379     |

Both hold matrices of transformer blocks only, which are most of a model. In all of them fp8 is .095 off on VoxCPM1.5;
but for the last blocks .093, for down_proj .089, for the first blocks .075, for attention .063, for attention and the
first blocks .054. So these two stay, a quarter of the bytes, in products that are small anyway. int8 keeps none: what
it does not hold is float32, in which a block takes a CPU as long as six. Where three channels in a thousand are 32
times as loud, int8 is four times as far off, and fp8 no farther.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from voxcli.errors import DeviceError, RequestError
from voxcli.voxcpm.kernels.ops import quantize_rows_fp8
from voxcli.voxcpm.network.linear import MatrixFormat

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


INT8, FP8 = "int8", "fp8"

KEPT_BY_FP8 = r"\.layers\.0\.|\.self_attn\."
"""Found in the names of the matrices that feel its rounding most for their size."""

FormatOf: TypeAlias = Callable[[str], MatrixFormat | None]
"""Tells of a matrix by its name, such as base_lm.layers.0.mlp.down_proj, how it is held; None as it is loaded."""


def choose_formats(device: torch.device, wish: str | None) -> FormatOf:
    """Find the way to hold the matrices of a model.

    Args:
        wish: int8, for a CPU, fp8, for a CUDA device, or None for neither.

    Raises:
        RequestError: there is nothing of that name, or it is for another kind of device.
        DeviceError: this machine cannot do it.
    """
    if wish is None:
        return lambda name: None
    if wish == INT8:
        check_int8(device)
        return in_blocks(Int8Matrix)
    if wish == FP8:
        check_fp8(device)
        return in_blocks(Fp8Matrix, but=KEPT_BY_FP8)
    raise RequestError(
        f"There is no way to quantize called {wish!r}. Say {INT8} on a CPU or {FP8} on an NVIDIA GPU, "
        "or leave out --quantize."
    )


def in_blocks(form: MatrixFormat, *, but: str | None = None) -> FormatOf:
    """Hold the matrices of the transformer blocks so, but for those in whose name a regular expression is found."""
    return lambda name: form if ".layers." in name and not (but and re.search(but, name)) else None


_CAPABILITY = (8, 9)
"""Of the first GPUs that multiply these numbers: Ada; Hopper and Blackwell are later."""


class Fp8Matrix:
    """A weight with one scale per output. What it multiplies is rounded to 8 bits too, with one scale per row.

    No row knows of another: with as many rows, a row gives the same to the bit whatever the others hold. With another
    number of them the order of the sum may differ.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """weight: (outputs, inputs), both multiples of 16; bias: (outputs,); of any floating dtype."""
        levels, scales = quantize_rows_fp8(weight.contiguous())
        # Columns one after another in memory, and scales as a row: torch takes no other arrangement.
        self._levels, self._scales = levels.t(), scales.view(1, -1)
        self._bias = None if bias is None else bias.bfloat16()

    def __call__(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs) of the same dtype, at most as exact as bfloat16."""
        levels, scales = quantize_rows_fp8(x.reshape(-1, x.size(-1)))
        # Hopper's faster sum keeps 14 bits (arXiv 2412.19437, section 3.3.2): too few for thousands of products.
        y = torch._scaled_mm(
            levels,
            self._levels,
            scale_a=scales,
            scale_b=self._scales,
            bias=self._bias,
            out_dtype=torch.bfloat16,  # where CUTLASS multiplies, the only one
            use_fast_accum=False,
        )
        return y.view(*x.shape[:-1], -1).to(x.dtype)


class EmulatedFp8Matrix:
    """The same product of the same rounded numbers on any device: in float32, so slower than a plain one."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """weight: (outputs, inputs), bias: (outputs,), both of any floating dtype."""
        levels, scales = quantize_rows_fp8(weight.contiguous())
        self._levels, self._scales = levels.float(), scales.view(-1)
        self._bias = torch.zeros_like(self._scales) if bias is None else bias.bfloat16().float()

    def __call__(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs) of the same dtype, at most as exact as bfloat16."""
        levels, scales = quantize_rows_fp8(x.reshape(-1, x.size(-1)))
        y = functional.linear(levels.float(), self._levels).mul_(scales).mul_(self._scales).add_(self._bias)
        return y.bfloat16().view(*x.shape[:-1], -1).to(x.dtype)


def check_fp8(device: torch.device) -> None:
    """Refuse a device on which an `Fp8Matrix` does not work.

    Raises:
        RequestError: it is no CUDA device.
        DeviceError: it is too old, or torch cannot do it there.
    """
    if device.type != "cuda":
        instead = "Say --quantize int8." if device.type == "cpu" else "Leave out --quantize."
        raise RequestError(f"fp8 is for an NVIDIA GPU, and this runs on {device}. {instead}")
    name = torch.cuda.get_device_name(device)
    check_capability(name, torch.cuda.get_device_capability(device))
    if not _multiplies(device):
        raise DeviceError(
            f"torch {torch.__version__} does not multiply in fp8 on {name}, although the GPU could. "
            "Leave out --quantize, or install another version."
        )


def check_capability(name: str, capability: tuple[int, int]) -> None:
    """Refuse a GPU that knows no such numbers.

    Raises:
        DeviceError: with what it has and what it needs.
    """
    if capability < _CAPABILITY:
        has, needs = (".".join(map(str, numbers)) for numbers in (capability, _CAPABILITY))
        raise DeviceError(
            f"fp8 needs an NVIDIA GPU of compute capability {needs} or more (Ada, Hopper, Blackwell), and {name} has "
            f"{has}. Leave out --quantize."
        )


@cache
def _multiplies(device: torch.device) -> bool:
    """Tell by trying, one row and several: versions, GPUs and systems differ (pytorch/pytorch issue 192707)."""
    try:
        matrix = Fp8Matrix(torch.ones(32, 64, device=device), None)
        return all(bool((matrix(torch.ones(rows, 64, device=device)) == 64).all()) for rows in (1, 18, 300))
    except (AttributeError, RuntimeError, ValueError):
        return False
