"""Loading of a model: config, tokenizer, weights and the runner for its device."""

import logging
import time
from pathlib import Path

import torch

from voxcli.synthesis.loading import LoadingStage, OnLoading, StageCounter, ignore_loading
from voxcli.voxcpm.device import Placement
from voxcli.voxcpm.memory import check_memory, count_slots, translate_out_of_memory
from voxcli.voxcpm.model import Model
from voxcli.voxcpm.network.backbone import Backbone
from voxcli.voxcpm.network.config import CONFIG_FILE, ModelConfig, read_config
from voxcli.voxcpm.network.linear import cpu_has_bf16
from voxcli.voxcpm.runtime.eager_runner import EagerRunner
from voxcli.voxcpm.runtime.graph_runner import GraphRunner
from voxcli.voxcpm.runtime.scheduler import Runner
from voxcli.voxcpm.runtime.slots import bytes_per_slot
from voxcli.voxcpm.tokenizer import Tokenizer
from voxcli.voxcpm.weights.checkpoint import (
    OnRead,
    count_weights,
    describe_weights,
    load_backbone,
    load_codec,
    size_of_codec,
    size_of_weights,
)
from voxcli.voxcpm.weights.int8_cache import DamagedCache, Int8Cache
from voxcli.voxcpm.weights.quantization import INT8, FormatOf, choose_formats

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
    quantized: Path | None = None,
    on_loading: OnLoading = ignore_loading,
) -> Model:
    """Load a checkpoint and prepare it for its device.

    Args:
        quantize: int8, fp8 or None; see `choose_formats`.
        threads: fixed number of CPU threads; None uses one per core.
        lora: a LoRA to merge into the weights: its folder or its weights file.
        slots: streams at once; None takes as many as fit into memory.
        graphs: run a CUDA device with CUDA graphs, which is faster and gives the same samples.
        lazy_graphs: capture them on first use instead of now.
        quantized: folder in which int8 matrices are kept for the next start; None keeps them in memory only.
        on_loading: receives the progress.

    Raises:
        ModelError: a file is missing, damaged, or belongs to something else.
        RequestError: the device does not support the requested format.
        DeviceError: there is not enough memory.
    """
    started = time.perf_counter()
    config = read_config(folder)
    tokenizer = Tokenizer(folder, config.vocabulary)
    format_of = choose_formats(placement.device, quantize)
    with translate_out_of_memory(placement.device, size_of_weights(folder)):
        check_memory(placement.device, count_weights(folder) * (1 if quantize else placement.dtype.itemsize))
        kept = quantized if quantize == INT8 and not lora else None  # a LoRA may change under the same name
        cache = _open_cache(folder, placement, kept)
        quantizing = quantize is not None and not cache.exists
        counted = size_of_codec(folder) + (0 if quantizing else size_of_weights(folder))
        reading = StageCounter(on_loading, LoadingStage.READING, counted)
        # The codec first: it is in memory three times while its weights are prepared.
        codec_dtype = _codec_dtype(placement, quantize)
        codec = load_codec(folder, config.codec, placement.device, codec_dtype, on_read=reading.advance)
        if quantizing:
            reading.finish()
            reading = StageCounter(on_loading, LoadingStage.QUANTIZING, size_of_weights(folder))
        backbone = _load_backbone(folder, config, placement, lora, format_of, cache, reading.advance)
        reading.finish()
        slots = count_slots(placement.device, bytes_per_slot(config, codec, placement.dtype), slots)
        runner: Runner = (
            GraphRunner(backbone, codec, slots, lazy=lazy_graphs, on_loading=on_loading)
            if graphs and placement.device.type == "cuda"
            else EagerRunner(backbone, codec, threads)
        )
    _log.debug("%s on %s, %d slots, loaded in %.2f s", folder.name, placement, slots, time.perf_counter() - started)
    return Model(config, tokenizer, backbone, codec, runner, slots)


def _open_cache(folder: Path, placement: Placement, kept: Path | None) -> Int8Cache:
    described = (describe_weights(folder), torch.__version__, placement.dtype)
    return Int8Cache(kept, (*(str(part).encode() for part in described), (folder / CONFIG_FILE).read_bytes()))


def _load_backbone(
    folder: Path,
    config: ModelConfig,
    placement: Placement,
    lora: Path | None,
    format_of: FormatOf,
    cache: Int8Cache,
    on_read: OnRead,
) -> Backbone:
    """Load the network, with int8 matrices from the cache if they are there."""
    try:
        with cache.opened():
            chosen = cache.format_of(format_of)
            return load_backbone(
                folder, config, placement, lora=lora, format_of=chosen, kept=cache.names, on_read=on_read
            )
    except DamagedCache:
        return load_backbone(folder, config, placement, lora=lora, format_of=format_of, on_read=on_read)


def _codec_dtype(placement: Placement, quantize: str | None) -> torch.dtype:
    """Choose the dtype of the factors in the codec's matrix products; sums and activations are always float32."""
    approximate = quantize is not None or placement.dtype == torch.bfloat16
    return torch.bfloat16 if approximate and placement.device.type == "cpu" and cpu_has_bf16() else torch.float32
