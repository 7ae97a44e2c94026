"""Where sound begins in a file that is still arriving."""

import io
import itertools

import numpy as np
import pytest
import soundfile

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.encode import encoded
from voxcli.audio.format import AudioFormat
from voxcli.audio.stream_decoding.containers import audio_offset
from voxcli.bench.measure.sample import FirstByteTimer

CHUNK = AudioChunk((0.3 * np.sin(np.arange(8000) / 9)).astype(np.float32), 16000)


def file_in(format: AudioFormat) -> bytes:
    return b"".join(encoded(iter([CHUNK]), format))


def vorbis() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, CHUNK.samples, 16000, format="OGG", subtype="VORBIS")
    return file.getvalue()


def test_behind_the_header_of_a_wav() -> None:
    data = file_in(AudioFormat.WAV)
    offset = audio_offset(data)
    assert offset is not None
    assert data[offset - 8 : offset - 4] == b"data"


@pytest.mark.parametrize("data", [file_in(AudioFormat.OPUS), vorbis()], ids=["opus", "vorbis"])
def test_behind_the_header_pages_of_ogg(data: bytes) -> None:
    offset = audio_offset(data)
    assert offset is not None
    assert data[offset : offset + 4] == b"OggS"
    headers = [data.index(name) for name in (b"Opus", b"vorbis") if name in data]
    assert headers[0] < offset


def test_behind_the_metadata_of_flac() -> None:
    offset = audio_offset(file_in(AudioFormat.FLAC))
    assert offset is not None
    assert file_in(AudioFormat.FLAC)[offset : offset + 2] in (b"\xff\xf8", b"\xff\xf9")


def test_behind_the_tags_of_mp3() -> None:
    assert audio_offset(b"ID3\4\0\0\0\0\1\2" + bytes(130) + b"\xff\xfb") == 140


def test_samples_begin_at_once() -> None:
    assert audio_offset(b"\1\0\2\0") == 0


@pytest.mark.parametrize("format", [AudioFormat.WAV, AudioFormat.FLAC, AudioFormat.OPUS])
def test_as_long_as_it_cannot_be_known_it_is_not_said(format: AudioFormat) -> None:
    data = file_in(format)
    offset = audio_offset(data)
    assert offset is not None
    for length in range(offset):
        assert audio_offset(data[:length]) in (None, offset)
    assert audio_offset(data[: offset + 27]) == offset


@pytest.mark.parametrize("size", [1, 7, 44, 4096])
def test_it_is_noted_with_the_piece_that_brings_the_first_byte_of_sound(size: int) -> None:
    data = file_in(AudioFormat.WAV)
    offset = audio_offset(data)
    times = itertools.count()
    watch = FirstByteTimer(lambda: float(next(times)))
    for start in range(0, len(data), size):
        watch.note(data[start : start + size])
    assert offset is not None
    assert watch.began == offset // size
    assert watch.count == len(data)


def test_a_header_alone_is_no_sound() -> None:
    watch = FirstByteTimer(lambda: 1.0)
    watch.note(file_in(AudioFormat.WAV)[: audio_offset(file_in(AudioFormat.WAV))])
    assert watch.began is None
