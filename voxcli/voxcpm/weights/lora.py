"""A fine-tuned voice as a small difference to some matrices (LoRA, arXiv 2106.09685), merged into them at load."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from voxcli.errors import ModelError
from voxcli.voxcpm.weights.files import find_weights, open_weights

_FILES = ("lora_weights.safetensors", "lora_weights.ckpt")
_CONFIG = "lora_config.json"
_DOWN, _UP = ".lora_A", ".lora_B"


@dataclass(frozen=True, slots=True, eq=False)
class Lora:
    """Pairs of matrices by the name of the weight they change."""

    scale: float
    pairs: dict[str, tuple[Tensor, Tensor]]
    """(r, in) and (out, r)."""

    def merged(self, name: str, weight: Tensor) -> Tensor:
        """Return the weight of that name with its difference, if it has one, computed in float32.

        Raises:
            ModelError: the difference is for a weight of another shape.
        """
        if name not in self.pairs:
            return weight
        down, up = self.pairs[name]
        if (up.size(0), down.size(1)) != tuple(weight.shape) or up.size(1) != down.size(0):
            raise ModelError(
                f"The LoRA does not fit this model: {name} is {tuple(weight.shape)}, "
                f"and it brings {tuple(up.shape)} and {tuple(down.shape)}."
            )
        return torch.addmm(weight.float(), up.float(), down.float(), alpha=self.scale)


NO_LORA = Lora(0.0, {})


def read_lora(folder: Path, known: Iterable[str]) -> Lora:
    """Read a LoRA folder.

    Args:
        known: the names of the model's weights.

    Raises:
        ModelError: a file is missing or damaged, or it belongs to another model.
    """
    path = find_weights(folder, *_FILES)
    if path is None:
        raise ModelError(f"{folder} is no LoRA folder: it has neither {' nor '.join(_FILES)}.")
    with open_weights(path) as weights:
        tensors = dict(weights.items())
    stems = {name.removesuffix(_DOWN).removesuffix(_UP) for name in tensors}
    wrong = [stem for stem in stems if stem + _DOWN not in tensors or stem + _UP not in tensors]
    foreign = sorted({stem + ".weight" for stem in stems} - set(known))
    if wrong or foreign:
        raise ModelError(f"{path} does not fit this model: {(sorted(wrong) or foreign)[0]} has no counterpart.")
    return Lora(_read_scale(folder), {f"{s}.weight": (tensors[s + _DOWN], tensors[s + _UP]) for s in stems})


def _read_scale(folder: Path) -> float:
    path = folder / _CONFIG
    try:
        config = json.loads(path.read_text("utf-8"))["lora_config"]
        return float(config["alpha"]) / float(config["r"])
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise ModelError(f"{path} cannot be read ({error}): it tells how strong the LoRA is.") from error
