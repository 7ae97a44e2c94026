"""Loading is strict: whatever does not fit is named, and nothing is loaded by half."""

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.checkpoints import write_checkpoint, write_lora
from tests.voxcpm.conftest import CPU
from tests.voxcpm.speech import samples_of
from voxcli.errors import ModelError
from voxcli.voxcpm.loading import load_model
from voxcli.voxcpm.model import Model

Tensors = dict[str, Tensor]


@pytest.fixture
def folder(tmp_path: Path, checkpoints: Callable[[str], Path]) -> Path:
    return Path(shutil.copytree(checkpoints("voxcpm-1.5"), tmp_path / "model"))


def load(folder: Path, lora: Path | None = None) -> Model:
    return load_model(folder, CPU, threads=1, lora=lora)


def change(file: Path, edit: Callable[[Tensors], object]) -> None:
    tensors = load_file(file)
    edit(tensors)
    save_file(tensors, file)


Q_PROJ = "base_lm.layers.0.self_attn.q_proj.weight"


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda t: t.pop(Q_PROJ), rf"lacks {Q_PROJ}"),
        (lambda t: t.update({"base_lm.layers.77.mlp.up_proj.weight": torch.ones(2, 2)}), "unknown base_lm.layers.77"),
        (lambda t: t.update({Q_PROJ: t[Q_PROJ][:-1].clone()}), rf"{Q_PROJ} \(\d+, \d+\) instead of"),
        (lambda t: t[Q_PROJ].fill_(float("nan")), "qkv_proj.weight holds values that are no numbers"),
        (lambda t: t["stop_head.weight"].view(-1)[0].fill_(float("inf")), "stop_head.weight holds values"),
    ],
)
def test_a_weight_that_does_not_fit_is_named(folder: Path, edit: Callable[[Tensors], object], words: str) -> None:
    change(folder / "model.safetensors", edit)
    with pytest.raises(ModelError, match=words) as raised:
        load(folder)
    assert "model.safetensors" in str(raised.value)


def test_every_weight_that_is_missing_is_counted(folder: Path) -> None:
    def drop_a_stack(tensors: Tensors) -> None:
        for name in [name for name in tensors if name.startswith("residual_lm.")]:
            del tensors[name]

    change(folder / "model.safetensors", drop_a_stack)
    with pytest.raises(ModelError, match=r"lacks residual_lm\..* and \d+ more"):
        load(folder)


def test_whole_parts_left_over_from_training_are_named_and_dropped(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    change(folder / "model.safetensors", lambda t: t.update({"discriminator.weight": torch.ones(2)}))
    with caplog.at_level(logging.WARNING):
        load(folder)
    assert "discriminator.weight" in caplog.text


@pytest.mark.parametrize("name", ["model.safetensors", "audiovae.pth"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_truncated_file_is_named(folder: Path, name: str, share: float) -> None:
    file = folder / name
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    with pytest.raises(ModelError, match=rf"{name} is damaged"):
        load(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "audiovae.pth"])
def test_a_pointer_of_git_lfs_is_named(folder: Path, name: str) -> None:
    (folder / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(ModelError, match=rf"{name} is a Git LFS pointer.*git lfs pull"):
        load(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "audiovae.pth", "tokenizer.json", "config.json"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelError, match=name.replace(".", r"\.")):
        load(folder)


def test_a_file_that_would_run_code_is_refused(folder: Path) -> None:
    torch.save({"weights": Path("x")}, folder / "audiovae.pth")
    with pytest.raises(ModelError, match=r"audiovae\.pth"):
        load(folder)


def test_the_codec_of_another_model_is_refused(folder: Path, checkpoints: Callable[[str], Path]) -> None:
    shutil.copy(checkpoints("voxcpm-2") / "audiovae.pth", folder)
    with pytest.raises(ModelError, match=r"audiovae\.pth does not fit"):
        load(folder)


@pytest.mark.parametrize(
    ("weights", "codec"), [("safetensors", "pth-bare"), ("bin", "safetensors"), ("bin-state-dict", "pth")]
)
def test_all_kinds_of_files_hold_the_same_model(tmp_path: Path, folder: Path, weights: str, codec: str) -> None:
    write_checkpoint(tmp_path / "other", "voxcpm-1.5", seed=3, weights=weights, codec=codec)  # type: ignore[arg-type]
    np.testing.assert_array_equal(samples_of(load(tmp_path / "other")), samples_of(load(folder)))


@pytest.mark.parametrize("name", ["audiovae.pth", "pytorch_model.bin"])
def test_the_older_format_of_torch_is_read(folder: Path, name: str, tmp_path: Path) -> None:
    right = samples_of(load(folder))
    write_checkpoint(folder, "voxcpm-1.5", seed=3, weights="bin")
    (folder / "model.safetensors").unlink()
    document = torch.load(folder / name, weights_only=True)
    torch.save(document, folder / name, _use_new_zipfile_serialization=False)
    np.testing.assert_array_equal(samples_of(load(folder)), right)
    (folder / name).write_bytes((folder / name).read_bytes()[:-9])
    with pytest.raises(ModelError, match=rf"{name} is damaged"):
        load(folder)


def test_a_file_of_the_older_format_that_would_run_code_is_refused(folder: Path) -> None:
    torch.save({"weights": Path("x")}, folder / "audiovae.pth", _use_new_zipfile_serialization=False)
    with pytest.raises(ModelError, match=r"audiovae\.pth"):
        load(folder)


@pytest.mark.parametrize(
    ("file", "stray"),
    [
        ("model.safetensors", "base_lm.rotary_emb.inv_freq"),
        ("model.safetensors", "base_lm.layers.0.self_attn.q_proj.lora_A"),
        ("audiovae.safetensors", "decoder.model.0.stray"),
        ("audiovae.safetensors", "decoder.model.99.weight_g"),
    ],
)
def test_a_stray_tensor_in_a_known_part_is_refused_by_name(tmp_path: Path, file: str, stray: str) -> None:
    write_checkpoint(tmp_path, "voxcpm-1.5", seed=3, codec="safetensors")
    change(tmp_path / file, lambda t: t.update({stray: torch.ones(2, 1)}))
    with pytest.raises(ModelError, match=rf"{file} does not fit .*unknown {stray}"):
        load(tmp_path)


def test_a_lora_is_what_it_adds_to_the_weights(tmp_path: Path, folder: Path) -> None:
    write_lora(tmp_path / "lora", folder, seed=5)
    plain, tuned = samples_of(load(folder)), samples_of(load(folder, tmp_path / "lora"))
    assert np.abs(plain - tuned[: len(plain)]).max() > 1e-3
    change(tmp_path / "lora" / "lora_weights.safetensors", lambda t: [part.zero_() for part in t.values()])
    np.testing.assert_array_equal(samples_of(load(folder, tmp_path / "lora")), plain)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda t: t.pop(next(name for name in t if name.endswith("lora_A"))), "no counterpart"),
        (lambda t: t.update({"nobody.lora_A": torch.ones(4, 2), "nobody.lora_B": torch.ones(2, 4)}), "nobody"),
        (lambda t: t.update({n: torch.ones(4, 3) for n in t if n.endswith("0.self_attn.q_proj.lora_A")}), "not fit"),
    ],
)
def test_a_lora_of_another_model_is_refused(
    tmp_path: Path, folder: Path, edit: Callable[[Tensors], object], words: str
) -> None:
    write_lora(tmp_path / "lora", folder, seed=5)
    change(tmp_path / "lora" / "lora_weights.safetensors", edit)
    with pytest.raises(ModelError, match=words):
        load(folder, tmp_path / "lora")


@pytest.mark.parametrize("kind", ["safetensors", "ckpt", "pth"])
def test_a_lora_may_be_named_by_its_file(tmp_path: Path, folder: Path, kind: str) -> None:
    lora = tmp_path / "lora"
    write_lora(lora, folder, seed=5, weights="safetensors" if kind == "safetensors" else "ckpt")
    tuned = samples_of(load(folder, lora))
    [weights] = lora.glob("lora_weights.*")
    renamed = weights.rename(lora / f"anna.{kind}")
    np.testing.assert_array_equal(samples_of(load(folder, renamed)), tuned)


def test_a_lora_without_its_config_has_the_strength_that_the_package_assumes(
    tmp_path: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It takes 16 for alpha, and the rank is in the file."""
    write_lora(tmp_path, folder, seed=5, rank=8)
    config = tmp_path / "lora_config.json"
    config.write_text(json.dumps({"lora_config": {"r": 8, "alpha": 16}}), "utf-8")
    tuned = samples_of(load(folder, tmp_path))
    config.unlink()
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(samples_of(load(folder, tmp_path)), tuned)
    assert "lora_config.json" in caplog.text


@pytest.mark.parametrize("text", ["", "{}", '{"lora_config": {"alpha": 8}}', '{"lora_config": {"r": 8, "alpha": 8}}'])
def test_a_lora_whose_config_does_not_fit_is_refused(tmp_path: Path, folder: Path, text: str) -> None:
    write_lora(tmp_path, folder, seed=5, rank=4)
    (tmp_path / "lora_config.json").write_text(text, "utf-8")
    with pytest.raises(ModelError, match=r"lora_config\.json"):
        load(folder, tmp_path)


def test_a_folder_that_is_no_lora_is_refused(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(ModelError, match="no LoRA folder"):
        load(folder, tmp_path)
