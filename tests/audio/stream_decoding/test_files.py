"""Compressed sound in pieces of which each is a file, and in files as other programs write them."""

import re
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from io import BytesIO
from itertools import pairwise

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.audio.encode import encoded
from voxcli.audio.format import AudioFormat
from voxcli.audio.pcm import to_int16
from voxcli.audio.stream_decoding import NotAudio, decoded, new_decoder
from voxcli.errors import RequestError

RATE = 44100
PATCH = 7056
"""What VoxCPM 1.5 makes per turn, 0.16 s."""


@cache
def speech(seconds: float = 1.0, rate: int = RATE) -> Samples:
    time = np.arange(round(seconds * rate)) / rate
    buzz = sum(np.sin(2 * np.pi * 140 * partial * time) / partial for partial in range(1, 12))
    noise = np.random.default_rng(0).normal(0, 0.01, len(time))
    return (0.2 * buzz * np.sin(2 * np.pi * 3 * time) ** 2 + noise).astype(np.float32)


def written_by_ffmpeg(samples: Samples, container: str, codec: str, layout: str = "mono", rate: int = RATE) -> bytes:
    """A file as `ffmpeg` writes it, with its tags and the header that is mended at the end."""
    file = BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout=layout)
        assert isinstance(stream, av.AudioStream)
        stream.codec_context.bit_rate = 128_000
        channels = 2 if layout == "stereo" else 1
        frame = av.AudioFrame.from_ndarray(
            np.repeat(np.frombuffer(to_int16(samples), np.int16), channels)[np.newaxis], format="s16", layout=layout
        )
        frame.sample_rate = rate
        frame.pts = 0
        output.mux([*stream.encode(frame), *stream.encode(None)])
    return file.getvalue()


def written_by_libsndfile(samples: Samples, container: str, coding: str) -> bytes:
    file = BytesIO()
    soundfile.write(file, samples, RATE, format=container, subtype=coding)
    return file.getvalue()


def every(step: int, data: bytes) -> Iterator[bytes]:
    return (data[start : start + step] for start in range(0, len(data), step))


def sound(pieces: Iterator[bytes], hint: AudioFormat | None = None) -> AudioChunk:
    chunks = list(decoded(pieces, hint, RATE))
    return AudioChunk(np.concatenate([chunk.samples for chunk in chunks]), chunks[0].sample_rate)


def delay_of(one: Samples, other: Samples) -> int:
    """Return by how many samples `one` is later than `other`, as far as 100."""
    middle = other[200:-200]
    return (
        int(np.argmax([likeness(one[200 + late : len(one) - 200 + late], middle) for late in range(-100, 100)])) - 100
    )


def likeness(one: Samples, other: Samples) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


FILES: dict[str, Callable[[Samples], bytes]] = {
    "mp3": lambda samples: written_by_ffmpeg(samples, "mp3", "libmp3lame"),
    "mp3 stereo": lambda samples: written_by_ffmpeg(samples, "mp3", "libmp3lame", "stereo"),
    "opus": lambda samples: written_by_ffmpeg(samples, "ogg", "libopus", rate=48000),
    "opus stereo": lambda samples: written_by_ffmpeg(samples, "ogg", "libopus", "stereo", rate=48000),
    "flac": lambda samples: written_by_ffmpeg(samples, "flac", "flac"),
    "flac stereo": lambda samples: written_by_ffmpeg(samples, "flac", "flac", "stereo"),
    "flac 24": lambda samples: written_by_libsndfile(samples, "FLAC", "PCM_24"),
    "vorbis": lambda samples: written_by_libsndfile(samples, "OGG", "VORBIS"),
    "wav": lambda samples: written_by_libsndfile(samples, "WAV", "PCM_16"),
}
every_file = pytest.mark.parametrize("name", FILES)


def rate_of(name: str) -> int:
    return 48000 if name.startswith("opus") else RATE


@every_file
def test_a_file_gives_its_sound_without_padding(name: str) -> None:
    samples = speech(rate=rate_of(name))
    out = sound(every(100, FILES[name](samples)))
    assert len(out.samples) == len(samples)
    assert out.sample_rate == rate_of(name)
    assert delay_of(out.samples, samples) == 0
    assert likeness(out.samples, samples) > 0.99


@cache
def patches(name: str) -> list[bytes]:
    """A file for each."""
    samples = speech(rate=rate_of(name))[: 5 * PATCH]
    return [FILES[name](samples[start : start + PATCH]) for start in range(0, len(samples), PATCH)]


@every_file
def test_a_file_for_each_patch_is_one_sound_without_gaps(name: str) -> None:
    samples = speech(rate=rate_of(name))[: 5 * PATCH]
    out = sound(every(100, b"".join(patches(name))))
    assert len(out.samples) == len(samples)
    assert likeness(out.samples, samples) > 0.97
    joined = np.concatenate([sound(iter([file])).samples for file in patches(name)])
    assert np.array_equal(out.samples, joined)


@every_file
def test_a_patch_is_heard_before_the_next_one_comes(name: str) -> None:
    decoder = new_decoder(None, None)
    for file in patches(name):
        assert sum(len(chunk.samples) for chunk in decoder.feed(file)) == PATCH


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(list(FILES)), st.lists(st.integers(0, 30000), max_size=20))
def test_files_cut_anywhere_give_the_same_sound(name: str, cuts: list[int]) -> None:
    data = b"".join(patches(name))
    bounds = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    out = sound(data[start:end] for start, end in pairwise(bounds))
    assert np.array_equal(out.samples, sound(iter([data])).samples)


def test_a_flac_cut_within_the_header_of_a_frame_loses_nothing() -> None:
    data = FILES["flac"](speech(0.3))
    expected = sound(iter([data])).samples
    for start in re.finditer(rb"\xff\xf8", data):
        for at in range(start.start(), start.start() + 20):
            assert np.array_equal(sound(iter([data[:at], data[at:]])).samples, expected)


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(list(FILES)),
    st.lists(st.tuples(st.integers(0, 20000), st.binary(min_size=1, max_size=4)), min_size=1, max_size=12),
)
def test_damaged_files_never_make_noise_beyond_full_scale(name: str, changes: list[tuple[int, bytes]]) -> None:
    data = bytearray(b"".join(patches(name)))
    for at, change in changes:
        data[at : at + len(change)] = change
    with suppress(NotAudio, RequestError):
        for chunk in decoded(every(1000, bytes(data))):
            assert np.all(np.abs(chunk.samples) <= 1)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 24000, 48000])
@pytest.mark.parametrize("layout", ["mono", "stereo"])
def test_the_padding_of_mp3_is_known_at_every_rate(rate: int, layout: str) -> None:
    samples = speech(rate=rate)
    assert len(sound(iter([written_by_ffmpeg(samples, "mp3", "libmp3lame", layout, rate)])).samples) == len(samples)


def test_frames_behind_the_end_of_an_mp3_are_played() -> None:
    file = FILES["mp3"](speech())
    stream = b"".join(encoded(iter([AudioChunk(speech(), RATE)]), AudioFormat.MP3))
    assert len(sound(iter([file + stream])).samples) == RATE + len(sound(iter([stream])).samples)


def test_an_mp3_that_does_not_know_its_length_loses_nothing_at_its_end() -> None:
    file = FILES["mp3"](speech())
    at = file.index(b"Info") + 8
    out = sound(iter([file[:at] + bytes(4) + file[at + 4 :]]))
    assert RATE <= len(out.samples) < RATE + 2304


@pytest.mark.parametrize("format", [AudioFormat.MP3, AudioFormat.AAC, AudioFormat.FLAC])
def test_tags_in_front_are_passed_over(format: AudioFormat) -> None:
    data = b"".join(encoded(iter([AudioChunk(speech(), RATE)]), format))
    picture = b"\xff\xfb\x90\xc0" * 50000
    tag = b"ID3\4\0\0" + bytes(len(picture) >> shift & 0x7F for shift in (21, 14, 7, 0)) + picture
    expected = sound(iter([data])).samples
    assert np.array_equal(sound(every(1000, tag + tag + data)).samples, expected)


@pytest.mark.parametrize("format", [AudioFormat.MP3, AudioFormat.AAC])
def test_tags_on_the_way_are_passed_over(format: AudioFormat) -> None:
    data = b"".join(encoded(iter([AudioChunk(speech(), RATE)]), format))
    tag = b"ID3\4\0\0\0\0\0\x14" + b"\xff\xfb\x90\xc0\xff" * 4
    count = len(sound(iter([data])).samples)
    assert len(sound(every(1000, data + tag + data)).samples) == 2 * count


def test_aac_encoded_anew_for_each_patch_is_played_on() -> None:
    data = b"".join(encoded(iter([AudioChunk(speech(), RATE)]), AudioFormat.AAC))
    count = len(sound(iter([data])).samples)
    assert len(sound(every(100, data * 3)).samples) == 3 * count


def page(flags: int, granule: int, lacing: bytes, data: bytes) -> bytes:
    numbers = struct.pack("<BqIIIB", flags, granule, 1, 0, 0, len(lacing))
    return b"OggS\0" + numbers + lacing + data


def packets_of(data: bytes) -> list[bytes]:
    with av.open(BytesIO(data), "r") as container:
        setup = container.streams.audio[0].codec_context.extradata
        return [setup or b"", *(bytes(packet) for packet in container.demux() if packet.size)]


def test_packets_go_on_over_pages() -> None:
    head, *packets = packets_of(FILES["opus"](speech(rate=48000)))
    titles = b"OpusTags" + bytes(1000)
    pages = [page(2, 0, bytes([len(head)]), head), page(0, 0, b"\xff" * 3, titles[:765])]
    pages.append(page(1, 0, bytes([len(titles) - 765]), titles[765:]))
    for packet in packets:
        rest = packet[255:]
        lacing = b"\xff" * (len(rest) // 255) + bytes([len(rest) % 255])
        pages += [page(0, -1, b"\xff", packet[:255]), page(1, -1, lacing, rest)]
    expected = sound(iter([FILES["opus"](speech(rate=48000))])).samples
    out = sound(every(100, b"".join(pages))).samples
    assert np.array_equal(out[: len(expected)], expected)
    assert len(out) < len(expected) + 960
    for half in range(9, 49, 2):  # half a packet is none
        without = sound(iter([b"".join(pages[:half] + pages[half + 2 :])])).samples
        assert len(out) - len(without) == 960
        for lost in (half, half + 1):
            assert np.array_equal(sound(iter([b"".join(pages[:lost] + pages[lost + 1 :])])).samples, without)


def test_of_pages_of_several_streams_those_with_the_sound_are_read() -> None:
    data = FILES["vorbis"](speech())
    stranger = b"OggS\0\2" + bytes(8) + b"else" + bytes(8) + b"\1\x08" + b"fishead\0"
    expected = sound(iter([data])).samples
    second = data.index(b"OggS", 1)
    assert np.array_equal(sound(iter([stranger + data])).samples, expected)
    assert np.array_equal(sound(iter([data[:second] + stranger + data[second:]])).samples, expected)


def test_ogg_with_something_else_in_it_is_refused() -> None:
    with pytest.raises(RequestError, match="neither Opus nor Vorbis"):
        sound(iter([written_by_ffmpeg(speech(), "ogg", "flac")]))


def test_a_flac_that_does_not_say_how_it_is_coded_is_refused() -> None:
    with pytest.raises(RequestError, match="no STREAMINFO"):
        sound(iter([b"fLaC\x84\0\0\4" + bytes(1000)]))


def test_opus_with_a_damaged_beginning_is_refused() -> None:
    data = FILES["opus"](speech(rate=48000))
    at = data.index(b"OpusHead") + 9
    with pytest.raises(RequestError, match="cannot be decoded"):
        sound(iter([data[:at] + b"\xff" + data[at + 1 :]]))
