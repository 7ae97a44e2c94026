"""Low-rank adaptations (LoRA, arXiv 2106.09685), merged into the weights at load time."""

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from voxcli.errors import ModelError
from voxcli.voxcpm.weights.files import find_weights, open_weights

_FILES = ("lora_weights.safetensors", "lora_weights.ckpt")
LORA_CONFIG = "lora_config.json"
_DOWN, _UP = ".lora_A", ".lora_B"

_DEFAULT_ALPHA = 16.0
"""Default of the `voxcpm` package, in its Python interface and on its command line."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Lora:
    """Pairs of low-rank matrices, by the name of the weight that they change."""

    scale: float
    pairs: dict[str, tuple[Tensor, Tensor]]
    """A, (r, inputs), and B, (outputs, r)."""

    def merged(self, name: str, weight: Tensor) -> Tensor:
        """Return W + scale * B @ A in float32, or the weight itself if the LoRA does not change it.

        Args:
            weight: W, (outputs, inputs).

        Raises:
            ModelError: the matrices do not fit the shape of the weight.
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


def read_lora(path: Path, known: Iterable[str]) -> Lora:
    """Read a LoRA.

    Args:
        path: a folder with lora_weights.safetensors or .ckpt, or a file of weights (.safetensors, .ckpt or .pth).
            The settings are in lora_config.json in the same folder.
        known: the names of the model's weights.

    Raises:
        ModelError: a file is missing or damaged, or belongs to another model.
    """
    file = path if path.is_file() else find_weights(path, *_FILES)
    if file is None:
        raise ModelError(f"{path} is no LoRA folder: it has neither {' nor '.join(_FILES)}.")
    with open_weights(file) as weights:
        tensors = dict(weights.items())
    stems = {name.removesuffix(_DOWN).removesuffix(_UP) for name in tensors}
    wrong = [stem for stem in stems if stem + _DOWN not in tensors or stem + _UP not in tensors]
    foreign = sorted({stem + ".weight" for stem in stems} - set(known))
    if wrong or foreign:
        raise ModelError(f"{file} does not fit this model: {(sorted(wrong) or foreign)[0]} has no counterpart.")
    ranks = {len(tensors[stem + _DOWN]) for stem in stems}
    if len(ranks) != 1:
        raise ModelError(f"{file} holds matrices of different ranks: {sorted(ranks)}.")
    scale = _read_scale(file.with_name(LORA_CONFIG), ranks.pop())
    return Lora(scale, {f"{stem}.weight": (tensors[stem + _DOWN], tensors[stem + _UP]) for stem in stems})


def _read_scale(path: Path, rank: int) -> float:
    """Return alpha / r. Without a config, alpha is the default of the reference implementation."""
    try:
        config = json.loads(path.read_text("utf-8"))["lora_config"]
        alpha, config_rank = float(config["alpha"]), int(config["r"])
    except FileNotFoundError:
        _log.warning("%s is missing: the LoRA is applied with the default alpha, %g", path, _DEFAULT_ALPHA)
        return _DEFAULT_ALPHA / rank
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} cannot be read ({error!r}). It must give r and alpha under lora_config.") from error
    if config_rank != rank:
        raise ModelError(f"{path} gives rank {config_rank}, but the weights next to it have rank {rank}.")
    return alpha / rank
