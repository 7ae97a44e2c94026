"""Which matrices are held in 8 bits, and how: half the bytes of bfloat16, for some error in every product.

How far a patch is from that of the model in bfloat16 after the same patches, relative, mean and worst, and how flat the
spectrum of the sound is; with random weights, fp8 emulated (examples/measure_quantized.py):

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
from typing import TypeAlias

import torch

from voxcli.errors import RequestError
from voxcli.voxcpm.fp8 import Fp8Matrix, check_fp8
from voxcli.voxcpm.int8 import Int8Matrix, check_int8
from voxcli.voxcpm.network.linear import MatrixFormat

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
