"""Tags in every container: read by us and by programs of others as they were written, whatever they hold."""

import io
import struct
import subprocess
from pathlib import Path

import av
import mutagen
import mutagen.aac
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.encode import encoded_whole, new_encoder
from voxcli.audio.format import AudioFormat
from voxcli.audio.headers import growing_header
from voxcli.audio.tags import SOURCE_TYPE, Tags
from voxcli.audio.tags.heads import HAVE_ROOM, split_head, tagged_head
from voxcli.audio.tags.id3 import id3_tag, read_id3, size_of_id3
from voxcli.audio.tags.mp4 import add_tags
from voxcli.audio.tags.reading import TaggedFile, read_tagged
from voxcli.audio.tags.riff import tag_chunks, text_chunk

RATE = 24000
SOUND = AudioChunk((0.3 * np.sin(np.arange(RATE // 2) / 20)).astype(np.float32), RATE)
TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
USUAL = {
    "COMMENT": "Made by a machine. 你好",
    "ENCODER": "voxcli 9.9",
    SOURCE_TYPE: TRAINED,
    "VOXCLI": '{"a":[1,"b"]}',
    "LYRICS": "Two\nlines & <more> 你好 🎉",
}
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff"), max_size=40)
NAMES = st.sampled_from([name for name in USUAL if name != SOURCE_TYPE] + ["X", "VOXCLI_SOUND"])
TAGS = st.dictionaries(NAMES, TEXT, max_size=5).map(lambda tags: {SOURCE_TYPE: TRAINED, **tags})
PLAIN = {format: split_head(format, encoded_whole(iter([SOUND]), format)) for format in HAVE_ROOM}
"""Head and sound of each format, as the encoder writes them."""


def tagged_file(format: AudioFormat, tags: Tags, room: int = 0) -> bytes:
    head, sound = PLAIN[format]
    return tagged_head(format, head, tags, len(tagged_head(format, head, tags)) + room if room else 0) + sound


def wav(tags: Tags, room: int = 0) -> bytes:
    shown = {name: text for name, text in tags.items() if name != "LYRICS"}
    chunks = tag_chunks(shown, len(tag_chunks(shown)) + room if room else 0)
    samples = np.arange(1000, dtype="<i2").tobytes()
    behind = text_chunk(tags["LYRICS"]) if "LYRICS" in tags else b""
    return growing_header(RATE, len(samples), chunks, len(behind)) + samples + behind


def read(data: bytes) -> TaggedFile:
    found = read_tagged(io.BytesIO(data))
    assert found
    return found


def sound_of(data: bytes) -> bytes:
    return b"".join(read(data).blocks(io.BytesIO(data)))


@settings(max_examples=40)
@given(tags=TAGS, room=st.sampled_from([0, 4, 5, 254, 255, 256, 1000]))
@pytest.mark.parametrize("format", HAVE_ROOM)
def test_any_tags_are_read_back_and_the_sound_stays_as_it_is(format: AudioFormat, tags: Tags, room: int) -> None:
    data = tagged_file(format, tags, room)
    assert read(data).tags == tags
    assert sound_of(data) == PLAIN[format][1]
    assert read(data).missing == 0


@settings(max_examples=40)
@given(tags=TAGS, room=st.sampled_from([0, 2, 254, 1000]))
def test_the_chunks_of_a_wav_hold_any_tags(tags: Tags, room: int) -> None:
    tags = {name: "".join(c for c in text if c.isprintable() or c in "\t\n\r") for name, text in tags.items()}
    data = wav(tags, room)
    assert read(data).tags == tags
    assert sound_of(data) == np.arange(1000, dtype="<i2").tobytes()
    assert soundfile.read(io.BytesIO(data), dtype="int16")[0].tobytes() == sound_of(data)


@given(tags=TAGS, grown=TAGS, format=st.sampled_from(HAVE_ROOM))
@settings(max_examples=60)
def test_a_head_is_filled_up_to_the_size_of_another_one(tags: Tags, grown: Tags, format: AudioFormat) -> None:
    plain, _ = PLAIN[format]
    size = len(tagged_head(format, plain, tags, len(tagged_head(format, plain, tags)) + 400))
    assert len(tagged_head(format, plain, tags, size)) == size
    assert len(tagged_head(format, plain, grown, size)) == max(size, len(tagged_head(format, plain, grown)))


@pytest.mark.parametrize("format", HAVE_ROOM)
def test_programs_of_others_see_the_tags_and_play_the_sound(format: AudioFormat, tmp_path: Path) -> None:
    path = tmp_path / f"x.{format}"
    path.write_bytes(tagged_file(format, USUAL, 500))
    with av.open(str(path)) as container:
        seen = {**container.metadata, **container.streams.audio[0].metadata}
        seconds = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
    lowered = {name.lower().split("-")[0]: text for name, text in seen.items()}
    assert seconds == pytest.approx(0.5, abs=0.13)
    assert {name: lowered.get(name.lower()) for name in USUAL} == USUAL
    if format is not AudioFormat.AAC:  # mutagen takes the container for MP3, because of its tag
        assert TRAINED in str(mutagen.File(path).tags)
    else:
        assert mutagen.aac.AAC(path).info.length == pytest.approx(0.5, abs=0.1)


def test_players_see_the_tags_of_a_wav(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(wav(USUAL))
    with av.open(str(path)) as container:
        assert container.metadata["comment"] == USUAL["COMMENT"]
        assert container.metadata["VOXCLI"] == USUAL["VOXCLI"]
        assert sum(frame.samples for frame in container.decode(audio=0)) == 1000
    assert TRAINED in str(mutagen.File(path).tags)


def mp4(path: Path, *options: str) -> None:
    source = path.with_suffix(".wav")
    source.write_bytes(wav({}))
    asked = ("ffmpeg", "-v", "error", "-y", "-i", source, *options, "-c:a", "aac", path)
    subprocess.run(asked, check=True)


@pytest.mark.parametrize("options", [(), ("-metadata", "title=A book"), ("-fflags", "+bitexact")], ids=str)
def test_tags_are_added_to_an_mp4(tmp_path: Path, options: tuple[str, ...]) -> None:
    path = tmp_path / "x.m4a"
    mp4(path, *options)
    before = sound_of(path.read_bytes())
    with path.open("r+b") as file:
        assert add_tags(file, USUAL)
    found = read(path.read_bytes())
    assert {name: found.tags.get(name) for name in USUAL} == USUAL
    assert sound_of(path.read_bytes()) == before
    seen = mutagen.File(path)
    assert seen["----:com.apple.iTunes:VOXCLI"] == [USUAL["VOXCLI"].encode()]
    assert seen.get("\xa9nam") == (["A book"] if "title=A book" in options else None)
    with av.open(str(path)) as container:
        assert container.metadata["comment"] == USUAL["COMMENT"]
        assert list(container.decode(audio=0))


def test_an_mp4_whose_index_stands_in_front_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "x.m4a"
    mp4(path, "-movflags", "+faststart")
    before = path.read_bytes()
    with path.open("r+b") as file:
        assert not add_tags(file, USUAL)
    assert path.read_bytes() == before


@pytest.mark.parametrize("version", [3, 4])
def test_tags_that_another_program_wrote_again_are_read(version: int, tmp_path: Path) -> None:
    path = tmp_path / "x.mp3"
    path.write_bytes(tagged_file(AudioFormat.MP3, USUAL))
    file = mutagen.File(path)
    file.save(v2_version=version, v1=2)
    found = read(path.read_bytes())
    assert {name: found.tags.get(name) for name in USUAL} == USUAL
    assert sound_of(path.read_bytes()) == PLAIN[AudioFormat.MP3][1]


FILES = [*(tagged_file(format, USUAL) for format in HAVE_ROOM), wav(USUAL)]


@settings(max_examples=150)
@given(data=st.sampled_from(FILES), change=st.data())
def test_a_damaged_file_is_read_as_far_as_it_goes(data: bytes, change: st.DataObject) -> None:
    where = change.draw(st.integers(0, 1500))
    bytes_ = change.draw(st.binary(max_size=8))
    cut = change.draw(st.integers(0, len(data)))
    damaged = (data[:where] + bytes_ + data[where + len(bytes_) :])[:cut]
    found = read_tagged(io.BytesIO(damaged))
    if found:
        assert all(0 <= begin <= max(end, begin) for begin, end in found.spans)
        found.sound(io.BytesIO(damaged))


def test_a_box_and_a_chunk_that_claim_too_much_are_no_loops() -> None:
    for data in (
        struct.pack(">I4s", 20, b"ftyp") + bytes(12) + struct.pack(">I4s", 0, b"moov") + bytes(50),
        struct.pack(">I4s", 20, b"ftyp") + bytes(12) + struct.pack(">I4sQ", 1, b"mdat", 3),
        b"RIFF\xff\xff\xff\xffWAVE" + struct.pack("<4sI", b"LIST", 0xFFFFFFF0),
        b"RIFF\xff\xff\xff\xffWAVE" + struct.pack("<4sI", b"data", 0xFFFFFFFF),
    ):
        assert read_tagged(io.BytesIO(data)) is not None


@pytest.mark.parametrize("data", [b"", b"R", b"Hello, this is a text.", bytes(100), b"\xff", b"PK\3\4" + bytes(50)])
def test_what_is_no_sound_is_none(data: bytes) -> None:
    assert read_tagged(io.BytesIO(data)) is None


def test_tags_that_do_not_fit_into_a_page_of_ogg_are_refused() -> None:
    with pytest.raises(ValueError, match="fit"):
        tagged_head(AudioFormat.OPUS, PLAIN[AudioFormat.OPUS][0], {"LYRICS": "x" * 65100})


def test_the_size_of_an_id3_tag_is_read_from_its_header() -> None:
    tag = id3_tag(USUAL, 5000)
    assert size_of_id3(tag) == len(tag) == 5000
    assert read_id3(tag[:12]) == {}
    assert size_of_id3(b"ID3\3\0\0\xff\0\0\0") == 0


@pytest.mark.parametrize("format", HAVE_ROOM)
def test_an_encoder_writes_its_whole_head_first(format: AudioFormat) -> None:
    first = new_encoder(format, RATE).encode(SOUND)
    assert split_head(format, first)[0] == PLAIN[format][0] or format is AudioFormat.FLAC
    assert len(split_head(format, first)[0]) == len(PLAIN[format][0])
