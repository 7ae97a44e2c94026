"""From a checkpoint's folder to a model that speaks."""

import logging
import time
from pathlib import Path

import torch

from voxcli.voxcpm.device import Placement
from voxcli.voxcpm.memory import check_memory, count_slots, translate_out_of_memory
from voxcli.voxcpm.model import Model
from voxcli.voxcpm.network.config import read_config
from voxcli.voxcpm.network.linear import cpu_has_bf16
from voxcli.voxcpm.runtime.eager_runner import EagerRunner
from voxcli.voxcpm.runtime.graph_runner import GraphRunner
from voxcli.voxcpm.runtime.scheduler import Runner
from voxcli.voxcpm.runtime.slots import bytes_per_slot
from voxcli.voxcpm.tokenizer import Tokenizer
from voxcli.voxcpm.weights.checkpoint import count_weights, load_backbone, load_codec, size_of_weights
from voxcli.voxcpm.weights.quantization import choose_formats

_log = logging.getLogger(__name__)


def load_model(
    folder: Path,
    placement: Placement,
    *,
    quantize: str | None = None,
    threads: int | None = None,
    lora: Path | None = None,
    slots: int | None = None,
    graphs: bool = True,
    lazy_graphs: bool = False,
) -> Model:
    """Load a checkpoint and bring it into the form in which it runs fastest.

    Args:
        quantize: one of the ways that `choose_formats` knows, or None.
        threads: of the CPU; None takes what it can spare.
        lora: a folder with a fine-tuned difference.
        slots: streams at once; None takes what there is memory for.
        graphs: whether a CUDA device runs by graphs, which is the same sound sooner.
        lazy_graphs: record them when they are first used, not now.

    Raises:
        ModelError: a file is missing, damaged, or belongs to something else.
        RequestError: this cannot be done on this device.
        DeviceError: there is not enough memory.
    """
    started = time.perf_counter()
    config = read_config(folder)
    tokenizer = Tokenizer(folder, config.vocabulary)
    format_of = choose_formats(placement.device, quantize)
    with translate_out_of_memory(placement.device, size_of_weights(folder)):
        check_memory(placement.device, count_weights(folder) * (1 if quantize else placement.dtype.itemsize))
        # The codec first: it is in memory three times while its weights are folded and laid out.
        codec = load_codec(folder, config.codec, placement.device, _codec_dtype(placement, quantize))
        backbone = load_backbone(folder, config, placement, lora=lora, format_of=format_of)
        slots = count_slots(placement.device, bytes_per_slot(config, codec, placement.dtype), slots)
        runner: Runner = (
            GraphRunner(backbone, codec, slots, lazy=lazy_graphs)
            if graphs and placement.device.type == "cuda"
            else EagerRunner(backbone, codec, threads)
        )
    _log.debug("%s on %s, %d slots, loaded in %.2f s", folder.name, placement, slots, time.perf_counter() - started)
    return Model(config, tokenizer, backbone, codec, runner, slots)


def _codec_dtype(placement: Placement, quantize: str | None) -> torch.dtype:
    """Choose the factors of the codec's large products. Sums, and sound between them, are float32 everywhere."""
    approximate = quantize is not None or placement.dtype == torch.bfloat16
    return torch.bfloat16 if approximate and placement.device.type == "cpu" and cpu_has_bf16() else torch.float32
