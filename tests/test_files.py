"""Atomic writes: all of the new file or all of the old one."""

import os
import stat
from pathlib import Path

import pytest

from voxcli.files import replacing, write_atomically

needs_posix = pytest.mark.skipif(os.name != "posix", reason="permissions and links are those of POSIX")


def test_a_file_is_created_and_replaced(tmp_path: Path) -> None:
    for data in (b"first", b"second"):
        write_atomically(tmp_path / "file", data)
        assert (tmp_path / "file").read_bytes() == data
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_error_halfway_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), replacing(path) as file:
        file.write(b"half of")
        file.flush()
        assert path.read_bytes() == b"old"
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError("No space left on device")

    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "missing" / "file", b"")


@needs_posix
def test_permissions_are_kept_unless_the_file_is_private(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o640)
    write_atomically(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    write_atomically(path, b"secret", private=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@needs_posix
def test_a_private_file_is_never_readable_by_others(tmp_path: Path) -> None:
    with replacing(tmp_path / "file", private=True):
        [staged] = tmp_path.iterdir()
        assert stat.S_IMODE(staged.stat().st_mode) == 0o600


@needs_posix
def test_a_link_is_kept_and_its_target_replaced(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"old")
    (tmp_path / "link").symlink_to("target")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"
