"""Files that say what made them: from the first byte on, complete at the end, and valid at every moment between."""

import io
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sound import read_by_three
from voxcli.audio.chunk import AudioChunk
from voxcli.audio.format import AudioFormat
from voxcli.audio.pcm import to_int16
from voxcli.audio.tags.heads import HAVE_ROOM
from voxcli.audio.tags.reading import TaggedFile, read_tagged
from voxcli.audio.tags.seal import read_seal
from voxcli.errors import DeviceError
from voxcli.sinks import ToFile, ToStdout, open_sink
from voxcli.synthesis.identity import TRAINED, ModelIdentity
from voxcli.synthesis.marking import Marking, mark_tags, read_marking
from voxcli.synthesis.provenance import Provenance

RATE = 22050
MADE = Provenance(model=ModelIdentity(name="voxcpm-2", revision="c0ffee" * 7), settings={"seed": 7})
TAGGED = (AudioFormat.WAV, *HAVE_ROOM)


def chunk(seconds: float = 0.1, pitch: float = 440) -> AudioChunk:
    time = np.arange(round(seconds * RATE)) / RATE
    return AudioChunk((0.5 * np.sin(2 * np.pi * pitch * time)).astype(np.float32), RATE)


class Arriving:
    """A provenance whose text is known at the end only."""

    def __init__(self, text: str, *, keep: bool = False) -> None:
        self.text, self.keep, self.asked = text, keep, 0

    def __call__(self) -> Provenance:
        self.asked += 1
        return MADE.with_text(self.text, keep=self.keep) if self.asked > 1 else MADE


def to_file(path: Path, made: Callable[[], Provenance] = lambda: MADE.with_text("Hello."), **details: Any) -> ToFile:
    return ToFile(path, AudioFormat(path.suffix[1:]), provenance=made, **details)


def read(path: Path) -> tuple[TaggedFile, Marking]:
    with path.open("rb") as file:
        found = read_tagged(file)
    assert found
    return found, read_marking(found.tags)


def is_intact(path: Path, *, done: bool = True) -> bool:
    """Whether the seal of a file is that of its sound."""
    found, marking = read(path)
    seal = read_seal(marking.seal or "")
    with path.open("rb") as file:
        sound = found.sound(file)
    return seal is not None and sound.seal(done=done) == marking.seal and seal.done == done


@pytest.mark.parametrize("format", TAGGED)
def test_a_file_says_what_made_it_and_seals_its_sound(format: AudioFormat, tmp_path: Path) -> None:
    tagged, plain = tmp_path / f"x.{format}", tmp_path / f"plain.{format}"
    for target in (to_file(tagged), ToFile(plain, format)):
        with open_sink([target]) as sink:
            for pitch in (300, 440, 500):
                sink.write(chunk(pitch=pitch))
    found, marking = read(tagged)
    assert marking.provenance == MADE.with_text("Hello.")
    assert marking.source_type == TRAINED
    assert is_intact(tagged)
    with tagged.open("rb") as one, plain.open("rb") as other:
        assert b"".join(found.blocks(one)) == b"".join(read(plain)[0].blocks(other))
    assert read(plain)[1] == read_marking({}) or format in HAVE_ROOM


@pytest.mark.parametrize("format", TAGGED)
@pytest.mark.parametrize(("keep", "room"), [(False, 0), (True, 2**14)])
def test_a_text_that_arrives_later_is_in_the_file_at_the_end(
    format: AudioFormat, keep: bool, room: int, tmp_path: Path
) -> None:
    path, text = tmp_path / f"x.{format}", "It comes later. 你好 <&>\nAnd more."
    with open_sink([to_file(path, Arriving(text, keep=keep), room=room)]) as sink:
        sink.write(chunk())
        assert path.stat().st_size
        begun = read(path)[1]
        sink.write(chunk())
    assert begun.source_type == TRAINED  # whatever happens next
    assert begun.provenance == MADE
    assert read(path)[1].provenance == MADE.with_text(text, keep=keep)
    assert is_intact(path)


@pytest.mark.parametrize("format", [AudioFormat.MP3, AudioFormat.OPUS, AudioFormat.FLAC])
def test_a_text_that_does_not_fit_is_left_out_with_a_word(
    format: AudioFormat, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, text = tmp_path / f"x.{format}", "word " * 20_000
    with caplog.at_level(logging.WARNING), open_sink([to_file(path, Arriving(text, keep=True), room=100)]) as sink:
        sink.write(chunk())
    assert read(path)[1].provenance == MADE.with_text(text)
    assert "hash" in caplog.text
    assert is_intact(path)


def test_a_long_text_that_is_known_fits_wherever_there_is_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = "word " * 20_000
    made = MADE.with_text(text, keep=True)
    for format in TAGGED:
        path = tmp_path / f"x.{format}"
        with open_sink([to_file(path, lambda: made)]) as sink:
            sink.write(chunk())
        fits = format is not AudioFormat.OPUS  # its tags are one page
        assert read(path)[1].provenance == (made if fits else replace(made, text=None))
        assert is_intact(path)
    assert caplog.text.count("does not fit") == 1


def test_only_the_mark_is_written_where_nothing_else_is_wanted(tmp_path: Path) -> None:
    for format in TAGGED:
        path = tmp_path / f"x.{format}"
        with open_sink([to_file(path, only_mark=True)]) as sink:
            sink.write(chunk())
        marking = read(path)[1]
        assert marking == read_marking(mark_tags(TRAINED))
        assert b"voxcpm" not in path.read_bytes()
        assert b"voxcli" not in path.read_bytes().lower()


@settings(max_examples=25)
@given(lengths=st.lists(st.integers(1, 500), min_size=1, max_size=6), keep=st.booleans())
def test_a_wav_is_right_and_intact_after_every_chunk(
    lengths: list[int], keep: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("wav") / "x.wav"
    with open_sink([to_file(path, Arriving("Later.", keep=keep))]) as sink:
        for number in range(len(lengths)):
            sink.write(chunk(lengths[number] / RATE))
            samples = soundfile.read(io.BytesIO(path.read_bytes()), dtype="int16")[0]
            assert len(samples) == sum(lengths[: number + 1])
            assert is_intact(path, done=False)
    assert read_by_three(path) == [sum(lengths)] * 3
    assert is_intact(path)


def test_every_write_of_a_wav_leaves_a_valid_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a kill after any of the writes would leave it."""
    path, states = tmp_path / "x.wav", []

    def noted(file: io.FileIO, data: bytes) -> None:
        file.write(data)
        states.append(path.read_bytes())

    monkeypatch.setattr("voxcli.sinks.writer.write_all", noted)
    with open_sink([to_file(path, Arriving("Later. " * 50, keep=True))]) as sink:
        for _ in range(3):
            sink.write(chunk())
    whole = to_int16(chunk().samples) * 3
    for state in states:
        samples = soundfile.read(io.BytesIO(state), dtype="int16")[0].tobytes()
        assert whole.startswith(samples)
        found = read_tagged(io.BytesIO(state))
        assert found
        assert found.tags["DIGITALSOURCETYPE"] == TRAINED
        assert found.sound(io.BytesIO(state)).seal(done=state is states[-1]) == found.tags["VOXCLI_SOUND"]
    assert len(states) >= 8


@pytest.mark.parametrize("format", TAGGED)
def test_a_sound_that_was_stopped_is_intact_and_says_that_it_is_not_complete(
    format: AudioFormat, tmp_path: Path
) -> None:
    path = tmp_path / f"x.{format}"
    with pytest.raises(KeyboardInterrupt), open_sink([to_file(path)]) as sink:
        sink.write(chunk(0.5))
        raise KeyboardInterrupt
    assert is_intact(path, done=False)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
def test_a_killed_program_leaves_files_that_say_what_they_are(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from tests.sinks.test_tagging import *\n"
        "names = [Path(sys.argv[1]) / f'x.{format}' for format in TAGGED]\n"
        "with open_sink([to_file(name) for name in names]) as sink:\n"
        "    while True:\n"
        "        sink.write(chunk()); print('written', flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as writing:
        assert writing.stdout
        for _ in range(20):
            assert writing.stdout.readline()
        os.kill(writing.pid, signal.SIGKILL)
    for format in TAGGED:
        path = tmp_path / f"x.{format}"
        marking = read(path)[1]
        assert marking.provenance == MADE.with_text("Hello.")
        if format is AudioFormat.WAV:
            assert is_intact(path, done=False)
        else:
            assert marking.seal
            assert read_seal(marking.seal) is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_keeps_what_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, room = tmp_path / "x.wav", 9000

    def cramped(file: io.FileIO, data: bytes) -> None:
        left = max(0, room - file.tell())
        file.write(data[:left])
        if left < len(data):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("voxcli.sinks.writer.write_all", cramped)
    with pytest.raises(DeviceError, match="kept"), open_sink([to_file(path, Arriving("x", keep=True))]) as sink:
        for _ in range(9):
            sink.write(chunk())
    assert len(soundfile.read(path)[0]) > 2000
    assert is_intact(path, done=False)


@pytest.mark.parametrize("format", AudioFormat)
def test_a_pipe_carries_the_mark_where_its_readers_expect_tags(
    format: AudioFormat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "out").open("wb") as out:  # which is written as a pipe is, without going back
        monkeypatch.setattr(sys, "stdout", out)
        with open_sink([ToStdout(format, provenance=lambda: MADE.with_text("Hello."))]) as sink:
            sink.write(chunk(0.05))
    data = (tmp_path / "out").read_bytes()
    if format is AudioFormat.PCM:
        assert data == to_int16(chunk(0.05).samples)
        return
    found = read_tagged(io.BytesIO(data))
    assert found
    if format is AudioFormat.WAV:
        assert data[44:] == to_int16(chunk(0.05).samples)
    else:
        marking = read_marking(found.tags)
        assert marking.provenance == MADE.with_text("Hello.")
        assert (marking.seal is not None) == (format is AudioFormat.FLAC)  # which is written at the end anyway


def test_a_sink_without_provenance_writes_what_it_always_wrote(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    with open_sink([ToFile(path, AudioFormat.WAV)]) as sink:
        sink.write(chunk())
    assert path.stat().st_size == 80 + 2 * len(chunk().samples)


def test_flac_holds_the_digest_with_which_players_check_it(tmp_path: Path) -> None:
    path = tmp_path / "x.flac"
    with open_sink([to_file(path)]) as sink:
        sink.write(chunk())
        sink.write(chunk())
    asked = ("ffmpeg", "-v", "error", "-xerror", "-i", path, "-f", "null", "-")
    assert subprocess.run(asked, capture_output=True, check=False).stderr == b""
    assert soundfile.info(path).frames == 2 * len(chunk().samples)
    md5 = path.read_bytes()[26:42]
    asked = ("ffmpeg", "-v", "error", "-i", path, "-f", "s16le", "-c:a", "pcm_s16le", "-f", "md5", "-")
    assert md5.hex() in subprocess.run(asked, capture_output=True, check=True).stdout.decode()
