"""Subtitle files: what strict readers and FFmpeg find in them, at every moment while they grow."""

import errno
import json
import os
import re
from collections.abc import Iterator
from html import unescape
from io import FileIO
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.said import Said, spoken
from voxcli.audio.chunk import AudioChunk
from voxcli.audio.format import AudioFormat, SubtitleFormat
from voxcli.errors import DeviceError
from voxcli.sinks import ToFile, open_sink
from voxcli.sinks.subtitles import SubtitleWriter
from voxcli.synthesis.request import Piece
from voxcli.text.cue_lines import columns_of

STORY = [
    Said("Yes.", "Anna"),
    Said("The quick brown fox jumps over the lazy dog near the bank of the river, and then it sleeps.", "Anna"),
    Said("It costs 3 < 5 & 7 > 2, <b>not</b> {\\an8} more --> than that.", "Ben & Co", gap=1.0),
    Said("春天来了，花园里的花都开了，孩子们在草地上跑来跑去，老人们坐在树下一边喝茶一边聊天。"),
    Said("ذهب الولد إلى المدرسة.", gap=0.4),
    Said("The end."),
]
SRT_BLOCK = re.compile(r"(\d+)\n(\S{12}) --> (\S{12})\n((?:[^\n]+\n){1,2})")
NARROW_BRACES = str.maketrans("\uff5b\uff5d", "{}")
VTT_BLOCK = re.compile(r"(\S{12}) --> (\S{12})\n((?:[^\n]+\n){1,2})")
LRC_LINE = re.compile(r"\[(\d{2,}):(\d\d\.\d\d)\]([^\n]+)")


def seconds(clock: str, point: str) -> float:
    match = re.fullmatch(rf"(\d\d):([0-5]\d):([0-5]\d){re.escape(point)}(\d{{3}})", clock)
    assert match, clock
    hours, minutes, whole, thousandths = map(int, match.groups())
    return hours * 3600 + minutes * 60 + whole + thousandths / 1000


def cues_in(format: SubtitleFormat, text: str) -> list[tuple[float, float, str]]:
    """Read subtitles strictly: start, end and text of each cue."""
    match format:
        case SubtitleFormat.SRT:
            *blocks, rest = text.split("\n\n")
            assert rest == ""
            found = [match for block in blocks if (match := SRT_BLOCK.fullmatch(block + "\n"))]
            assert len(found) == len(blocks)
            assert [int(block[1]) for block in found] == list(range(1, len(found) + 1))
            return [(seconds(block[2], ","), seconds(block[3], ","), block[4].strip()) for block in found]
        case SubtitleFormat.VTT:
            head, *blocks, rest = text.split("\n\n")
            assert (head, rest) == ("WEBVTT", "")
            found = [match for block in blocks if (match := VTT_BLOCK.fullmatch(block + "\n"))]
            assert len(found) == len(blocks)
            assert not any("-->" in block[3] for block in found)
            return [(seconds(block[1], "."), seconds(block[2], "."), block[3].strip()) for block in found]
        case SubtitleFormat.LRC:
            lines = [LRC_LINE.fullmatch(line) for line in text.splitlines()]
            starts = [int(line[1]) * 60 + float(line[2]) for line in lines if line]
            assert len(starts) == len(lines)
            return [(start, start, line[3]) for start, line in zip(starts, lines, strict=True) if line]
        case SubtitleFormat.JSON:
            return [(entry["start"], entry["end"], entry["text"]) for entry in json.loads(text)["sentences"]]


class Watched(FileIO):
    """A file that is read by a strict reader after each call that changes it."""

    format: SubtitleFormat
    seen: list[int]
    failed = False
    room: int | None = None
    """Bytes after which the disk is full."""

    def write(self, data: Any) -> int:
        if self.room is not None and self.tell() + len(data) > self.room:
            self.failed = True
            super().write(bytes(data)[: max(0, self.room - self.tell())])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        count = super().write(data)
        self.look()
        return count

    def truncate(self, size: int | None = None) -> int:
        size = super().truncate(size)
        self.look()
        return size

    def look(self) -> None:
        if self.failed:
            return
        cues = cues_in(self.format, Path(str(self.name)).read_text())
        assert all(before[1] <= after[0] for before, after in pairwise(cues))
        self.seen.append(len(cues))


def write_all_of(writer: SubtitleWriter, pieces: Iterator[Piece]) -> None:
    for piece in pieces:
        if isinstance(piece, AudioChunk):
            writer.write(piece)
        else:
            writer.mark(piece)


@pytest.fixture(params=SubtitleFormat)
def format(request: pytest.FixtureRequest) -> SubtitleFormat:
    return SubtitleFormat(request.param)


def watched(path: Path, format: SubtitleFormat) -> Watched:
    file = Watched(str(path), "x+")
    file.format, file.seen = format, []
    return file


def test_the_file_is_valid_after_every_write(tmp_path: Path, format: SubtitleFormat) -> None:
    with watched(tmp_path / "x", format) as file:
        writer = SubtitleWriter(file, format)
        write_all_of(writer, spoken(STORY))
        before = (tmp_path / "x").read_text()
        writer.finish()
    assert file.seen == sorted(file.seen)
    assert len(set(file.seen)) > 4
    # All but the time of the last cue is there before the end.
    assert re.sub(r"\d", "", (tmp_path / "x").read_text()) == re.sub(r"\d", "", before)


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, format: SubtitleFormat) -> None:
    with watched(tmp_path / "whole", format) as file:
        write_all_of(SubtitleWriter(file, format), spoken(STORY))
    size = (tmp_path / "whole").stat().st_size
    for room in range(size // 2, size, size // 12):
        path = tmp_path / f"{room}"
        with watched(path, format) as file:
            writer = SubtitleWriter(file, format)
            file.room = room
            with pytest.raises(OSError, match="space"):
                write_all_of(writer, spoken(STORY))
            writer.finish()
        assert cues_in(format, path.read_text())


def test_a_pipe_gets_the_same_text(tmp_path: Path, format: SubtitleFormat) -> None:
    for name, mode in (("file", "x+"), ("pipe", "x")):
        with FileIO(str(tmp_path / name), mode) as file:
            writer = SubtitleWriter(file, format)
            write_all_of(writer, spoken(STORY))
            writer.finish()
    assert (tmp_path / "pipe").read_text() == (tmp_path / "file").read_text()


def written(path: Path) -> str:
    with open_sink([ToFile(path, SubtitleFormat(path.suffix[1:]))]) as sink:
        for piece in spoken(STORY):
            sink.write(piece) if isinstance(piece, AudioChunk) else sink.mark(piece)
    return path.read_text()


WORDS = [
    "<b>",
    "</i>",
    "-->",
    "{\\an8}",
    "&amp;",
    "42",
    "00:00:01,000",
    "WEBVTT",
    "NOTE",
    "yes.",
    "harbour,",
    "春天来了，",
    "ذهب",
]
said = st.builds(
    Said,
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=14).map(" ".join),
    st.sampled_from([None, "Anna", "<v>"]),
    st.sampled_from([0.5, 1.0, 4.0]),
    st.sampled_from([0.0, 1.5]),
)
UNSEEN = re.compile("[\u200b\u202b\u202c]")


@settings(max_examples=25)
@given(sentences=st.lists(said, min_size=1, max_size=4))
def test_strict_readers_find_all_text_once_and_in_order_whatever_is_in_it(sentences: list[Said]) -> None:
    whole = "".join(said.text for said in sentences).replace(" ", "")
    for format in (SubtitleFormat.SRT, SubtitleFormat.VTT):
        with TemporaryDirectory() as folder, FileIO(f"{folder}/x", "x+") as file:
            writer = SubtitleWriter(file, format)
            write_all_of(writer, spoken(sentences))
            writer.finish()
            cues = cues_in(format, Path(f"{folder}/x").read_text())
        texts = [text.translate(NARROW_BRACES) for _, _, text in cues]
        if format is SubtitleFormat.VTT:
            texts = [unescape(re.sub("^<v [^>]*>", "", text)) for text in texts]
        else:
            texts = [re.sub("^(ANNA|<V>): ", "", UNSEEN.sub("", text)) for text in texts]
        assert "".join(texts).replace(" ", "").replace("\n", "") == whole
        assert all(columns_of(line) <= 42 for text in texts for line in text.split("\n"))
        assert all(start < end for start, end, _ in cues)
        assert all(before[1] <= after[0] for before, after in pairwise(cues))


@pytest.mark.parametrize("format", [SubtitleFormat.SRT, SubtitleFormat.VTT])
def test_ffmpeg_reads_the_same_cues(tmp_path: Path, format: SubtitleFormat) -> None:
    path = tmp_path / f"x.{format}"
    ours = cues_in(format, written(path))
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(subtitles=0) if packet.size]
        times = [float(packet.pts * packet.time_base) for packet in packets]
        shown = [rect.ass.decode().split(",", 8)[-1] for packet in packets for rect in packet.decode()]
    assert times == [start for start, _, _ in ours]
    text = re.sub("\\\\N|[\u200b\u202b\u202c ]", "", "".join(shown))
    text = text.replace("\\{{}", "{").replace("\u2060", "").replace("\uff5b", "{").replace("\uff5d", "}")
    for said in STORY:
        assert said.text.replace(" ", "") in text


def test_names_and_marks_of_each_format(tmp_path: Path) -> None:
    srt, vtt, lrc = (written(tmp_path / f"x.{format}") for format in ("srt", "vtt", "lrc"))
    assert "ANNA: Yes. The quick brown" in srt
    assert srt.count("ANNA:") == 1
    assert "\u202bذهب الولد إلى المدرسة.\u202c" in srt
    assert "<v Ben &amp; Co>It costs 3 &lt; 5 &amp; 7 &gt; 2," in vtt
    assert "]Ben & Co: It costs 3 < 5" in lrc


def test_json_has_the_positions_and_the_words(tmp_path: Path) -> None:
    sentences = json.loads(written(tmp_path / "x.json"))["sentences"]
    whole = " ".join(said.text for said in STORY)
    assert [whole[slice(*sentence["position"])] for sentence in sentences] == [said.text for said in STORY]
    assert [sentence["speaker"] for sentence in sentences] == [said.speaker for said in STORY]
    for sentence in sentences:
        words = sentence["words"]
        assert "".join(word["text"] for word in words) == sentence["text"].replace(" ", "")
        assert words[0]["start"] == sentence["start"]
        assert words[-1]["end"] == pytest.approx(sentence["end"], abs=1e-5)
        assert all(before["end"] <= after["start"] + 1e-6 for before, after in pairwise(words))


def test_subtitles_are_not_touched_before_there_is_sound_nor_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "x.srt"
    path.write_text("precious")
    with pytest.raises(Exception, match="exists"), open_sink([ToFile(path, SubtitleFormat.SRT)]):
        pytest.fail("it must not open")
    with open_sink([ToFile(path, SubtitleFormat.SRT, overwrite=True)]):
        pass
    assert path.read_text() == "precious"


def test_when_subtitles_cannot_be_written_the_sound_is(tmp_path: Path) -> None:
    sound = tmp_path / "x.wav"
    targets = [ToFile(Path("/dev/full"), SubtitleFormat.SRT), ToFile(sound, AudioFormat.WAV)]
    with pytest.raises(DeviceError, match="/dev/full"), open_sink(targets) as sink:
        for piece in spoken(STORY):
            sink.write(piece) if isinstance(piece, AudioChunk) else sink.mark(piece)
    assert sound.stat().st_size > 10_000
