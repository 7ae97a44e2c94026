"""Files of agents: below the folder, whole, and nowhere else."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxcli.audio.chunk import AudioChunk
from voxcli.errors import NotFound, RequestError, VoxError
from voxcli.server.mcp.outputs import FileSink, Folder, read_recording

CHUNK = AudioChunk(np.zeros(160, np.float32), 16000)


def written(folder: Folder, name: str, *, overwrite: bool = False) -> Path:
    file = folder.new_file(name, overwrite=overwrite)
    with FileSink(file) as sink:
        sink.write(CHUNK)
    return file.path


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    path = tmp_path / "speech"
    path.mkdir()
    (tmp_path / "outside").mkdir()
    return Folder(path)


@pytest.mark.parametrize(
    "name",
    [
        *("../x.wav", "a/../../x.wav", "a/../x.wav", "/etc/x.wav", "..", ".", "", "a\0.wav", "../speech2/x.wav"),
        *("x", "x.exe", "x.wav.py", ".wav"),
    ],
)
def test_no_name_leads_out_of_the_folder_or_to_an_unknown_format(folder: Folder, name: str) -> None:
    with pytest.raises(RequestError):
        folder.new_file(name)
    assert list(folder.path.iterdir()) == []


@given(st.lists(st.sampled_from(["..", ".", "a", "b", "/", "", "~", "link", "x.wav"]), max_size=6))
def test_whatever_the_name_nothing_appears_outside(parts: list[str]) -> None:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "speech"
        (root / "a").mkdir(parents=True)
        (Path(place) / "outside").mkdir()
        (root / "link").symlink_to(Path(place) / "outside")
        try:
            path = written(Folder(root), "/".join([*parts, "x.wav"]))
        except VoxError:
            assert not [file for file in Path(place).rglob("*") if file.is_file()]
        else:
            assert path.resolve().is_relative_to(root.resolve())
            assert [file for file in Path(place).rglob("*") if file.is_file()] == [path]


def test_a_link_is_not_followed(folder: Folder, tmp_path: Path) -> None:
    (folder.path / "out").symlink_to(tmp_path / "outside")
    (folder.path / "x.wav").symlink_to(tmp_path / "outside" / "x.wav")
    for name in ("out/x.wav", "x.wav"):
        with pytest.raises(RequestError, match="is a link, and may lead out of the folder"):
            folder.new_file(name, overwrite=True)
    with pytest.raises(RequestError, match="is a link"):
        folder.find("out/secret")


def test_an_absolute_path_in_the_folder_is_one_below_it(folder: Folder) -> None:
    assert written(folder, str(folder.path / "deep" / "x.wav")) == folder.path / "deep" / "x.wav"


def test_a_file_exists_only_once_it_is_complete(folder: Folder) -> None:
    with pytest.raises(KeyboardInterrupt), FileSink(folder.new_file("x.wav")) as sink:
        sink.write(CHUNK)
        assert not (folder.path / "x.wav").exists()
        raise KeyboardInterrupt
    assert list(folder.path.iterdir()) == []


def test_a_file_that_came_meanwhile_stays(folder: Folder) -> None:
    file = folder.new_file("x.wav")
    (folder.path / "x.wav").write_bytes(b"mine")
    with pytest.raises(RequestError, match=r"x\.wav exists already"), FileSink(file) as sink:
        sink.write(CHUNK)
    assert (folder.path / "x.wav").read_bytes() == b"mine"
    assert len(list(folder.path.iterdir())) == 1


def test_a_file_is_replaced_when_that_is_asked_for(folder: Folder) -> None:
    (folder.path / "x.wav").write_bytes(b"old")
    assert written(folder, "x.wav", overwrite=True).read_bytes().startswith(b"RIFF")
    assert len(list(folder.path.iterdir())) == 1


def test_names_that_are_made_are_free(folder: Folder) -> None:
    names = [written(folder, folder.free_name("tts")).name for _ in range(3)]
    assert len(set(names)) == 3
    assert all(name.startswith("tts_") for name in names)


@pytest.mark.skipif(os.name == "nt", reason="pipes are elsewhere")
def test_only_files_are_recordings(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "nothing", tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(NotFound):
            read_recording(path)
