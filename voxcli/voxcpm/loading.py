"""From a checkpoint's folder to a model that speaks."""

import logging
import time
from collections.abc import Callable
from pathlib import Path

import torch

from voxcli.errors import RequestError
from voxcli.voxcpm.checkpoint import count_weights, load_backbone, load_codec, size_of_weights
from voxcli.voxcpm.config import read_config
from voxcli.voxcpm.generate import Model
from voxcli.voxcpm.linear import cpu_has_bf16
from voxcli.voxcpm.memory import check_memory, shortage_told
from voxcli.voxcpm.placement import Placement
from voxcli.voxcpm.quantize import check_int8
from voxcli.voxcpm.tokenizer import Tokenizer

_log = logging.getLogger(__name__)

INT8 = "int8"


def load_model(
    folder: Path,
    placement: Placement,
    *,
    quantize: str | None = None,
    threads: int | None = None,
    lora: Path | None = None,
) -> Model:
    """Load a checkpoint and bring it into the form in which it runs fastest.

    Args:
        quantize: "int8" or None.
        threads: of the CPU; None takes what it can spare.
        lora: a folder with a fine-tuned difference.

    Raises:
        ModelError: a file is missing, damaged, or belongs to something else.
        RequestError: this cannot be done on this device.
        DeviceError: there is not enough memory.
    """
    started = time.perf_counter()
    config = read_config(folder)
    tokenizer = Tokenizer(folder, config.vocabulary)
    int8 = _choose_int8(placement, quantize)
    with shortage_told(placement.device, size_of_weights(folder)):
        check_memory(placement.device, count_weights(folder) * (1 if quantize else placement.dtype.itemsize))
        # The codec first: it is in memory three times while its weights are folded and laid out.
        codec = load_codec(folder, config.codec, placement.device, _codec_dtype(placement, quantize))
        backbone = load_backbone(folder, config, placement, lora=lora, int8=int8)
    _log.debug("%s on %s, loaded in %.2f s", folder.name, placement, time.perf_counter() - started)
    return Model(config, tokenizer, backbone, codec, threads)


def _choose_int8(placement: Placement, quantize: str | None) -> Callable[[str], bool]:
    """Tell of each matrix, by name, whether it is held in 8 bits: those of the transformer blocks, which are most."""
    if quantize is None:
        return lambda name: False
    if quantize != INT8:
        raise RequestError(f"There is no way to quantize called {quantize!r}. Say int8, or leave out --quantize.")
    check_int8(placement.device)
    return lambda name: ".layers." in name


def _codec_dtype(placement: Placement, quantize: str | None) -> torch.dtype:
    """Choose the factors of the codec's large products. Sums, and sound between them, are float32 everywhere."""
    approximate = quantize is not None or placement.dtype == torch.bfloat16
    return torch.bfloat16 if approximate and placement.device.type == "cpu" and cpu_has_bf16() else torch.float32
