"""Prepared weights of a model: packed, quantized and folded once, kept on disk, and mapped by the next start."""

import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from voxcli.models.checkpoint import find_weights
from voxcli.voxcpm.codec.audio_vae import AudioVAE
from voxcli.voxcpm.codec.layers import Layer
from voxcli.voxcpm.kernels.factor_formats import FactorFormat
from voxcli.voxcpm.network.backbone import Backbone
from voxcli.voxcpm.network.linear import Linear
from voxcli.voxcpm.weights.packed_memory import bytes_of, layouts_in_use, tensor_of
from voxcli.voxcpm.weights.prepared_file import DamagedFile, PreparedFile
from voxcli.voxcpm.weights.prepared_folder import PreparedFolder, name_of_file
from voxcli.voxcpm.weights.quantization import FormatOf

_MATRICES = (
    *(f"{stack}.layers.0.mlp.down_proj" for stack in ("base_lm", "residual_lm", "feat_encoder", "feat_decoder")),
    "feat_decoder.in_proj",
)
"""Some whose forms tell those of all."""
_PARTS = ("backbone", "codec")
_LOW_PRIORITY = 15


class PreparedWeights:
    """The file of one model's prepared weights: of a checkpoint, for a dtype and a quantization on a CPU."""

    def __init__(
        self,
        folder: PreparedFolder,
        checkpoint: Path,
        dtype: torch.dtype,
        quantize: str | None,
        factors: FactorFormat | None,
        format_of: FormatOf,
    ) -> None:
        """
        Args:
            factors: of the codec's decoder, if it is compiled.
            format_of: of the matrices, which depends on what can be compiled here.

        Raises:
            ModelError: the checkpoint is not complete.
        """
        self._folder = folder
        named = str(dtype).removeprefix("torch.")
        self._name = name_of_file(checkpoint, named, quantize)
        self._about = {
            "weights": [str(path) for path in find_weights(checkpoint)],
            "dtype": named,
            "quantize": quantize,
            "codec": factors and factors.name,
            "forms": [getattr(format_of(name), "__name__", None) for name in _MATRICES],
            "torch": torch.__version__,
            "instructions": torch.backends.cpu.get_cpu_capability(),
            "threads": torch.get_num_threads(),  # oneDNN packs for as many
            "layouts": layouts_in_use(),
        }

    def find(self) -> PreparedFile | None:
        """Open the file, unless it is not there or was written for another torch or another number of processors."""
        file = self._folder.find(self._name) if self._about["layouts"] is not None else None
        return file if file and file.about == self._about else None

    def restore(
        self,
        file: PreparedFile,
        backbone: Backbone,
        codec: AudioVAE,
        format_of: FormatOf,
        on_read: Callable[[int], object],
    ) -> None:
        """Take the place of loading and preparing a network and a codec without weights.

        Args:
            file: from `find`; its memory is shared.
            on_read: receives how many more bytes of it are in memory.

        Raises:
            DamagedFile: it is not what was written. It has been removed.
        """
        try:
            _restore(file, (backbone, codec), format_of)
            file.check(on_read)
        except (DamagedFile, KeyError, RuntimeError, TypeError, ValueError) as error:
            self._folder.remove(file)
            raise DamagedFile(file.path) from error
        backbone.prepare()
        codec.restored_on(torch.device("cpu"))
        for part in (backbone, codec):
            part.requires_grad_(False)

    def writing(self, backbone: Backbone, codec: AudioVAE) -> "Callable[[threading.Event], None] | None":
        """Return what writes the file, or None where it cannot be read again."""
        if self._about["layouts"] is None:
            return None

        def write(cancelled: threading.Event) -> None:
            tensors = dict(_tensors_of((backbone, codec)))
            blocks = [(name, *bytes_of(tensor)) for name, tensor in tensors.items()]
            self._folder.write(self._name, self._about, blocks, cancelled)

        return write


class Keeping:
    """Writes the file on a thread of its own, once there is time for it."""

    def __init__(self, write: Callable[[threading.Event], None]) -> None:
        """write: waited for when the model is closed. It is given up when its argument is set."""
        self._write = write
        self._begun = False
        self._cancelled, self._ended = threading.Event(), threading.Event()
        self._ended.set()  # a thread that is joined counts as ended after an interrupt

    def begin(self) -> None:
        """Begin, unless that has been done or is being done."""
        if self._begun and not (self._cancelled.is_set() and self._ended.is_set()):
            return
        self._begun = True
        self._cancelled.clear()
        self._ended.clear()
        threading.Thread(target=self._run, name="keeping weights", daemon=True).start()

    def finish(self) -> None:
        """Wait until what has begun is written. An interrupt cancels it."""
        try:
            self._ended.wait()
        except KeyboardInterrupt:
            self.cancel()
            self._ended.wait()
            raise

    def cancel(self) -> None:
        """Let what is being written end at once, with nothing written."""
        if not self._ended.is_set():
            self._cancelled.set()

    def _run(self) -> None:
        try:
            if sys.platform == "linux":  # where a thread has a priority of its own
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOW_PRIORITY)
            self._write(self._cancelled)
        finally:
            self._ended.set()


def _tensors_of(parts: tuple[nn.Module, ...]) -> Iterator[tuple[str, Tensor]]:
    for part, module in zip(_PARTS, parts, strict=True):
        for name, holder in _holders(module, part):
            own = (
                holder.tensors()
                if isinstance(holder, Linear | Layer)
                else {name: parameter.detach() for name, parameter in holder.named_parameters(recurse=False)}
            )
            for leaf, tensor in own.items():
                yield f"{name}/{leaf}", tensor


def _restore(file: PreparedFile, parts: tuple[nn.Module, ...], format_of: FormatOf) -> None:
    memory = torch.frombuffer(file.memory, dtype=torch.uint8)
    tensors: dict[str, dict[str, Tensor]] = {}
    for name, block in file.blocks.items():
        holder, _, leaf = name.rpartition("/")
        at = block["at"]
        tensors.setdefault(holder, {})[leaf] = tensor_of(block, memory[at : at + block["size"]])
    for part, module in zip(_PARTS, parts, strict=True):
        for name, found in list(_holders(module, part)):
            _give(found, tensors.pop(name, {}), format_of(name.removeprefix(f"{part}.")))
    if tensors:
        raise KeyError(next(iter(tensors)))


def _give(holder: nn.Module, tensors: Mapping[str, Tensor], form: Any) -> None:
    if isinstance(holder, Linear):
        holder.restore(tensors, form)
    elif isinstance(holder, Layer):
        holder.restore(tensors)
    else:
        for name, _ in list(holder.named_parameters(recurse=False)):
            setattr(holder, name, nn.Parameter(tensors[name], requires_grad=False))


def _holders(module: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    """Yield the modules that hold tensors of their own, with their names. Layers are taken as a whole."""
    yield name, module
    if not isinstance(module, Linear | Layer):
        for child_name, child in module.named_children():
            yield from _holders(child, f"{name}.{child_name}")
