"""Names and shapes of the codec's tensors, with weight normalization: direction `weight_v` and magnitude `weight_g`."""

import math

import numpy as np

from tests.checkpoints.configs import Config
from tests.checkpoints.draw import Tensors, Uniform, around_zero

_DEFAULTS_1: Config = {
    "encoder_dim": 128,
    "encoder_rates": [2, 5, 8, 8],
    "latent_dim": 64,
    "decoder_dim": 1536,
    "decoder_rates": [8, 8, 5, 2],
    "depthwise": True,
}
_DEFAULTS_2: Config = _DEFAULTS_1 | {
    "decoder_dim": 2048,
    "decoder_rates": [8, 6, 5, 2, 2, 2],
    "sr_bin_boundaries": [20000, 30000, 40000],
}


def codec_tensors(config: Config) -> Tensors:
    """Return the tensors of audiovae.pth, including the encoder's log-variance, which inference does not use."""
    defaults = _DEFAULTS_2 if config.get("architecture") == "voxcpm2" else _DEFAULTS_1
    codec = defaults | config.get("audio_vae_config", {})
    return _encoder(codec) | _decoder(codec)


def _encoder(codec: Config) -> Tensors:
    width = codec["encoder_dim"]
    tensors = _convolution("encoder.block.0", 1, width, 7, gain=2.0)
    for number, rate in enumerate(codec["encoder_rates"], start=1):
        block = f"encoder.block.{number}.block"
        tensors |= _residual_units(block, 0, width, codec["depthwise"])
        tensors |= _snake(f"{block}.3", width)
        tensors |= _convolution(f"{block}.4", width, 2 * width, 2 * rate)
        width *= 2
    tensors |= _convolution("encoder.fc_mu", width, codec["latent_dim"], 3, gain=2.5)
    return tensors | _convolution("encoder.fc_logvar", width, codec["latent_dim"], 3)


def _decoder(codec: Config) -> Tensors:
    latent, width = codec["latent_dim"], codec["decoder_dim"]
    if codec["depthwise"]:
        tensors = _convolution("decoder.model.0", latent, latent, 7, groups=latent)
        tensors |= _convolution("decoder.model.1", latent, width, 1)
        first = 2
    else:
        tensors = _convolution("decoder.model.0", latent, width, 7)
        first = 1
    boundaries = codec.get("sr_bin_boundaries")
    for number, rate in enumerate(codec["decoder_rates"], start=first):
        block = f"decoder.model.{number}.block"
        tensors |= _snake(f"{block}.0", width)
        tensors |= _transposed(f"{block}.1", width, width // 2, rate)
        tensors |= _residual_units(block, 2, width // 2, codec["depthwise"])
        if boundaries is not None:
            tensors |= _rate_condition(f"decoder.sr_cond_model.{number}", len(boundaries) + 1, width)
        width //= 2
    last = first + len(codec["decoder_rates"])
    tensors |= _snake(f"decoder.model.{last}", width)
    tensors |= _convolution(f"decoder.model.{last + 1}", width, 1, 7, gain=0.15)
    if boundaries is not None:
        tensors["decoder.sr_bin_boundaries"] = np.array(boundaries, np.int32)
    return tensors


def _residual_units(block: str, first: int, width: int, depthwise: bool) -> Tensors:
    tensors: Tensors = {}
    for number in range(first, first + 3):
        unit = f"{block}.{number}.block"
        tensors |= _snake(f"{unit}.0", width)
        tensors |= _convolution(f"{unit}.1", width, width, 7, groups=width if depthwise else 1)
        tensors |= _snake(f"{unit}.2", width)
        tensors |= _convolution(f"{unit}.3", width, width, 1, gain=0.5)
    return tensors


def _snake(name: str, width: int) -> Tensors:
    return {f"{name}.alpha": Uniform((1, width, 1), 0.2, 1.5)}


def _rate_condition(name: str, rates: int, width: int) -> Tensors:
    return {
        f"{name}.scale_embed.weight": Uniform((rates, width), 0.7, 1.3),
        f"{name}.bias_embed.weight": around_zero((rates, width), 0.2),
    }


def _convolution(name: str, inputs: int, outputs: int, kernel: int, *, groups: int = 1, gain: float = 1.0) -> Tensors:
    shape = (outputs, inputs // groups, kernel)
    return {f"{name}.bias": around_zero((outputs,), 0.05)} | _weight(name, shape, gain)


def _transposed(name: str, inputs: int, outputs: int, rate: int) -> Tensors:
    """Draw a transposed convolution. Each output sample is a sum over two taps of every input channel."""
    gain = math.sqrt(outputs * rate / inputs)
    return {f"{name}.bias": around_zero((outputs,), 0.05)} | _weight(name, (inputs, outputs, 2 * rate), gain)


def _weight(name: str, shape: tuple[int, int, int], gain: float) -> Tensors:
    return {
        f"{name}.weight_g": Uniform((shape[0], 1, 1), 0.6 * gain, 1.0 * gain),
        f"{name}.weight_v": around_zero(shape, 1.0),
    }
