"""Files that are good at every moment."""

import errno
import os
import stat
import threading
from pathlib import Path

import numpy as np
import pytest

from tests.refusals import refused
from tests.sound import read_by_three, seconds_of
from voxcli.audio.chunk import AudioChunk
from voxcli.audio.format import AudioFormat
from voxcli.errors import ConsumerClosed, DeviceError
from voxcli.sinks import ToFile, open_sink

RATE = 22050


def chunk(seconds: float = 0.1) -> AudioChunk:
    time = np.arange(round(seconds * RATE)) / RATE
    return AudioChunk((0.5 * np.sin(2 * np.pi * 440 * time)).astype(np.float32), RATE)


def test_a_wav_is_right_after_every_chunk(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    with open_sink([ToFile(path, AudioFormat.WAV)]) as sink:
        for count in range(1, 6):
            sink.write(chunk())
            assert read_by_three(path) == [count * len(chunk().samples)] * 3
    assert read_by_three(path) == [5 * len(chunk().samples)] * 3


def test_a_kill_between_samples_and_sizes_leaves_the_sizes_of_before(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    with open_sink([ToFile(path, AudioFormat.WAV)]) as sink:
        sink.write(chunk())
        with path.open("ab") as file:  # what a killed process had written
            file.write(b"\1\2\3" * 500)
        assert read_by_three(path) == [len(chunk().samples)] * 3


@pytest.mark.parametrize("format", AudioFormat)
def test_an_exception_keeps_what_was_written(tmp_path: Path, format: AudioFormat) -> None:
    path = tmp_path / f"x.{format}"
    with pytest.raises(KeyboardInterrupt), open_sink([ToFile(path, format)]) as sink:
        for _ in range(10):
            sink.write(chunk())
        raise KeyboardInterrupt
    if format is AudioFormat.PCM:
        assert path.stat().st_size == 20 * len(chunk().samples)
        return
    assert 0.99 < seconds_of(path) < 1.13


def test_nothing_is_touched_before_the_first_chunk(tmp_path: Path) -> None:
    new, old = tmp_path / "new.wav", tmp_path / "old.wav"
    old.write_bytes(b"precious")
    with open_sink([ToFile(new, AudioFormat.WAV), ToFile(old, AudioFormat.WAV, overwrite=True)]):
        pass
    assert not new.exists()
    assert old.read_bytes() == b"precious"


def test_a_file_is_not_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(b"precious")
    with refused("--force"), open_sink([ToFile(path, AudioFormat.WAV)]):
        pytest.fail("it must not open")
    assert path.read_bytes() == b"precious"
    with open_sink([ToFile(path, AudioFormat.WAV, overwrite=True)]) as sink:
        sink.write(chunk())
    assert read_by_three(path) == [len(chunk().samples)] * 3


def test_a_file_that_appears_meanwhile_is_not_overwritten_either(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    with refused("--force"), open_sink([ToFile(path, AudioFormat.WAV)]) as sink:
        path.write_bytes(b"precious")
        sink.write(chunk())
    assert path.read_bytes() == b"precious"


def test_a_longer_old_file_leaves_no_tail(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(b"x" * 1_000_000)
    with open_sink([ToFile(path, AudioFormat.WAV, overwrite=True)]) as sink:
        sink.write(chunk())
    assert path.stat().st_size == 80 + 2 * len(chunk().samples)


@pytest.mark.parametrize("place", ["nowhere/x.wav", "."])
def test_a_place_that_cannot_be_written_is_known_before_any_work(tmp_path: Path, place: str) -> None:
    with pytest.raises(DeviceError, match="Cannot write"), open_sink([ToFile(tmp_path / place, AudioFormat.WAV)]):
        pytest.fail("it must not open")


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with (
        pytest.raises(DeviceError, match=os.strerror(errno.ENOSPC)),
        open_sink([ToFile(Path("/dev/full"), AudioFormat.WAV)]) as sink,
    ):
        sink.write(chunk())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_gets_a_stream(tmp_path: Path) -> None:
    path, heard = tmp_path / "pipe", []
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: heard.append(path.read_bytes()))
    reader.start()
    with open_sink([ToFile(path, AudioFormat.WAV)]) as sink:
        sink.write(chunk())
    reader.join()
    assert stat.S_ISFIFO(path.stat().st_mode)
    assert len(heard[0]) == 44 + 2 * len(chunk().samples)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_reader_who_leaves_ends_the_stream(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)

    def read_a_little() -> None:
        with path.open("rb", buffering=0) as file:
            file.read(100)

    reader = threading.Thread(target=read_a_little)
    reader.start()
    with pytest.raises(ConsumerClosed), open_sink([ToFile(path, AudioFormat.PCM)]) as sink:
        while True:
            sink.write(chunk(1.0))
    reader.join()
