"""Random checkpoints in the layout of the published ones: the same seed gives the same files on every machine."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from tests.checkpoints.backbone import backbone_tensors
from tests.checkpoints.codec import codec_tensors
from tests.checkpoints.configs import FAMILIES, Config, config_of
from tests.checkpoints.draw import Tensors
from tests.checkpoints.files import Stored, write_safetensors, write_torch
from tests.checkpoints.lora import lora_tensors
from tests.checkpoints.tokenizer import write_tokenizer

__all__ = ["FAMILIES", "CodecFile", "ModelFile", "Stored", "write_checkpoint", "write_lora"]

ModelFile = Literal["safetensors", "bin", "bin-state-dict"]
CodecFile = Literal["pth", "pth-bare", "safetensors"]
"""The published codecs are "pth": their weights are under the key `state_dict`."""


def write_checkpoint(
    folder: Path,
    family: str,
    seed: int,
    *,
    size: Literal["tiny", "full"] = "tiny",
    weights: ModelFile = "safetensors",
    codec: CodecFile = "pth",
    stored: Stored = "bfloat16",
    changes: Mapping[str, Any] | None = None,
) -> Config:
    """Write a checkpoint into `folder`, and return its config.

    Args:
        family: one of FAMILIES.
        size: "full" has the published dimensions, except for the tokenizer, which is always small.
        stored: dtype of the model's weights in the file. The codec's are float32, as published.
        changes: merged recursively into config.json.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = config_of(family, size, changes or {})
    (folder / "config.json").write_text(json.dumps(config, indent=2), "utf-8")
    write_tokenizer(folder)

    model = backbone_tensors(config)
    if weights == "safetensors":
        write_safetensors(folder / "model.safetensors", model, seed, stored)
    else:
        write_torch(folder / "pytorch_model.bin", model, seed, stored, bare=weights == "bin")

    sound = codec_tensors(config)
    if codec == "safetensors":
        write_safetensors(folder / "audiovae.safetensors", sound, seed, "float32")
    else:
        write_torch(folder / "audiovae.pth", sound, seed, "float32", bare=codec == "pth-bare")
    return config


def write_lora(
    folder: Path, checkpoint: Path, seed: int, *, weights: Literal["safetensors", "ckpt"] = "safetensors", rank: int = 4
) -> None:
    """Write a LoRA for the language models, the local DiT and the projections of `checkpoint` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    config = json.loads((checkpoint / "config.json").read_text("utf-8"))
    settings, tensors = lora_tensors(backbone_tensors(config), rank)
    about = {"base_model": checkpoint.name, "lora_config": settings}
    (folder / "lora_config.json").write_text(json.dumps(about, indent=2), "utf-8")
    _write_lora_weights(folder, tensors, seed, weights)


def _write_lora_weights(folder: Path, tensors: Tensors, seed: int, weights: str) -> None:
    if weights == "safetensors":
        write_safetensors(folder / "lora_weights.safetensors", tensors, seed, "float32")
    else:
        write_torch(folder / "lora_weights.ckpt", tensors, seed, "float32", bare=False)
