"""Prepared weights that are mapped give the samples of a fresh start; what is damaged or foreign is made again."""

import os
import shutil
import signal
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from voxcli.errors import DeviceError, ModelError
from voxcli.voxcpm import loading
from voxcli.voxcpm.device import choose_placement
from voxcli.voxcpm.loading import load_model
from voxcli.voxcpm.model import Utterance
from voxcli.voxcpm.network.linear import Matrix, PackedMatrix
from voxcli.voxcpm.weights import prepared as prepared_weights
from voxcli.voxcpm.weights.packed_memory import layouts_in_use
from voxcli.voxcpm.weights.prepared_file import PreparedFile
from voxcli.voxcpm.weights.prepared_folder import PreparedFolder, name_of_file
from voxcli.voxcpm.weights.quantization import check_int8

HELLO = Utterance(text="Hello there.", steps=2, guidance=2.0, seed=7, min_patches=2, max_patches=3)


@pytest.fixture(autouse=True)
def needs_packed_memory() -> None:
    if layouts_in_use() is None:
        pytest.skip("this torch cannot make packed tensors of memory")


@pytest.fixture
def folder(tmp_path: Path, checkpoints: Callable[[str], Path]) -> Path:
    return shutil.copytree(checkpoints("voxcpm-1.5"), tmp_path / "model")


@pytest.fixture
def kept(tmp_path: Path) -> PreparedFolder:
    return PreparedFolder(tmp_path / "kept")


def spoken(
    folder: Path, kept: PreparedFolder | None, dtype: str = "float32", quantize: str | None = None
) -> NDArray[np.float32]:
    placement = choose_placement("cpu", dtype)
    with closing(load_model(folder, placement, quantize=quantize, threads=1, prepared=kept)) as model:
        return np.concatenate(list(model.stream(HELLO)))


def files(kept: PreparedFolder) -> list[Path]:
    return sorted(kept.folder.glob("*.prepared"))


@pytest.mark.parametrize(
    ("family", "dtype", "quantize"),
    [
        ("voxcpm-0.5b", "bfloat16", None),
        ("voxcpm-1.5", "float32", None),
        ("voxcpm-1.5", "float32", "int8"),
        ("voxcpm-2", "bfloat16", None),
        ("voxcpm-2", "float32", "int8"),
    ],
)
def test_the_samples_are_those_of_a_fresh_start(
    checkpoints: Callable[[str], Path],
    kept: PreparedFolder,
    monkeypatch: pytest.MonkeyPatch,
    family: str,
    dtype: str,
    quantize: str | None,
) -> None:
    if quantize:
        try:
            check_int8(choose_placement("cpu", dtype).device)
        except DeviceError as error:
            pytest.skip(str(error))
    fresh = spoken(checkpoints(family), None, dtype, quantize)
    np.testing.assert_array_equal(spoken(checkpoints(family), kept, dtype, quantize), fresh)
    [file] = files(kept)
    written = file.stat().st_ino
    monkeypatch.setattr(loading, "load_backbone", None)  # it is not called any more
    monkeypatch.setattr(loading, "load_codec", None)
    np.testing.assert_array_equal(spoken(checkpoints(family), kept, dtype, quantize), fresh)
    assert [path.stat().st_ino for path in files(kept)] == [written]


def test_an_encoded_clip_is_that_of_a_fresh_start(folder: Path, kept: PreparedFolder) -> None:
    spoken(folder, kept)
    noise = np.random.default_rng(1).normal(0, 0.1, 9000).astype(np.float32)
    encoded = []
    for place in (None, kept):
        with closing(load_model(folder, choose_placement("cpu", "float32"), threads=1, prepared=place)) as model:
            encoded.append(model.encode_clip(noise, pad_left=True))
    np.testing.assert_array_equal(encoded[0].patches.numpy(), encoded[1].patches.numpy())
    np.testing.assert_array_equal(encoded[0].embeddings.numpy(), encoded[1].embeddings.numpy())


@pytest.mark.parametrize(
    ("fact", "key", "value"),
    [("torch.__version__", "torch", "2.13.0+other"), ("torch.get_num_threads", "threads", 16)],
)
def test_a_file_for_another_torch_or_number_of_threads_is_replaced(
    folder: Path, kept: PreparedFolder, monkeypatch: pytest.MonkeyPatch, fact: str, key: str, value: object
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(fact, (lambda: value) if isinstance(value, int) else value)
        fresh = spoken(folder, kept)
    [found] = kept.files()
    assert found.about[key] == value
    np.testing.assert_array_equal(spoken(folder, kept), fresh)
    [found] = kept.files()
    assert found.about[key] != value


def test_an_interrupt_ends_the_writing() -> None:
    def write(cancelled: threading.Event) -> None:
        threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        ended.append(cancelled.wait(60))

    ended: list[bool] = []
    keeping = prepared_weights.Keeping(write)
    # A shell may have started the tests with it ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        keeping.begin()
        with pytest.raises(KeyboardInterrupt):
            keeping.finish()
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended == [True]


def test_a_speech_that_is_broken_off_is_not_held_up(folder: Path, kept: PreparedFolder) -> None:
    with closing(load_model(folder, choose_placement("cpu", "float32"), threads=1, prepared=kept)) as model:
        stream = model.stream(HELLO)
        next(stream)
        assert not kept.folder.exists()  # the first sound waits for nothing
        stream.close()
    assert not kept.folder.exists()


def test_writing_that_is_cancelled_leaves_nothing_and_can_begin_again() -> None:
    entered, counts = threading.Event(), []

    def write(cancelled: threading.Event) -> None:
        entered.set()
        counts.append(cancelled.wait(0 if counts else 10))

    keeping = prepared_weights.Keeping(write)
    keeping.begin()
    assert entered.wait(10)
    keeping.begin()
    keeping.cancel()
    keeping.finish()
    keeping.begin()
    keeping.finish()
    keeping.begin()
    keeping.finish()
    assert counts == [True, False]


def test_without_a_place_to_keep_it_the_model_still_loads(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    place = PreparedFolder(tmp_path / "file" / "kept")
    np.testing.assert_array_equal(spoken(folder, place), spoken(folder, None))


def test_a_folder_of_someone_else_can_be_used(
    folder: Path, kept: PreparedFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError

    fresh = spoken(folder, kept)
    monkeypatch.setattr("os.utime", refuse)
    monkeypatch.setattr(loading, "load_backbone", None)
    np.testing.assert_array_equal(spoken(folder, kept), fresh)


def test_what_was_read_ahead_is_taken_if_it_is_the_right_file(folder: Path, kept: PreparedFolder) -> None:
    fresh = spoken(folder, kept)
    name = name_of_file(folder, "float32", None)
    kept.read_ahead(["missing.prepared", name])
    ahead = kept._ahead
    assert ahead
    assert kept.find(name) is ahead
    kept.read_ahead([name])
    assert kept.find("missing.prepared") is None
    kept.read_ahead([name])
    np.testing.assert_array_equal(spoken(folder, kept), fresh)


def test_nothing_is_kept_of_a_damaged_checkpoint(folder: Path, kept: PreparedFolder) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-2000] + b"\xff" * 2000)
    with pytest.raises(ModelError, match="damaged"):
        spoken(folder, kept)
    assert not files(kept)


def test_what_is_damaged_is_made_again(folder: Path, kept: PreparedFolder) -> None:
    fresh = spoken(folder, kept)
    [file] = files(kept)
    data = file.read_bytes()
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 1
    file.write_bytes(flipped)
    np.testing.assert_array_equal(spoken(folder, kept), fresh)
    assert file.read_bytes() == data


def test_what_is_written_is_not_written_again() -> None:
    counts: list[str] = []
    keeping = prepared_weights.Keeping(lambda cancelled: counts.append("written"))
    keeping.begin()
    keeping.finish()
    keeping.cancel()  # as a client does that hangs up
    keeping.begin()
    keeping.finish()
    assert counts == ["written"]


def test_matrices_in_another_form_are_not_taken_for_those_of_this_one(folder: Path, kept: PreparedFolder) -> None:
    spoken(folder, kept)

    def found(form: type[Matrix] | None) -> PreparedFile | None:
        weights = prepared_weights.PreparedWeights(kept, folder, torch.float32, None, None, lambda name: form)
        weights._about["codec"] = kept.files()[0].about["codec"]
        weights._about["threads"] = 1
        return weights.find()

    assert found(None)
    assert found(PackedMatrix) is None
