"""Loading of a model: config, tokenizer, weights and the runner for its device."""

import logging
import time
from functools import partial
from pathlib import Path

import torch

from voxcli.synthesis.loading import LoadingStage, OnLoading, StageCounter, ignore_loading
from voxcli.voxcpm.codec.audio_vae import AudioVAE
from voxcli.voxcpm.device import Placement, prepare_device
from voxcli.voxcpm.kernels.block_layout import has_compiler
from voxcli.voxcpm.kernels.factor_formats import FactorFormat
from voxcli.voxcpm.memory import check_memory, count_slots, translate_out_of_memory
from voxcli.voxcpm.model import Model
from voxcli.voxcpm.network.backbone import Backbone
from voxcli.voxcpm.network.config import ModelConfig, read_config
from voxcli.voxcpm.network.linear import cpu_has_bf16
from voxcli.voxcpm.runtime.device_thread import DeviceThread, load_on_new_thread
from voxcli.voxcpm.runtime.eager_runner import EagerRunner, cpu_threads
from voxcli.voxcpm.runtime.graph_runner import GraphRunner
from voxcli.voxcpm.runtime.kernel_compilation import Call, KernelCompilation, triton_calls
from voxcli.voxcpm.runtime.runner import Runner
from voxcli.voxcpm.runtime.slots import bytes_per_slot
from voxcli.voxcpm.tokenizer import Tokenizer
from voxcli.voxcpm.weights.checkpoint import (
    count_weights,
    load_backbone,
    load_codec,
    new_backbone,
    new_codec,
    size_of_codec,
    size_of_weights,
)
from voxcli.voxcpm.weights.prepared import Keeping, PreparedWeights
from voxcli.voxcpm.weights.prepared_file import DamagedFile
from voxcli.voxcpm.weights.prepared_folder import PreparedFolder
from voxcli.voxcpm.weights.quantization import FP8, FormatOf, choose_formats

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
    prepared: PreparedFolder | None = None,
    kernels: Path | None = None,
    on_loading: OnLoading = ignore_loading,
) -> Model:
    """Load a checkpoint and prepare it for its device, on a thread of the model's own.

    An interrupt ends it as soon as the next block of weights is there, or the next kernel or graph.

    Args:
        quantize: int8, fp8 or None; see `choose_formats`.
        threads: fixed number of CPU threads; None uses one per core.
        lora: a LoRA to merge into the weights: its folder or its weights file.
        slots: streams at once; None takes as many as fit into memory.
        graphs: run a CUDA device with CUDA graphs, which is faster and gives the same samples.
        lazy_graphs: capture them on first use instead of now.
        prepared: where the weights are kept as they are used on a CPU, for the next start; None keeps nothing.
        kernels: folder in which compiled code for a CPU is kept; None compiles it again.
        on_loading: receives the progress.

    Raises:
        ModelError: a file is missing, damaged, or belongs to something else.
        RequestError: the device does not support the requested format.
        DeviceError: there is not enough memory.
    """

    def load(thread: DeviceThread, on_loading: OnLoading) -> Model:
        prepare_device(placement.device)
        config = read_config(folder)
        tokenizer = Tokenizer(folder, config.vocabulary)
        compilation = KernelCompilation(partial(_uncompiled, config, placement, quantize, kernels))
        with translate_out_of_memory(placement.device, size_of_weights(folder)), compilation:
            check_memory(placement.device, count_weights(folder) * (1 if quantize else placement.dtype.itemsize))
            with cpu_threads(placement.device, threads):
                backbone, codec, keeping = _networks(folder, config, placement, quantize, lora, prepared, on_loading)
                compilation.finish(on_loading)
                backbone.use_kernels(kernels)
                codec.compile(kernels)
            found = count_slots(placement.device, bytes_per_slot(config, codec, placement.dtype), slots)
            runner: Runner = (
                GraphRunner(backbone, codec, found, lazy=lazy_graphs, on_loading=on_loading)
                if graphs and placement.device.type == "cuda"
                else EagerRunner(backbone, codec, threads)
            )
        return Model(config, tokenizer, backbone, codec, runner, found, keeping, thread)

    started = time.perf_counter()
    model = load_on_new_thread(load, on_loading)
    took = time.perf_counter() - started
    _log.debug("%s on %s, %d slots, loaded in %.2f s", folder.name, placement, model.slots, took)
    return model


def _uncompiled(config: ModelConfig, placement: Placement, quantize: str | None, kernels: Path | None) -> list[Call]:
    """Return what compiles the kernels of a model that are not on disk.

    Args:
        kernels: folder of compiled code for a CPU.
    """
    if placement.device.type == "cuda":
        return triton_calls(config, placement.device, placement.dtype, fp8=quantize == FP8)
    if not _approximates(placement, quantize) or not has_compiler():
        return []
    from voxcli.voxcpm.codec.native_decoder import uncompiled_decoder
    from voxcli.voxcpm.network.cpu_stack import uncompiled_stacks

    stacks = (config.base_lm, config.residual_lm, config.local_encoder, config.local_dit)
    factors = _codec_factors(placement, quantize)
    found = uncompiled_decoder(factors, kernels) if factors and config.codec.depthwise else []
    return [*found, *uncompiled_stacks(stacks, placement.dtype, kernels, int8=quantize is not None)]


def _networks(
    folder: Path,
    config: ModelConfig,
    placement: Placement,
    quantize: str | None,
    lora: Path | None,
    prepared: PreparedFolder | None,
    on_loading: OnLoading,
) -> tuple[Backbone, AudioVAE, Keeping | None]:
    """Return a network, a codec, and what writes their weights later, if they are to be kept."""
    format_of = choose_formats(placement, quantize, config)
    factors = _codec_factors(placement, quantize)
    # A LoRA may change under the same name.
    kept = (
        PreparedWeights(prepared, folder, placement.dtype, quantize, factors, format_of)
        if prepared and not lora and placement.device.type == "cpu"
        else None
    )
    restored = kept and _restored(kept, config, format_of, on_loading)
    backbone, codec = restored or _loaded(folder, config, placement, quantize, lora, format_of, factors, on_loading)
    write = kept.writing(backbone, codec) if kept and not restored else None
    return backbone, codec, Keeping(write) if write else None


def _restored(
    kept: PreparedWeights, config: ModelConfig, format_of: FormatOf, on_loading: OnLoading
) -> tuple[Backbone, AudioVAE] | None:
    """Return a network and a codec with the weights that an earlier start has prepared, if there are any."""
    file = kept.find()
    if file is None:
        return None
    reading = StageCounter(on_loading, LoadingStage.READING, len(file.memory))
    backbone, codec = new_backbone(config), new_codec(config.codec)
    try:
        kept.restore(file, backbone, codec, format_of, reading.advance)
    except DamagedFile:
        return None
    reading.finish()
    return backbone, codec


def _loaded(
    folder: Path,
    config: ModelConfig,
    placement: Placement,
    quantize: str | None,
    lora: Path | None,
    format_of: FormatOf,
    factors: FactorFormat | None,
    on_loading: OnLoading,
) -> tuple[Backbone, AudioVAE]:
    """Return a network and a codec with the weights of a checkpoint."""
    counted = size_of_codec(folder) + (0 if quantize else size_of_weights(folder))
    reading = StageCounter(on_loading, LoadingStage.READING, counted)
    # The codec first: it is in memory three times while its weights are prepared.
    codec_dtype = _codec_dtype(placement, quantize)
    codec = load_codec(folder, config.codec, placement.device, codec_dtype, factors, on_read=reading.advance)
    if quantize:
        reading.finish()
        reading = StageCounter(on_loading, LoadingStage.QUANTIZING, size_of_weights(folder))
    backbone = load_backbone(folder, config, placement, lora=lora, format_of=format_of, on_read=reading.advance)
    reading.finish()
    return backbone, codec


def _codec_dtype(placement: Placement, quantize: str | None) -> torch.dtype:
    """Choose the dtype of the factors in the codec's matrix products; sums and activations are always float32."""
    return torch.bfloat16 if _approximates(placement, quantize) and cpu_has_bf16() else torch.float32


def _codec_factors(placement: Placement, quantize: str | None) -> FactorFormat | None:
    """Choose the factors of a decoder that is compiled for this processor; None leaves it to torch."""
    if not _approximates(placement, quantize) or not has_compiler():
        return None
    from voxcli.voxcpm.kernels.cpu.factors import choose_format
    from voxcli.voxcpm.kernels.cpu.targets import find_target

    return choose_format(find_target(), quantized=quantize is not None)


def _approximates(placement: Placement, quantize: str | None) -> bool:
    return placement.device.type == "cpu" and (quantize is not None or placement.dtype == torch.bfloat16)
