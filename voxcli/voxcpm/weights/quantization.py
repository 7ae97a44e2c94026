"""Quantization: matrices held in int8 (on a CPU) or fp8 (on an NVIDIA GPU), half the bytes of bfloat16.

Relative error of a generated patch against the bfloat16 model after the same previous patches, mean and maximum, and
spectral flatness of the sound; random weights, fp8 emulated (tests/benchmarks/measure_quantized.py):

|              | float32     | int8        | fp8         | flatness: bfloat16, float32, int8, fp8 |
|--------------|-------------|-------------|-------------|----------------------------------------|
| VoxCPM-0.5B  | .025   .041 | .038   .052 | .049   .061 | .375   .375   .375   .376              |
| VoxCPM1.5    | .025   .034 | .040   .057 | .055   .075 | .383   .383   .384   .384              |
| VoxCPM2      | .039   .050 | .057   .070 | .076   .089 | .377   .378   .378   .379              |

Only matrices of transformer blocks are quantized; they are most of a model. fp8 leaves out those that cost the most
accuracy for their size, a quarter of the bytes. Mean error on VoxCPM1.5 by what is left out:

| left out of fp8               | error |
|-------------------------------|-------|
| nothing                       | .095  |
| last blocks                   | .093  |
| down_proj                     | .089  |
| first blocks                  | .075  |
| attention                     | .063  |
| attention and first blocks    | .054  |

int8 leaves out nothing: the rest would be float32, in which one block takes a CPU as long as six in int8. With outliers
(three channels in a thousand 32 times as loud) the error of int8 is four times as large, that of fp8 is unchanged.
"""

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Self, TypeAlias

import torch
from torch import Tensor

from voxcli.errors import DeviceError, RequestError
from voxcli.voxcpm.device import Placement
from voxcli.voxcpm.kernels.block_layout import has_compiler
from voxcli.voxcpm.kernels.factor_formats import INT8_MAX, round_to_int8
from voxcli.voxcpm.kernels.ops import quantize_rows_fp8
from voxcli.voxcpm.network.block_matrix import FloatMatrix
from voxcli.voxcpm.network.config import ModelConfig
from voxcli.voxcpm.network.linear import Matrix, MatrixFormat

INT8, FP8 = "int8", "fp8"

KEPT_BY_FP8 = r"\.layers\.0\.|\.self_attn\."
"""Regular expression for the names of matrices that stay unquantized under fp8."""

FormatOf: TypeAlias = Callable[[str], MatrixFormat | None]
"""From the name of a matrix, such as base_lm.layers.0.mlp.down_proj, to its format; None keeps it as it is loaded."""


_OF_SOLVER = ("feat_decoder.in_proj", "feat_decoder.out_proj")
"""Matrices that the kernel of the local DiT multiplies with in float32."""


def choose_formats(placement: Placement, quantize: str | None, config: ModelConfig) -> FormatOf:
    """Choose the format of every matrix of a model.

    Args:
        quantize: int8 for a CPU, fp8 for a CUDA device, or None.

    Raises:
        RequestError: the name is unknown, or the format is for another kind of device.
        DeviceError: this machine does not support it.
    """
    device = placement.device
    if quantize is None:
        if device.type != "cpu" or placement.dtype != torch.bfloat16:
            return lambda name: None
        return _with_kernels(_forms_of_kernels(config, int8=False), None)
    if quantize == INT8:
        check_int8(device)
        # The kernels keep keys and values in float32 or bfloat16.
        forms = {} if placement.dtype == torch.float16 else _forms_of_kernels(config, int8=True)
        other = Int8Matrix if _int8_is_exact() else None
        if not other and not any(forms.values()):
            raise DeviceError(
                "int8 needs kernels for this CPU, which exist for AVX2 and for NEON's dot product, or an exact product "
                "in PyTorch: there is neither.",
                on_command_line="Leave out --quantize. voxcli doctor says why there are no kernels.",
            )
        return _with_kernels(forms, other)
    if quantize == FP8:
        check_fp8(device)
        return in_blocks(Fp8Matrix, but=KEPT_BY_FP8)
    raise RequestError(
        f"There is no quantization {quantize!r}. Use {INT8} on a CPU, {FP8} on an NVIDIA GPU, or none.",
        on_command_line="For none, leave out --quantize.",
    )


def _forms_of_kernels(config: ModelConfig, *, int8: bool) -> Mapping[str, MatrixFormat | None]:
    """Return the format of our CPU kernels for each stack that they can run."""
    if not has_compiler():
        return {}
    from voxcli.voxcpm.network.cpu_stack import choose_form  # loads a compiler

    stacks = {
        "base_lm": config.base_lm,
        "residual_lm": config.residual_lm,
        "feat_encoder": config.local_encoder,
        "feat_decoder": config.local_dit,
    }
    return {name: choose_form(stack, int8=int8) for name, stack in stacks.items()}


def _with_kernels(forms: Mapping[str, MatrixFormat | None], other: MatrixFormat | None) -> FormatOf:
    """Use a format of its own for the matrices of a stack, and another one where there is none."""

    def format_of(name: str) -> MatrixFormat | None:
        form = forms.get(name.partition(".")[0])
        if ".layers." in name:
            return form or other
        return FloatMatrix if form and name in _OF_SOLVER else None

    return format_of


def in_blocks(form: MatrixFormat, *, but: str | None = None) -> FormatOf:
    """Use a format for the matrices of the transformer blocks, except those whose names match a regular expression."""
    return lambda name: form if ".layers." in name and not (but and re.search(but, name)) else None


_INT8_ZERO = 128
"""Level of zero in the activations, which are unsigned: without AMX, oneDNN is thousands of times slower for signed."""


class Int8Matrix(Matrix):
    """An int8 weight with one scale per output. Activations are rounded to 8 bits too, with one scale per row.

    Integer sums are exact, so the result of a row is bit-equal whatever other rows are in the batch.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """weight: (outputs, inputs), bias: (outputs,), both of any floating dtype."""
        levels, scales = round_to_int8(weight)
        self._prepare(torch.ops.onednn.qlinear_prepack(levels, None), scales, None if bias is None else bias.float())

    def _prepare(self, levels: Tensor, scales: Tensor, bias: Tensor | None) -> None:
        self._levels, self._scales, self._bias = levels, scales, bias
        self._zeros = torch.zeros(len(scales), dtype=torch.int32)

    def tensors(self) -> dict[str, Tensor]:
        found = {"levels": self._levels, "scales": self._scales}
        return found if self._bias is None else {**found, "bias": self._bias}

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        matrix = cls.__new__(cls)
        matrix._prepare(tensors["levels"], tensors["scales"], tensors.get("bias"))
        return matrix

    def __call__(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs) of the same dtype."""
        wide = x.float()
        scales = wide.abs().amax(-1, keepdim=True).mul_(1 / INT8_MAX)
        # Adding 0.5 rounds, since the conversion truncates. The levels of a row of zeros are multiplied by zero below.
        levels = (wide / scales).add_(_INT8_ZERO + 0.5).to(torch.uint8)
        y: Tensor = torch.ops.onednn.qlinear_pointwise(
            levels,
            1.0,
            _INT8_ZERO,
            self._levels,
            self._scales,
            self._zeros,
            None,
            1.0,
            0,
            torch.float32,
            "none",
            [],
            "",
        )
        y = y.mul_(scales) if self._bias is None else torch.addcmul(self._bias, y, scales)
        return y.to(x.dtype)


def check_int8(device: torch.device) -> None:
    """Raise RequestError unless a device is a CPU."""
    if device.type != "cpu":
        instead = "Use --quantize fp8, or --device cpu." if device.type == "cuda" else "Leave out --quantize."
        raise RequestError(f"int8 is for a CPU, and this runs on {device}.", on_command_line=instead)


@cache
def _int8_is_exact() -> bool:
    """Whether torch's products of the largest values are right: older CPUs add them in 16 bits, which overflow."""
    if not torch.backends.cpu.get_cpu_capability().startswith("AVX"):
        return False
    largest = torch.full((16, 64), float(INT8_MAX))
    try:
        product = Int8Matrix(largest, None)(largest)
    except (AttributeError, RuntimeError):
        return False
    return bool((product == INT8_MAX * INT8_MAX * 64).all())


_FP8_CAPABILITY = (8, 9)
"""Compute capability of the first GPUs with fp8 products: Ada. Hopper and Blackwell are later."""


class Fp8Matrix:
    """An fp8 weight with one scale per output. Activations are rounded to fp8 too, with one scale per row.

    The result of a row does not depend on the values of other rows. With another number of rows, the order of the sums
    may differ.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """weight: (outputs, inputs), both multiples of 16, bias: (outputs,), of any floating dtype."""
        levels, scales = quantize_rows_fp8(weight.contiguous())
        # torch._scaled_mm requires a column-major matrix and its scales as a row.
        self._levels, self._scales = levels.t(), scales.view(1, -1)
        self._bias = None if bias is None else bias.bfloat16()

    def __call__(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs) of the same dtype, at most as exact as bfloat16."""
        levels, scales = quantize_rows_fp8(x.reshape(-1, x.size(-1)))
        # Hopper's fast accumulation keeps 14 bits (arXiv 2412.19437, section 3.3.2), too few for thousands of products.
        y = torch._scaled_mm(
            levels,
            self._levels,
            scale_a=scales,
            scale_b=self._scales,
            bias=self._bias,
            out_dtype=torch.bfloat16,  # the only one that the CUTLASS kernels support
            use_fast_accum=False,
        )
        return y.view(*x.shape[:-1], -1).to(x.dtype)


def check_fp8(device: torch.device) -> None:
    """Check that a device supports `Fp8Matrix`.

    Raises:
        RequestError: it is not a CUDA device.
        DeviceError: it is too old, or torch does not support fp8 on it.
    """
    if device.type != "cuda":
        instead = "Use --quantize int8." if device.type == "cpu" else "Leave out --quantize."
        raise RequestError(f"fp8 is for an NVIDIA GPU, and this runs on {device}.", on_command_line=instead)
    name = torch.cuda.get_device_name(device)
    check_capability(name, torch.cuda.get_device_capability(device))
    if not _fp8_works(device):
        raise DeviceError(
            f"torch {torch.__version__} does not multiply in fp8 on {name}, although the GPU could.",
            on_command_line="Leave out --quantize, or install another version.",
        )


def check_capability(name: str, capability: tuple[int, int]) -> None:
    """Check that a GPU has fp8 products.

    Raises:
        DeviceError: it is too old.
    """
    if capability < _FP8_CAPABILITY:
        has, needs = (".".join(map(str, numbers)) for numbers in (capability, _FP8_CAPABILITY))
        raise DeviceError(
            f"fp8 needs an NVIDIA GPU of compute capability {needs} or more (Ada, Hopper, Blackwell), and {name} has "
            f"{has}.",
            on_command_line="Leave out --quantize.",
        )


@cache
def _fp8_works(device: torch.device) -> bool:
    """Whether products of one and of several rows are right: it depends on torch, GPU and system (pytorch #192707)."""
    try:
        matrix = Fp8Matrix(torch.ones(32, 64, device=device), None)
        return all(bool((matrix(torch.ones(rows, 64, device=device)) == 64).all()) for rows in (1, 18, 300))
    except (AttributeError, RuntimeError, ValueError):
        return False
