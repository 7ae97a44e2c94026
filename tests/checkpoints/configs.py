"""Configs of the three families, in the published dimensions and in tiny ones."""

import copy
from collections.abc import Mapping
from typing import Any

Config = dict[str, Any]

FAMILIES = ("voxcpm-0.5b", "voxcpm-1.5", "voxcpm-2")


def config_of(family: str, size: str, changes: Mapping[str, Any]) -> Config:
    """Return a new config, with `changes` merged into it recursively."""
    return _merged(copy.deepcopy(_CONFIGS[size][family]), changes)


def _merged(config: Config, changes: Mapping[str, Any]) -> Config:
    for key, value in changes.items():
        config[key] = _merged(config.get(key, {}), value) if isinstance(value, Mapping) else value
    return config


def _rope(pairs: int, positions: int) -> Config:
    """Return LongRoPE factors for `pairs` frequencies, trained for `positions`."""
    return {
        "type": "longrope",
        "short_factor": [round(1 + 0.03 * pair, 2) for pair in range(pairs)],
        "long_factor": [round(1 + 0.4 * pair, 1) for pair in range(pairs)],
        "original_max_position_embeddings": positions,
    }


def _lm(hidden: int, ffn: int, layers: int, heads: int, vocabulary: int, **others: Any) -> Config:
    return {
        "bos_token_id": 1,
        "eos_token_id": 2,
        "hidden_size": hidden,
        "intermediate_size": ffn,
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-05,
        "rope_theta": 10000.0,
        "vocab_size": vocabulary,
        "scale_emb": 12,
        "dim_model_base": 256,
        "scale_depth": 1.4,
        "use_mup": False,
        **others,
    }


def _local(hidden: int, ffn: int, layers: int, heads: int, **others: Any) -> Config:
    return {"hidden_dim": hidden, "ffn_dim": ffn, "num_heads": heads, "num_layers": layers, **others}


_CFM = {"sigma_min": 1e-06, "solver": "euler", "t_scheduler": "log-norm", "inference_cfg_rate": 2.0}

_RATES_05B = {"encoder_rates": [2, 5, 8, 8], "decoder_rates": [8, 8, 5, 2], "sample_rate": 16000}
_RATES_15 = {"encoder_rates": [2, 3, 6, 7, 7], "decoder_rates": [7, 7, 6, 3, 2], "sample_rate": 44100}
_RATES_2 = {
    "encoder_rates": [2, 5, 8, 8],
    "decoder_rates": [8, 6, 5, 2, 2, 2],
    "sample_rate": 16000,
    "out_sample_rate": 48000,
    "sr_bin_boundaries": [20000, 30000, 40000],
    "cond_type": "scale_bias",
}

_FULL: dict[str, Config] = {
    # The oldest checkpoint names neither its architecture nor its codec.
    "voxcpm-0.5b": {
        "lm_config": _lm(1024, 4096, 24, 16, 73448, max_position_embeddings=32768, rope_scaling=_rope(32, 32768)),
        "patch_size": 2,
        "feat_dim": 64,
        "residual_lm_num_layers": 6,
        "scalar_quantization_latent_dim": 256,
        "scalar_quantization_scale": 9,
        "encoder_config": _local(1024, 4096, 4, 16),
        "dit_config": _local(1024, 4096, 4, 16, cfm_config=_CFM),
        "max_length": 4096,
        "device": "cuda",
        "dtype": "bfloat16",
    },
    "voxcpm-1.5": {
        "architecture": "voxcpm",
        "lm_config": _lm(1024, 4096, 24, 16, 73448, max_position_embeddings=32768, rope_scaling=_rope(32, 32768)),
        "patch_size": 4,
        "feat_dim": 64,
        "residual_lm_num_layers": 8,
        "scalar_quantization_latent_dim": 256,
        "scalar_quantization_scale": 9,
        "encoder_config": _local(1024, 4096, 8, 16),
        "dit_config": _local(1024, 4096, 8, 16, cfm_config=_CFM),
        "audio_vae_config": {"encoder_dim": 64, "latent_dim": 64, "decoder_dim": 2048, **_RATES_15},
        "max_length": 8192,
        "device": "cuda",
        "dtype": "bfloat16",
    },
    "voxcpm-2": {
        "architecture": "voxcpm2",
        "lm_config": _lm(
            2048, 6144, 28, 16, 73448, max_position_embeddings=32768, rope_scaling=_rope(64, 32768), kv_channels=128
        ),
        "patch_size": 4,
        "feat_dim": 64,
        "residual_lm_num_layers": 8,
        "residual_lm_no_rope": True,
        "scalar_quantization_latent_dim": 512,
        "scalar_quantization_scale": 9,
        "encoder_config": _local(1024, 4096, 12, 16, kv_channels=128),
        "dit_config": _local(1024, 4096, 12, 16, kv_channels=128, dit_mean_mode=False, cfm_config=_CFM),
        "audio_vae_config": {"encoder_dim": 128, "latent_dim": 64, "decoder_dim": 2048, **_RATES_2},
        "max_length": 8192,
        "device": "cuda",
        "dtype": "bfloat16",
    },
}

_TINY_VOCABULARY = 640
"""Slightly more than the tokenizer has, as in the published checkpoints."""

_TINY: dict[str, Config] = {
    "voxcpm-0.5b": _merged(
        copy.deepcopy(_FULL["voxcpm-0.5b"]),
        {
            "lm_config": _lm(
                64, 160, 3, 4, _TINY_VOCABULARY, max_position_embeddings=1024, rope_scaling=_rope(8, 1024)
            ),
            "feat_dim": 16,
            "residual_lm_num_layers": 2,
            "scalar_quantization_latent_dim": 24,
            "encoder_config": _local(32, 96, 2, 2),
            "dit_config": _local(64, 128, 2, 4),
            "audio_vae_config": {"encoder_dim": 4, "latent_dim": 16, "decoder_dim": 64, **_RATES_05B},
            "max_length": 512,
        },
    ),
    # More positions than it was trained for, so that the long factors and the scale of the tables are used.
    "voxcpm-1.5": _merged(
        copy.deepcopy(_FULL["voxcpm-1.5"]),
        {
            "lm_config": _lm(64, 128, 3, 4, _TINY_VOCABULARY, max_position_embeddings=1024, rope_scaling=_rope(8, 256)),
            "feat_dim": 16,
            "residual_lm_num_layers": 3,
            "scalar_quantization_latent_dim": 24,
            "encoder_config": _local(64, 96, 2, 4),
            "dit_config": _local(96, 128, 3, 6),
            "audio_vae_config": {"encoder_dim": 2, "latent_dim": 16, "decoder_dim": 64},
            "max_length": 512,
        },
    ),
    # The heads together are wider than the hidden size.
    "voxcpm-2": _merged(
        copy.deepcopy(_FULL["voxcpm-2"]),
        {
            "lm_config": _lm(
                64,
                128,
                3,
                4,
                _TINY_VOCABULARY,
                max_position_embeddings=1024,
                rope_scaling=_rope(12, 1024),
                kv_channels=24,
            ),
            "feat_dim": 16,
            "residual_lm_num_layers": 2,
            "scalar_quantization_latent_dim": 40,
            "encoder_config": _local(48, 96, 2, 2, kv_channels=24),
            "dit_config": _local(64, 128, 2, 4, kv_channels=24),
            "audio_vae_config": {"encoder_dim": 4, "latent_dim": 16, "decoder_dim": 128},
            "max_length": 512,
        },
    ),
}

_CONFIGS = {"full": _FULL, "tiny": _TINY}
