"""Atomic writes: all of the new file or all of the old one. Caches: what is not used is removed."""

import os
import stat
import threading
import time
from pathlib import Path

import pytest

from voxcli.files import UNUSED_DAYS, remove_unused, replacing, write_atomically

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


def of_age(path: Path, days: float, size: int = 1) -> Path:
    path.write_bytes(bytes(size))
    used = time.time() - days * 24 * 3600
    os.utime(path, (used, used))
    return path


def test_what_is_not_used_for_a_month_is_removed_and_nothing_else(tmp_path: Path) -> None:
    old, other = of_age(tmp_path / "old.code", UNUSED_DAYS + 1), of_age(tmp_path / "notes", 400)
    staged, hidden = of_age(tmp_path / ".0123456789abcdef", 40), of_age(tmp_path / ".profile", 400)
    new = of_age(tmp_path / "new.code", UNUSED_DAYS - 1)
    remove_unused(tmp_path, ".code")
    assert set(tmp_path.iterdir()) == {other, hidden, new}
    assert not old.exists()
    assert not staged.exists()
    remove_unused(tmp_path / "missing", ".code")


def test_the_least_recently_used_files_beyond_a_size_are_removed(tmp_path: Path) -> None:
    files = [of_age(tmp_path / f"{days}.code", days, 10) for days in range(5)]
    remove_unused(tmp_path, ".code", most_bytes=35)
    assert set(tmp_path.iterdir()) == set(files[:3])


@needs_posix
def test_a_file_that_is_removed_while_it_is_read_is_read_to_its_end(tmp_path: Path) -> None:
    path = of_age(tmp_path / "old.code", 400, 100_000)
    with path.open("rb") as file:
        begun = file.read(1)
        remove_unused(tmp_path, ".code")
        assert not path.exists()
        assert len(begun + file.read()) == 100_000


def test_several_may_write_and_remove_at_once(tmp_path: Path) -> None:
    """Every file is whole or not there, and the newest ones stay."""
    failed = []

    def work(number: int) -> None:
        try:
            for step in range(40):
                write_atomically(tmp_path / f"{number}-{step}.code", bytes([number]) * 1000, durable=False)
                remove_unused(tmp_path, ".code", most_bytes=20_000)
        except OSError as error:
            failed.append(error)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    remove_unused(tmp_path, ".code", most_bytes=20_000)
    left = list(tmp_path.iterdir())
    assert not failed
    assert len(left) == 20
    assert all(path.read_bytes() == bytes([int(path.name[0])]) * 1000 for path in left)


def test_a_file_that_is_being_written_is_not_removed_for_its_size(tmp_path: Path) -> None:
    with replacing(tmp_path / "new.code", durable=False) as file:
        file.write(bytes(1000))
        file.flush()
        remove_unused(tmp_path, ".code", most_bytes=10)
    assert (tmp_path / "new.code").stat().st_size == 1000
