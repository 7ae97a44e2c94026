import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from voxcli.engines.resident.registry import (
    READY,
    EngineEntry,
    Registry,
    Unavailable,
    kill,
)
from voxcli.processes import is_running, started_at
from voxcli.unix_sockets import MOST_PATH_BYTES


def described(pid: int, **more: object) -> dict[str, object]:
    return {"pid": pid, "started": started_at(pid), "state": READY, "model": "m", **more}


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    registry = Registry(tmp_path / "engines")
    registry.prepare()
    return registry


def test_the_folder_and_the_entries_are_readable_by_their_user_only(registry: Registry) -> None:
    registry.write("k", described(os.getpid()))
    assert registry.folder.stat().st_mode & 0o777 == 0o700
    assert (registry.folder / "k.json").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_others_could_enter_is_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / "engines").mkdir(mode=0o755)
    Registry(tmp_path / "engines").prepare()
    assert (tmp_path / "engines").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("in_the_way", ["file", "link", "file above"])
def test_what_is_no_folder_of_this_user_is_not_used(tmp_path: Path, in_the_way: str) -> None:
    place = tmp_path / "engines"
    if in_the_way == "file":
        place.write_text("")
    elif in_the_way == "link":
        (tmp_path / "elsewhere").mkdir()
        place.symlink_to(tmp_path / "elsewhere")
    else:
        place.write_text("")
        place /= "below"
    with pytest.raises(Unavailable):
        Registry(place).prepare()


@pytest.mark.skipif(os.name == "nt" or os.getuid() != 0, reason="only root can give files away")
def test_nothing_that_another_user_wrote_is_read(registry: Registry) -> None:
    registry.write("k", described(os.getpid()))
    os.chown(registry.folder / "k.json", 65534, 65534)
    assert registry.find("k") is None
    registry.write("k", described(os.getpid()))
    os.chown(registry.folder, 65534, 65534)
    assert registry.find("k") is None
    with pytest.raises(Unavailable, match="another user"):
        registry.prepare()


def test_an_entry_is_found_while_its_process_runs(registry: Registry) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    registry.write("k", described(process.pid))
    entry = registry.find("k")
    assert entry
    assert [found.key for found in registry.entries()] == ["k"]
    kill(entry)
    assert registry.find("k") is None, "it is a zombie now"
    process.communicate()
    assert registry.find("k") is None
    assert list(registry.entries()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell when a process started")
def test_a_number_that_another_process_got_later_is_not_taken_for_the_engine(registry: Registry) -> None:
    started = started_at(os.getpid())
    assert started is not None
    assert is_running(os.getpid(), started)
    assert not is_running(os.getpid(), started - 1)
    registry.write("k", {**described(os.getpid()), "started": started - 1})
    assert registry.find("k") is None


@pytest.mark.parametrize("damage", [b"", b"[]", b"{", b'{"pid": "x"}', b'{"pid": 1}', b"\xff"])
def test_a_damaged_entry_counts_as_none(registry: Registry, damage: bytes) -> None:
    (registry.folder / "k.json").write_bytes(damage)
    assert registry.find("k") is None
    assert list(registry.entries()) == []


def test_an_engine_of_another_machine_with_the_same_home_is_passed_over(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.write("k", described(os.getpid()))
    monkeypatch.setattr(socket, "gethostname", lambda: "another")
    assert registry.find("k") is None


def test_only_the_own_entry_is_removed(registry: Registry) -> None:
    registry.write("k", described(os.getpid()))
    registry.remove(EngineEntry("k", described(os.getpid() + 1)))
    assert registry.find("k")
    registry.remove(EngineEntry("k", described(os.getpid())))
    assert registry.find("k") is None


def test_a_socket_moves_to_a_temporary_folder_if_its_path_would_be_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = tmp_path / "t"
    short.mkdir()
    monkeypatch.setattr("tempfile.tempdir", "/tmp")
    registry = Registry(tmp_path / ("long" * 40))
    registry.prepare()
    path = registry.new_socket_path("k" * 16)
    assert len(os.fsencode(path)) <= MOST_PATH_BYTES
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.parent.stat().st_uid == os.getuid()


def test_a_program_that_serves_others_is_never_killed() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        kill(EngineEntry("k", described(process.pid, serves="http://127.0.0.1:7861")))
        assert process.poll() is None
    finally:
        process.communicate()


def test_what_killed_engines_leave_is_swept(registry: Registry) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    left, own, old, new = (
        registry.folder / name for name in (f"k-{process.pid}.sock", f"k-{os.getpid()}.sock", "old.log", "new.log")
    )
    for path in (left, own, old, new):
        path.touch()
    os.utime(old, (1, 1))
    registry.sweep()
    assert [path.exists() for path in (left, own, old, new)] == [False, True, False, True]
