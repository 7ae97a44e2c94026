"""Files of prepared weights: damage is noticed, and their folder keeps its limits."""

import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from voxcli.files import UNUSED_DAYS
from voxcli.voxcpm.weights import prepared_folder
from voxcli.voxcpm.weights.prepared_file import DamagedFile, PreparedFile
from voxcli.voxcpm.weights.prepared_folder import PreparedFolder, name_of_file

BLOCKS = [
    (name, {"shape": [size]}, np.random.default_rng(size).integers(1, 255, size, np.uint8))
    for name, size in (("large", 3_000_000), ("small", 7), ("next", 70_001))
]
NAMES = ("a.prepared", "b.prepared", "c.prepared")


@pytest.fixture
def kept(tmp_path: Path) -> PreparedFolder:
    return PreparedFolder(tmp_path / "kept")


def write(kept: PreparedFolder, name: str, weights: Path = Path(__file__)) -> None:
    kept.write(name, {"weights": [str(weights)]}, BLOCKS, threading.Event())


def names(kept: PreparedFolder) -> set[str]:
    return {path.name for path in kept.folder.glob("*.prepared")}


def size_of_one(tmp_path: Path) -> int:
    measured = PreparedFolder(tmp_path / "measured")
    write(measured, NAMES[0])
    return measured.files()[0].size


def test_what_is_mapped_is_what_was_written(kept: PreparedFolder) -> None:
    write(kept, NAMES[0])
    file = kept.find(NAMES[0])
    assert file
    counts: list[int] = []
    file.check(counts.append)
    assert sum(counts) == len(file.memory)
    for name, described, data in BLOCKS:
        block = file.blocks[name]
        assert block["at"] % 64 == 0
        assert block["shape"] == described["shape"]
        assert file.memory[block["at"] : block["at"] + block["size"]] == data.tobytes()


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def zeroed_half(data: bytes) -> bytes:
    return cut(data) + bytes(len(data) - len(data) // 2)


def zeroed_page(data: bytes) -> bytes:
    return data[:4096] + bytes(4096) + data[8192:]


def flipped_bit(data: bytes) -> bytes:
    return data[:3_000_100] + bytes([data[3_000_100] ^ 1]) + data[3_000_101:]


def swapped(data: bytes) -> bytes:
    return data[1 << 20 : 2 << 20] + data[: 1 << 20] + data[2 << 20 :]


def damaged_index(data: bytes) -> bytes:
    return data[:-200] + bytes([data[-200] ^ 1]) + data[-199:]


@pytest.mark.parametrize(
    "damage", [cut, zeroed_half, zeroed_page, flipped_bit, swapped, damaged_index, lambda data: b""]
)
def test_damage_is_noticed(kept: PreparedFolder, damage: Callable[[bytes], bytes]) -> None:
    write(kept, NAMES[0])
    path = kept.folder / NAMES[0]
    data = path.read_bytes()
    path.write_bytes(damage(data))
    assert path.read_bytes() != data
    with pytest.raises(DamagedFile):
        PreparedFile(path).check(lambda count: None)


def test_the_least_recently_used_files_make_room(kept: PreparedFolder, tmp_path: Path) -> None:
    narrow = PreparedFolder(kept.folder, most_bytes=2 * size_of_one(tmp_path))
    for number, name in enumerate(NAMES[:2], 1):
        write(narrow, name)
        used = time.time() - 1000 + number
        os.utime(narrow.folder / name, (used, used))
    assert narrow.find(NAMES[0])
    write(narrow, NAMES[2])
    assert names(narrow) == {NAMES[0], NAMES[2]}
    write(PreparedFolder(kept.folder, most_bytes=1000), NAMES[1])
    assert names(narrow) == {NAMES[0], NAMES[2]}


def test_a_file_that_was_not_used_for_long_goes_when_another_is_opened(kept: PreparedFolder) -> None:
    for name in NAMES:
        write(kept, name)
    old = time.time() - (UNUSED_DAYS + 1) * 24 * 3600
    for name in NAMES[:2]:
        os.utime(kept.folder / name, (old, old))
    mapped = kept.find(NAMES[0])  # which is a use
    assert names(kept) == {NAMES[0], NAMES[2]}
    assert mapped
    os.utime(kept.folder / NAMES[0], (old, old))
    assert kept.find(NAMES[2])
    assert names(kept) == {NAMES[2]}
    mapped.check(lambda count: None)  # it is still mapped


def test_a_file_is_not_kept_without_its_model(kept: PreparedFolder, tmp_path: Path) -> None:
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"")
    write(kept, NAMES[0], weights)
    weights.unlink()
    write(kept, NAMES[1])
    assert names(kept) == {NAMES[1]}


def test_a_disk_is_not_filled(kept: PreparedFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = 3 * size_of_one(tmp_path) // 2
    monkeypatch.setattr("shutil.disk_usage", lambda path: shutil._ntuple_diskusage(room, 0, room))  # type: ignore[attr-defined]
    write(kept, NAMES[0])
    assert not names(kept)


def test_what_a_killed_process_has_left_is_removed(kept: PreparedFolder) -> None:
    kept.folder.mkdir()
    left = kept.folder / ".0123456789abcdef"
    left.write_bytes(b"half a file")
    with FileLock(kept.folder / "lock"):
        write(kept, NAMES[0])
        assert kept.find(NAMES[0]) is None
        assert left.exists()  # another process may still be writing it
    assert kept.find(NAMES[0]) is None
    assert not left.exists()


def test_what_is_cancelled_leaves_nothing(kept: PreparedFolder) -> None:
    cancelled = threading.Event()
    cancelled.set()
    kept.write(NAMES[0], {"weights": []}, BLOCKS, cancelled)
    assert {path.name for path in kept.folder.iterdir()} <= {"lock"}


def test_the_name_tells_weights_formats_and_installations_apart(
    tmp_path: Path, checkpoints: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(checkpoints("voxcpm-1.5"), tmp_path / "model")
    found = [name_of_file(folder, "float32", None), name_of_file(folder, "float32", "int8")]
    found.append(name_of_file(folder, "bfloat16", None))
    os.utime(folder / "model.safetensors", (1, 1))
    found.append(name_of_file(folder, "float32", None))
    config = folder / "config.json"
    config.write_text(config.read_text() + "\n")
    found.append(name_of_file(folder, "float32", None))
    assert name_of_file(folder, "float32", None) == found[-1]
    monkeypatch.setattr(prepared_folder, "version", lambda package: "2.12.1")
    found.append(name_of_file(folder, "float32", None))
    monkeypatch.setattr(prepared_folder, "_CPU_INFO", tmp_path / "missing")
    found.append(name_of_file(folder, "float32", None))
    assert len(set(found)) == len(found)
