"""Tensors and settings of a LoRA for a checkpoint."""

import math
import re
from typing import Any

from tests.checkpoints.draw import Tensors, Uniform, around_zero

_LM = ["q_proj", "k_proj", "v_proj", "o_proj"]
_DIT = ["q_proj", "v_proj", "o_proj", "gate_proj", "in_proj"]
_PROJECTIONS = ["enc_to_lm_proj", "lm_to_dit_proj", "res_to_dit_proj", "fusion_concat_proj"]

_TARGETS = re.compile(
    rf"((base_lm|residual_lm)\..*\.({'|'.join(_LM)})"
    rf"|feat_decoder\.estimator\.(.*\.)?({'|'.join(_DIT)})"
    rf"|{'|'.join(_PROJECTIONS)})\.weight"
)


def lora_tensors(backbone: Tensors, rank: int) -> tuple[dict[str, Any], Tensors]:
    """Return the settings, and the two matrices of every layer in `backbone` that they select."""
    tensors: Tensors = {}
    projections = [name for name in _PROJECTIONS if f"{name}.weight" in backbone]
    for name, tensor in backbone.items():
        if not isinstance(tensor, Uniform) or not _TARGETS.fullmatch(name):
            continue
        layer = name.removesuffix(".weight")
        outputs, inputs = tensor.shape
        tensors[f"{layer}.lora_A"] = around_zero((rank, inputs), 1 / math.sqrt(inputs))
        tensors[f"{layer}.lora_B"] = around_zero((outputs, rank), 0.2 / math.sqrt(rank))
    settings = {
        "enable_lm": True,
        "enable_dit": True,
        "enable_proj": True,
        "r": rank,
        "alpha": 3 * rank,
        "dropout": 0.1,
        "target_modules_lm": _LM,
        "target_modules_dit": _DIT,
        "target_proj_modules": projections,
    }
    return settings, tensors
