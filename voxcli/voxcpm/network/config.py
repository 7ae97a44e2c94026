"""Model configuration, read from config.json. The three versions of VoxCPM differ by these values only."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from voxcli.errors import ModelError
from voxcli.synthesis.request import LEAST_SYLLABLES, Abilities
from voxcli.text.marks import VOXCPM2_TAGS
from voxcli.text.phonemes import Alphabet

CONFIG_FILE = "config.json"


class Architecture(StrEnum):
    """The value of `architecture` in config.json, in lower case. VoxCPM-0.5B and VoxCPM1.5 are both V1."""

    V1 = "voxcpm"
    V2 = "voxcpm2"


def abilities_of_model(architecture: Architecture) -> Abilities:
    """Return what a model makes use of."""
    newest = architecture is Architecture.V2
    return Abilities(
        styles=newest,
        bare_clips=newest,
        least_syllables=LEAST_SYLLABLES,
        tags=VOXCPM2_TAGS if newest else frozenset(),
        phonemes=frozenset({Alphabet.ARPABET, Alphabet.PINYIN}),
    )


@dataclass(frozen=True, slots=True)
class RopeConfig:
    """Rotary embedding with one factor per frequency (LongRoPE, arXiv 2402.13753)."""

    theta: float
    factors: tuple[float, ...]
    """One per pair of the head dimension: the long or the short ones, depending on the context length."""
    scale: float
    """Factor on the cos and sin tables."""


@dataclass(frozen=True, slots=True)
class StackConfig:
    """One stack of transformer blocks."""

    hidden: int
    ffn: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    norm_eps: float
    residual_scale: float
    rope: RopeConfig | None


@dataclass(frozen=True, slots=True)
class CodecConfig:
    """The audio codec, a causal convolutional autoencoder."""

    encoder_dim: int
    encoder_rates: tuple[int, ...]
    latent_dim: int
    decoder_dim: int
    decoder_rates: tuple[int, ...]
    depthwise: bool
    input_rate: int
    """Hz, of the samples that the encoder takes."""
    output_rate: int
    """Hz, of the samples that the decoder returns."""
    rate_boundaries: tuple[int, ...] | None
    """Hz: boundaries of the output-rate buckets that condition the decoder; None without conditioning."""
    v2: bool
    """VoxCPM2 pads its strided convolutions by `rate % 2` samples less."""

    @property
    def input_hop(self) -> int:
        """Input samples per latent frame."""
        return math.prod(self.encoder_rates)

    @property
    def output_hop(self) -> int:
        """Output samples per latent frame."""
        return math.prod(self.decoder_rates)


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Configuration of a whole model."""

    architecture: Architecture
    base_lm: StackConfig
    residual_lm: StackConfig
    local_encoder: StackConfig
    local_dit: StackConfig
    vocabulary: int
    embedding_scale: float
    patch_size: int
    """Latent frames per patch."""
    latent_dim: int
    fsq_dim: int
    fsq_scale: int
    max_length: int
    """Positions of a sequence: text, clips and generated patches together."""
    dtype: str
    dit_mean_mode: bool
    """Whether the local DiT is told the length of each solver step besides its time."""
    codec: CodecConfig

    @property
    def context_patches(self) -> int:
        """Patches of a prompt that are decoded before the first generated one, to fill the codec's state."""
        return 3 if self.architecture is Architecture.V2 else 2

    @property
    def patch_samples(self) -> int:
        """Output samples per patch."""
        return self.patch_size * self.codec.output_hop


def read_config(folder: Path) -> ModelConfig:
    """Read the config.json of a checkpoint.

    Raises:
        ModelError: it is missing, damaged or describes something else.
    """
    path = folder / CONFIG_FILE
    try:
        document = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"{folder} is no VoxCPM model: it has no {CONFIG_FILE}.") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}. Pull the model again.") from error
    try:
        return _model(document)
    except KeyError as error:
        raise ModelError(f"{path} has no {error}: this is no VoxCPM model, or a damaged one.") from error
    except (TypeError, ValueError, AttributeError, IndexError) as error:
        raise ModelError(f"{path} cannot be understood: {error}.") from error


def _model(document: Mapping[str, Any]) -> ModelConfig:
    name = str(document.get("architecture", Architecture.V1)).lower()
    if name not in tuple(Architecture):
        raise ValueError(f"the architecture {name!r} is unknown; voxcli knows {', '.join(Architecture)}")
    v2 = name == Architecture.V2
    lm = document["lm_config"]
    base = _language_model(lm)
    no_rope = document.get("residual_lm_no_rope", False)
    residual = _layers(base, document.get("residual_lm_num_layers", 8 if v2 else 6), lm)
    config = ModelConfig(
        architecture=Architecture(name),
        base_lm=base,
        residual_lm=replace(residual, rope=None) if no_rope else residual,
        local_encoder=_local(document["encoder_config"], lm),
        local_dit=_local(document["dit_config"], lm),
        vocabulary=int(lm["vocab_size"]),
        embedding_scale=float(lm["scale_emb"]) if lm.get("use_mup", True) else 1.0,
        patch_size=int(document.get("patch_size", 4 if v2 else 2)),
        latent_dim=int(document.get("feat_dim", 64)),
        fsq_dim=int(document.get("scalar_quantization_latent_dim", 512 if v2 else 256)),
        fsq_scale=int(document.get("scalar_quantization_scale", 9)),
        max_length=int(document.get("max_length", 8192 if v2 else 4096)),
        dtype=str(document.get("dtype", "bfloat16")),
        dit_mean_mode=bool((document["dit_config"] if v2 else document).get("dit_mean_mode", False)),
        codec=_codec(document.get("audio_vae_config") or {}, v2=v2),
    )
    if config.codec.latent_dim != config.latent_dim:
        raise ValueError(f"latents are {config.latent_dim} wide, but those of the codec {config.codec.latent_dim}")
    return config


def _language_model(lm: Mapping[str, Any]) -> StackConfig:
    hidden, heads = int(lm["hidden_size"]), int(lm["num_attention_heads"])
    head_dim = int(lm.get("kv_channels") or hidden // heads)
    return _layers(
        StackConfig(
            hidden=hidden,
            ffn=int(lm["intermediate_size"]),
            layers=0,
            heads=heads,
            kv_heads=int(lm["num_key_value_heads"]),
            head_dim=head_dim,
            norm_eps=float(lm["rms_norm_eps"]),
            residual_scale=1.0,
            rope=None if lm.get("no_rope", False) else _rope(lm, head_dim),
        ),
        lm["num_hidden_layers"],
        lm,
    )


def _local(local: Mapping[str, Any], lm: Mapping[str, Any]) -> StackConfig:
    """Configure the local encoder or DiT, which take kv heads and rotary factors from the language model."""
    return _language_model(
        {
            **lm,
            "hidden_size": local.get("hidden_dim", 1024),
            "intermediate_size": local.get("ffn_dim", 4096),
            "num_attention_heads": local.get("num_heads", 16),
            "num_hidden_layers": local.get("num_layers", 4),
            "kv_channels": local.get("kv_channels"),
        }
    )


def _layers(stack: StackConfig, layers: Any, lm: Mapping[str, Any]) -> StackConfig:
    scale = float(lm["scale_depth"]) / math.sqrt(int(layers)) if lm.get("use_mup", True) else 1.0
    return replace(stack, layers=int(layers), residual_scale=scale)


def _rope(lm: Mapping[str, Any], head_dim: int) -> RopeConfig:
    scaling, positions = lm["rope_scaling"], int(lm["max_position_embeddings"])
    original = int(scaling["original_max_position_embeddings"])
    factors = tuple(map(float, scaling["long_factor" if positions > original else "short_factor"]))
    if len(factors) != head_dim // 2:
        raise ValueError(f"{len(factors)} rotary factors for heads of {head_dim}")
    scale = math.sqrt(1 + math.log(positions / original) / math.log(original))
    return RopeConfig(float(lm["rope_theta"]), factors, scale)


def _codec(codec: Mapping[str, Any], *, v2: bool) -> CodecConfig:
    if codec.get("cond_out_layer") or codec.get("cond_type", "scale_bias") not in ("scale_bias", "scale_bias_init"):
        raise ValueError(f"the codec is conditioned by {codec.get('cond_type')!r}, which no published model is")
    if codec.get("use_noise_block"):
        raise ValueError("the codec adds noise, which no published model does")
    rate = int(codec.get("sample_rate", 16000))
    boundaries = codec.get("sr_bin_boundaries", [20000, 30000, 40000]) if v2 else None
    return CodecConfig(
        encoder_dim=int(codec.get("encoder_dim", 128)),
        encoder_rates=tuple(map(int, codec.get("encoder_rates", [2, 5, 8, 8]))),
        latent_dim=int(codec.get("latent_dim", 64)),
        decoder_dim=int(codec.get("decoder_dim", 2048 if v2 else 1536)),
        decoder_rates=tuple(map(int, codec.get("decoder_rates", [8, 6, 5, 2, 2, 2] if v2 else [8, 8, 5, 2]))),
        depthwise=bool(codec.get("depthwise", True)),
        input_rate=rate,
        output_rate=int(codec.get("out_sample_rate", 48000)) if v2 else rate,
        rate_boundaries=None if boundaries is None else tuple(map(int, boundaries)),
        v2=v2,
    )
