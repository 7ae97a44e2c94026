"""Int8 matrices that are kept on disk are those of a fresh quantization, or are made again."""

import os
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from voxcli.errors import DeviceError
from voxcli.voxcpm.device import choose_placement
from voxcli.voxcpm.loading import load_model
from voxcli.voxcpm.model import Utterance
from voxcli.voxcpm.weights import checkpoint
from voxcli.voxcpm.weights.quantization import check_int8


@pytest.fixture(autouse=True)
def needs_int8() -> None:
    try:
        check_int8(choose_placement("cpu", "float32").device)
    except DeviceError as error:
        pytest.skip(str(error))


@pytest.fixture
def folder(tmp_path: Path, checkpoints: Callable[[str], Path]) -> Path:
    return shutil.copytree(checkpoints("voxcpm-1.5"), tmp_path / "model")


def spoken(folder: Path, kept: Path | None, quantize: str | None = "int8") -> NDArray[np.float32]:
    placement = choose_placement("cpu", "float32")
    with closing(load_model(folder, placement, quantize=quantize, threads=1, quantized=kept)) as model:
        utterance = Utterance(text="Hello there.", steps=2, guidance=2.0, seed=7, min_patches=2, max_patches=3)
        return np.concatenate(list(model.stream(utterance)))


def test_the_samples_are_the_same_with_and_without_it(folder: Path, tmp_path: Path) -> None:
    fresh = spoken(folder, None)
    np.testing.assert_array_equal(spoken(folder, tmp_path / "kept"), fresh)
    [file] = (tmp_path / "kept").iterdir()
    written = file.stat().st_ino
    np.testing.assert_array_equal(spoken(folder, tmp_path / "kept"), fresh)
    assert [path.stat().st_ino for path in (tmp_path / "kept").iterdir()] == [written]


def test_the_second_start_reads_no_weight_that_is_kept(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    plain = checkpoint._assign
    monkeypatch.setattr(
        checkpoint, "_assign", lambda path, root, name, tensor: (read.append(name), plain(path, root, name, tensor))
    )
    counts = []
    for _ in range(2):
        read.clear()
        spoken(folder, tmp_path / "kept")
        counts.append(sum(".layers." in name and name.endswith("proj.weight") for name in read))
    assert counts[0] > 0
    assert counts[1] == 0


def test_what_is_damaged_is_made_again(folder: Path, tmp_path: Path) -> None:
    fresh = spoken(folder, tmp_path / "kept")
    [file] = (tmp_path / "kept").iterdir()
    data = file.read_bytes()
    half = len(data) - (len(data) - (1 << 18)) // 2
    for damaged in (data[:half], data[:half] + bytes(len(data) - half), bytes(100) + data[100:], b""):
        file.write_bytes(damaged)
        np.testing.assert_array_equal(spoken(folder, tmp_path / "kept"), fresh)
        if not file.exists():  # what can be told only while it is read is deleted, and written by the next start
            spoken(folder, tmp_path / "kept")
        assert file.read_bytes() == data


def test_other_weights_are_another_file(folder: Path, tmp_path: Path, checkpoints: Callable[[str], Path]) -> None:
    before = spoken(folder, tmp_path / "kept")
    os.utime(folder / "model.safetensors", (1, 1))
    np.testing.assert_array_equal(spoken(folder, tmp_path / "kept"), before)
    assert len(list((tmp_path / "kept").iterdir())) == 2
    for number in range(2):
        os.utime(folder / "model.safetensors", (2, 2 + number))
        spoken(folder, tmp_path / "kept")
    assert len(list((tmp_path / "kept").iterdir())) == 3


def test_without_a_place_to_keep_it_the_model_still_loads(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    np.testing.assert_array_equal(spoken(folder, tmp_path / "file" / "kept"), spoken(folder, None))


def test_nothing_is_kept_for_other_formats_nor_after_a_failure(folder: Path, tmp_path: Path) -> None:
    spoken(folder, tmp_path / "kept", quantize=None)
    assert not (tmp_path / "kept").exists() or not list((tmp_path / "kept").iterdir())
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-2000] + b"\xff" * 2000)
    with pytest.raises(Exception, match="damaged"):
        spoken(folder, tmp_path / "kept")
    assert list((tmp_path / "kept").iterdir()) == []
