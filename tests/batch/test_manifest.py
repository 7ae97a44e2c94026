"""Manifest: true of every file, whatever was cut off, changed or removed."""

import json
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxcli.batch.manifest import Manifest, ManifestEntry, State
from voxcli.errors import DeviceError, ModelError, RequestError


def made(folder: Path, file: str, sound: bytes, key: str = "k") -> ManifestEntry:
    (folder / file).write_bytes(sound)
    return ManifestEntry.of(folder / file, file=file, key=key, seconds=1.5, more={"text": "Hello."})


def entries_of(path: Path) -> list[ManifestEntry]:
    with Manifest(path) as manifest:
        return [*manifest.entries()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "manifest.jsonl"


def test_what_was_entered_is_found_again(path: Path) -> None:
    with Manifest(path) as manifest:
        assert not manifest.exists
        manifest.begin({"list": "lines.txt"})
        first, second = made(path.parent, "1.wav", b"one", "k1"), made(path.parent, "2.wav", b"two", "k2")
        manifest.append(first)
        manifest.append(second)
        assert [manifest.find("1.wav"), manifest.find_key("k2"), manifest.find("3.wav")] == [first, second, None]
    with Manifest(path) as again:
        assert again.exists
        assert again.header == {"list": "lines.txt"}
        assert [*again.entries()] == [first, second]
        assert again.find_key("k1") == first
        assert again.find_key("k3") is None


def test_the_last_line_about_a_file_counts(path: Path) -> None:
    with Manifest(path) as manifest:
        manifest.begin({})
        manifest.append(made(path.parent, "1.wav", b"one", "old"))
        manifest.append(made(path.parent, "1.wav", b"other", "new"))
        manifest.append(ManifestEntry(file="2.wav", key="k", state=State.FAILED, more={"error": "no"}))
    with Manifest(path) as found:
        assert len(found) == 2
        assert [(entry.file, entry.key, entry.state) for entry in found.entries()] == [
            ("1.wav", "new", "done"),
            ("2.wav", "k", "failed"),
        ]
        assert found.find_key("k") is None  # nothing was made
        assert (old := found.find_key("old")) is not None
        assert not old.is_intact(path.parent)


@given(cut=st.integers(1, 1000))
def test_a_line_that_was_cut_off_is_ignored_and_written_over(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "manifest.jsonl"
    manifest = Manifest(path)
    manifest.begin({"list": "x"})
    entries = [made(path.parent, f"{number}.wav", b"sound", f"k{number}") for number in range(3)]
    ends = [path.stat().st_size]
    for entry in entries:
        manifest.append(entry)
        ends.append(path.stat().st_size)
    manifest.close()
    size = max(ends[0], ends[-1] - cut)
    os.truncate(path, size)
    with Manifest(path) as again:
        kept = sum(end <= size for end in ends[1:])
        assert [*again.entries()] == entries[:kept]
        again.append(entries[2])
        assert again.find("2.wav") == entries[2]
    assert entries_of(path) == [*entries[: min(kept, 2)], entries[2]]


def test_damage_in_the_middle_costs_one_entry(path: Path) -> None:
    with Manifest(path) as manifest:
        manifest.begin({})
        for number in range(3):
            manifest.append(made(path.parent, f"{number}.wav", b"sound"))
    lines = path.read_bytes().splitlines(keepends=True)
    for damage in (b"\0\xff\n", b"[]\n", b'{"file": 7}\n', b'{"file": "x", "key": "k", "state": "odd"}\n', b"\n"):
        path.write_bytes(b"".join([*lines[:2], damage, lines[3]]))
        assert [entry.file for entry in entries_of(path)] == ["0.wav", "2.wav"]


def test_a_file_is_intact_until_it_is_removed_or_changed(tmp_path: Path) -> None:
    entry = made(tmp_path, "1.wav", b"sound")
    file = tmp_path / "1.wav"
    assert entry.is_intact(tmp_path)
    os.utime(file, ns=(1, 1))  # as after copying it
    assert entry.is_intact(tmp_path)
    file.write_bytes(b"noise")
    assert not entry.is_intact(tmp_path)
    file.write_bytes(b"sound, and more")
    assert not entry.is_intact(tmp_path)
    file.unlink()
    assert not entry.is_intact(tmp_path)
    file.mkdir()
    assert not entry.is_intact(tmp_path)


def test_a_full_disk_leaves_it_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with Manifest(path) as manifest:
        manifest.begin({})
        manifest.append(made(path.parent, "1.wav", b"sound"))
        before = path.read_bytes()
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(DeviceError, match=r"manifest\.jsonl: No space left on device"):
                manifest.append(made(path.parent, "2.wav", b"sound"))
            with pytest.raises(DeviceError, match="No space left"):
                manifest.rewrite({}, [])
        assert path.read_bytes() == before
        manifest.append(made(path.parent, "3.wav", b"sound"))
    assert [entry.file for entry in entries_of(path)] == ["1.wav", "3.wav"]


def test_it_is_rewritten_in_one_step_from_itself(path: Path) -> None:
    with Manifest(path) as manifest:
        manifest.begin({"list": "a"})
        for number in range(4):
            manifest.append(made(path.parent, f"{number}.wav", b"sound"))
        manifest.rewrite({"list": "b"}, (entry for entry in reversed([*manifest.entries()]) if entry.file != "2.wav"))
        assert [entry.file for entry in manifest.entries()] == ["3.wav", "1.wav", "0.wav"]
        manifest.append(made(path.parent, "9.wav", b"sound"))
    assert [entry.file for entry in entries_of(path)] == ["3.wav", "1.wav", "0.wav", "9.wav"]
    assert json.loads(path.read_bytes().splitlines()[0]) == {"manifest": 1, "list": "b"}
    assert [file.name for file in path.parent.iterdir() if file.name.startswith(".")] == []


def test_threads_add_whole_lines(path: Path) -> None:
    with Manifest(path) as manifest:
        manifest.begin({})

        def add(worker: int) -> None:
            for number in range(20):
                manifest.append(ManifestEntry(file=f"{worker}-{number}", key="k"))
                assert manifest.find(f"{worker}-{number}")

        threads = [threading.Thread(target=add, args=[worker]) for worker in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(entries_of(path)) == 80


@pytest.mark.parametrize("content", [b"my own notes\n", b"[1]\n", b"{}\n", b"no end of line"])
def test_the_file_of_someone_else_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(RequestError, match="is not a manifest of voxcli"):
        Manifest(path)
    assert path.read_bytes() == content


def test_a_newer_version_is_refused(path: Path) -> None:
    path.write_bytes(b'{"manifest": 2}\n')
    with pytest.raises(ModelError, match="newer version"):
        Manifest(path)
