"""config.json: what may be left out, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.checkpoints.configs import config_of
from voxcli.errors import ModelError
from voxcli.voxcpm.network.config import Architecture, ModelConfig, read_config


def read(folder: Path, document: Any) -> ModelConfig:
    (folder / "config.json").write_text(json.dumps(document), "utf-8")
    return read_config(folder)


@pytest.mark.parametrize(
    ("family", "patch_samples", "rate", "context"),
    [("voxcpm-0.5b", 1280, 16000, 2), ("voxcpm-1.5", 7056, 44100, 2), ("voxcpm-2", 7680, 48000, 3)],
)
def test_the_published_models_are_read(
    tmp_path: Path, family: str, patch_samples: int, rate: int, context: int
) -> None:
    config = read(tmp_path, config_of(family, "full", {}))
    assert (config.patch_samples, config.codec.output_rate, config.context_patches) == (patch_samples, rate, context)


def test_what_is_left_out_is_as_in_the_first_model(tmp_path: Path) -> None:
    document = config_of("voxcpm-0.5b", "full", {})
    full = read(tmp_path, document)
    for key in ("architecture", "patch_size", "feat_dim", "residual_lm_num_layers", "audio_vae_config", "dtype"):
        document.pop(key, None)
    assert read(tmp_path, document) == full
    assert full.architecture is Architecture.V1


@pytest.mark.parametrize("family", ["voxcpm-1.5", "voxcpm-2"])
def test_capitals_in_the_architecture_change_nothing(tmp_path: Path, family: str) -> None:
    document = config_of(family, "full", {})
    usual = read(tmp_path, document)
    assert read(tmp_path, {**document, "architecture": document["architecture"].replace("voxcpm", "VoxCPM")}) == usual


@pytest.mark.parametrize(
    ("family", "changes", "mean"),
    [
        ("voxcpm-1.5", {}, False),
        ("voxcpm-1.5", {"dit_mean_mode": True}, True),
        ("voxcpm-1.5", {"dit_config": {"dit_mean_mode": True}}, False),
        ("voxcpm-2", {}, False),
        ("voxcpm-2", {"dit_mean_mode": True}, False),
        ("voxcpm-2", {"dit_config": {"dit_mean_mode": True}}, True),
    ],
)
def test_mean_mode_stands_where_the_reference_reads_it(
    tmp_path: Path, family: str, changes: dict[str, Any], mean: bool
) -> None:
    assert read(tmp_path, config_of(family, "tiny", changes)).dit_mean_mode is mean


def test_only_the_residual_model_of_version_two_has_no_rotary_embedding(tmp_path: Path) -> None:
    config = read(tmp_path, config_of("voxcpm-2", "full", {}))
    assert config.base_lm.rope
    assert config.residual_lm.rope is None
    assert config.local_dit.rope


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"architecture": "llama"}, "'llama' is unknown"),
        ({"feat_dim": 32}, "32 wide"),
        ({"lm_config": {"rope_scaling": {"short_factor": [1.0], "long_factor": [1.0]}}}, "rotary factors"),
        ({"lm_config": {"hidden_size": "wide"}}, "wide"),
        ({"audio_vae_config": {"use_noise_block": True}}, "adds noise"),
        ({"audio_vae_config": {"cond_type": "concat"}}, "concat"),
    ],
)
def test_what_cannot_be_is_refused_by_name(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        read(tmp_path, config_of("voxcpm-2", "tiny", changes))


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    document = config_of("voxcpm-1.5", "tiny", {})
    del document["lm_config"]["num_hidden_layers"]
    with pytest.raises(ModelError, match="num_hidden_layers"):
        read(tmp_path, document)


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '"config"', '{"lm_config": 3}'])
def test_what_is_no_config_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text, "utf-8")
    with pytest.raises(ModelError, match=r"config\.json"):
        read_config(tmp_path)


def test_a_folder_without_one_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no VoxCPM model"):
        read_config(tmp_path)
