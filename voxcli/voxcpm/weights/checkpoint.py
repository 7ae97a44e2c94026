"""Loading of weights: strict, one block at a time, into the form that runs fastest."""

import logging
import re
from collections.abc import Callable, Mapping
from itertools import groupby
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor, nn

from voxcli.errors import ModelError
from voxcli.models.checkpoint import CODEC, WEIGHTS, find_part
from voxcli.processes import trim_heap
from voxcli.voxcpm.codec.audio_vae import AudioVAE, fold_weight_norm
from voxcli.voxcpm.device import Placement
from voxcli.voxcpm.kernels.factor_formats import FactorFormat
from voxcli.voxcpm.network.backbone import Backbone
from voxcli.voxcpm.network.config import CodecConfig, ModelConfig
from voxcli.voxcpm.network.linear import Linear
from voxcli.voxcpm.network.transformer import JoinedLinear
from voxcli.voxcpm.weights.files import open_weights, read_shapes
from voxcli.voxcpm.weights.lora import NO_LORA, Lora, read_lora
from voxcli.voxcpm.weights.quantization import FormatOf

_log = logging.getLogger(__name__)

_RENAMED = {"embed_tokens.": "base_lm.embed_tokens.", "feat_decoder.": "feat_decoder.estimator."}
"""Prefixes of our names that differ in the checkpoint."""

_UNUSED_IN_CODEC = ("encoder.fc_logvar.", "decoder.sr_bin_boundaries")
"""The variance of latents is for training only; the boundaries are in config.json too."""

_BLOCK = re.compile(r".*\.layers\.\d+(?=\.)|[^.]+")

_NAMED_AT_MOST = 6

Shapes = Mapping[str, torch.Size]

OnRead: TypeAlias = Callable[[int], object]
"""Receives how many more bytes of a file are in their place, wherever they were read from."""


def _uncounted(count: int) -> None:
    pass


def load_backbone(
    folder: Path,
    config: ModelConfig,
    placement: Placement,
    *,
    lora: Path | None = None,
    format_of: FormatOf = lambda name: None,
    on_read: OnRead = _uncounted,
) -> Backbone:
    """Load the network without its codec.

    Args:
        lora: a LoRA to merge into the weights: its folder or its file.
        format_of: chooses the matrices that are quantized.
        on_read: called for each block.

    Raises:
        ModelError: a file is missing or damaged, or a weight is missing, unknown, misshapen or not finite.
    """
    path = find_part(folder, WEIGHTS)
    backbone = new_backbone(config)
    wanted = _wanted(backbone)
    there = read_shapes(path)
    _check_fit(path, {name: shape for parts in wanted.values() for name, shape in parts.items()}, there)
    bytes_per_weight = path.stat().st_size / max(_count(there), 1)
    differences = read_lora(lora, there) if lora else NO_LORA
    for _, group in groupby(wanted, key=_block_of):
        names = list(group)
        modules = set()
        with open_weights(path) as weights:
            for name in names:
                modules.add(name.rpartition(".")[0])
                _assign(path, backbone, name, _joined(weights, wanted[name], differences, placement))
        # Block by block, so that only one of them is in memory twice.
        for name in modules:
            if isinstance(linear := backbone.get_submodule(name), Linear):
                linear.pack(format_of(name))
        trim_heap()
        on_read(int(bytes_per_weight * sum(_count(wanted[name]) for name in names)))
    backbone.prepare()
    return backbone.requires_grad_(False)


def new_backbone(config: ModelConfig) -> Backbone:
    """Return a network without weights."""
    with torch.device("meta"):
        return Backbone(config)


def new_codec(config: CodecConfig) -> AudioVAE:
    """Return a codec without weights."""
    with torch.device("meta"):
        return AudioVAE(config)


def load_codec(
    folder: Path,
    config: CodecConfig,
    device: torch.device,
    matmul_dtype: torch.dtype,
    factors: FactorFormat | None = None,
    *,
    on_read: OnRead = _uncounted,
) -> AudioVAE:
    """Load the codec, in float32.

    Args:
        matmul_dtype, factors: see `AudioVAE.prepare`.
        on_read: called for each tensor.

    Raises:
        ModelError: as for `load_backbone`.
    """
    path = find_part(folder, CODEC)
    codec = new_codec(config)
    with open_weights(path) as weights:
        tensors = fold_weight_norm(_copied(weights, on_read))
    wanted = {name: tensor.shape for name, tensor in codec.state_dict().items()}
    _check_fit(path, wanted, {name: tensor.shape for name, tensor in tensors.items()})
    for name in wanted:
        _assign(path, codec, name, tensors[name].to(device))
    codec.prepare(matmul_dtype, factors)
    return codec.requires_grad_(False)


def _copied(weights: Mapping[str, Tensor], on_read: OnRead) -> dict[str, Tensor]:
    """Return the weights that the codec uses, in float32.

    Always copied: a tensor that shares memory with the mapped file keeps all of the file mapped.
    """
    copies = {}
    for name, tensor in weights.items():
        if not name.startswith(_UNUSED_IN_CODEC):
            copies[name] = tensor.to(torch.float32, copy=True)
        on_read(tensor.nbytes)
    return copies


def count_weights(folder: Path) -> int:
    """Return the number of parameters of a checkpoint's network, without its codec."""
    return _count(read_shapes(find_part(folder, WEIGHTS)))


def size_of_weights(folder: Path) -> int:
    """Return the size of the network's file of weights, in bytes."""
    return find_part(folder, WEIGHTS).stat().st_size


def size_of_codec(folder: Path) -> int:
    """Return the size of the codec's file of weights, in bytes."""
    return find_part(folder, CODEC).stat().st_size


def _count(shapes: Shapes) -> int:
    return sum(shape.numel() for shape in shapes.values())


def _wanted(backbone: Backbone) -> dict[str, dict[str, torch.Size]]:
    """Return, for each of our tensors, the checkpoint's tensors that are joined to it, with their expected shapes."""
    joined = {f"{name}.weight": m.parts for name, m in backbone.named_modules() if isinstance(m, JoinedLinear)}
    wanted = {}
    for name, tensor in backbone.state_dict().items():
        theirs, shape = _renamed(name), tensor.shape
        if name in joined:
            stem = theirs.removesuffix(".weight").rpartition(".")[0]
            wanted[name] = {
                f"{stem}.{part}.weight": torch.Size((rows, *shape[1:])) for part, rows in joined[name].items()
            }
        else:
            wanted[name] = {theirs: shape}
    return wanted


def _renamed(name: str) -> str:
    for ours, theirs in _RENAMED.items():
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    return name


def _block_of(name: str) -> str:
    match = _BLOCK.match(name)
    return match[0] if match else name


def _check_fit(path: Path, wanted: Shapes, there: Shapes) -> None:
    """Refuse a file with missing or misshapen tensors, or with unknown tensors in a known part of the network.

    Unknown parts are leftovers from training: they are ignored, with a warning that names them.
    """
    parts = {name.partition(".")[0] for name in wanted}
    more = there.keys() - wanted.keys()
    misshapen = {
        f"{name} {tuple(there[name])} instead of {tuple(shape)}"
        for name, shape in wanted.items()
        if name in there and there[name] != shape
    }
    complaints = {
        "lacks": wanted.keys() - there.keys(),
        "has unknown": {name for name in more if name.partition(".")[0] in parts},
        "has": misshapen,
    }
    found = [f"{what} {_listing(names)}" for what, names in complaints.items() if names]
    if found:
        raise ModelError(f"{path} does not fit its config.json: it {', it '.join(found)}.")
    if more:
        _log.warning("%s: not used, left over from training: %s", path, _listing(more))


def _listing(names: set[str]) -> str:
    shown = sorted(names)[:_NAMED_AT_MOST]
    return ", ".join(shown) + (f" and {len(names) - len(shown)} more" if len(names) > len(shown) else "")


def _joined(weights: Mapping[str, Tensor], parts: Shapes, lora: Lora, placement: Placement) -> Tensor:
    # Always copied, even if it is a single tensor, for the same reason as in load_codec.
    return torch.cat([lora.merged(name, weights[name]).to(placement.device, placement.dtype) for name in parts])


def _assign(path: Path, root: nn.Module, name: str, tensor: Tensor) -> None:
    """Set the parameter of this name, after a check for NaN and infinity."""
    # Either is NaN if any value is. A sum of bfloat16 in float32 takes thirty times as long.
    if not torch.isfinite(torch.stack(tensor.aminmax())).all():
        raise ModelError(f"{path} is damaged: {name} holds values that are no numbers. Pull the model again.")
    module, _, leaf = name.rpartition(".")
    setattr(root.get_submodule(module), leaf, nn.Parameter(tensor, requires_grad=False))
