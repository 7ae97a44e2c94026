import struct
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.decode import decode
from voxcli.audio.encode import new_encoder
from voxcli.audio.format import AudioFormat
from voxcli.audio.headers import streaming_header
from voxcli.audio.soundfile_decoder import read_plain
from voxcli.errors import RequestError

RATE = 48000
LEVEL = 0.3


def tone() -> NDArray[np.float64]:
    """A second of it."""
    return LEVEL * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)


def written_by_libsndfile(container: str, coding: str, channels: int = 1) -> bytes:
    file = BytesIO()
    soundfile.write(file, np.stack([tone()] * channels, 1), RATE, format=container, subtype=coding)
    return file.getvalue()


def written_by_ffmpeg(
    container: str, sound: str | None, picture: str | None = None, *, rate: int = RATE, layout: str = "stereo"
) -> bytes:
    file = BytesIO()
    with av.open(file, "w", format=container) as output:
        packets = []
        if picture is not None:
            video = output.add_stream(picture, rate=10, width=64, height=64, pix_fmt="yuv420p")
            assert isinstance(video, av.VideoStream)
            image = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            image.pts = 0
            packets += [*video.encode(image), *video.encode(None)]
        if sound is not None:
            audio = output.add_stream(sound, rate=rate, layout=layout)
            assert isinstance(audio, av.AudioStream)
            samples = np.repeat(tone() * 32767, 2).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="s16", layout="stereo")
            frame.sample_rate = RATE
            frame.pts = 0
            packets += [*audio.encode(frame), *audio.encode(None)]
        output.mux(packets)
    return file.getvalue()


def streamed(format: AudioFormat) -> bytes:
    encoder = new_encoder(format, RATE)
    return encoder.encode(AudioChunk(tone().astype(np.float32), RATE)) + encoder.finish()


FILES: dict[str, Callable[[], bytes]] = {
    "wav 8": lambda: written_by_libsndfile("WAV", "PCM_U8"),
    "wav 16": lambda: written_by_libsndfile("WAV", "PCM_16"),
    "wav 24 stereo": lambda: written_by_libsndfile("WAV", "PCM_24", 2),
    "wav 32": lambda: written_by_libsndfile("WAV", "PCM_32"),
    "wav float": lambda: written_by_libsndfile("WAV", "FLOAT"),
    "wav double stereo": lambda: written_by_libsndfile("WAV", "DOUBLE", 2),
    "wav µ-law": lambda: written_by_libsndfile("WAV", "ULAW"),
    "wav ADPCM": lambda: written_by_libsndfile("WAV", "IMA_ADPCM"),
    "wav extensible 6": lambda: written_by_libsndfile("WAVEX", "PCM_16", 6),
    "wav streamed": lambda: streamed(AudioFormat.WAV),
    "rf64": lambda: written_by_libsndfile("RF64", "PCM_16"),
    "aiff": lambda: written_by_libsndfile("AIFF", "PCM_16", 2),
    "aiff float": lambda: written_by_libsndfile("AIFF", "FLOAT"),
    "caf": lambda: written_by_libsndfile("CAF", "PCM_16"),
    "flac": lambda: written_by_libsndfile("FLAC", "PCM_24", 2),
    "flac streamed": lambda: streamed(AudioFormat.FLAC),
    "ogg vorbis": lambda: written_by_libsndfile("OGG", "VORBIS", 2),
    "ogg opus": lambda: written_by_libsndfile("OGG", "OPUS"),
    "opus streamed": lambda: streamed(AudioFormat.OPUS),
    "mp3": lambda: written_by_ffmpeg("mp3", "libmp3lame"),
    "mp3 streamed": lambda: streamed(AudioFormat.MP3),
    "aac streamed": lambda: streamed(AudioFormat.AAC),
    "m4a aac": lambda: written_by_ffmpeg("ipod", "aac"),
    "m4a alac": lambda: written_by_ffmpeg("ipod", "alac"),
    "webm": lambda: written_by_ffmpeg("webm", "libopus"),
    "mka": lambda: written_by_ffmpeg("matroska", "flac"),
    "mp4 film": lambda: written_by_ffmpeg("mp4", "aac", "mpeg4"),
}


@cache
def file_named(name: str) -> bytes:
    return FILES[name]()


def check_sound(chunk: AudioChunk) -> None:
    assert chunk.samples.ndim == 1
    assert chunk.samples.dtype == np.float32
    assert len(chunk.samples) > 0
    assert np.all(np.abs(chunk.samples) <= 1)  # false for NaN, too


@pytest.mark.parametrize("name", list(FILES))
def test_every_common_file_gives_its_sound(name: str) -> None:
    chunk = decode(file_named(name))
    check_sound(chunk)
    assert chunk.sample_rate == RATE
    assert chunk.seconds == pytest.approx(1.0, abs=0.05)
    spectrum = np.abs(np.fft.rfft(chunk.samples))
    assert np.argmax(spectrum) / chunk.seconds == pytest.approx(440, abs=3)
    assert np.sqrt(np.mean(chunk.samples[4800:-4800] ** 2)) == pytest.approx(LEVEL / np.sqrt(2), rel=0.1)


@pytest.mark.parametrize("coding", ["PCM_16", "PCM_24", "FLOAT"])
def test_what_is_lossless_is_read_to_the_bit(coding: str) -> None:
    expected, _ = soundfile.read(BytesIO(written_by_libsndfile("WAV", coding)), dtype="float32")
    assert np.array_equal(decode(written_by_libsndfile("WAV", coding)).samples, expected)


def test_channels_are_averaged() -> None:
    file = BytesIO()
    soundfile.write(file, np.array([[0.5, -0.25], [1.0, 0.0]] * 100), RATE, format="WAV", subtype="FLOAT")
    assert decode(file.getvalue()).samples.tolist() == [0.125, 0.5] * 100


def test_floats_that_are_no_numbers_become_silence_and_loud_ones_full_scale() -> None:
    file = BytesIO()
    values = np.array([np.nan, np.inf, -np.inf, 1e30, -7.0, 0.5], np.float32)
    soundfile.write(file, values, RATE, format="WAV", subtype="FLOAT")
    assert decode(file.getvalue()).samples.tolist() == [0, 1, -1, 1, -1, 0.5]


@pytest.mark.parametrize("size", [0, 0x7FFFFFFF, 0x7FFFF000, 0xFFFFFFFF])
def test_a_wav_streamed_without_a_true_size_gives_all_its_sound(size: int) -> None:
    pcm = (tone() * 32767).astype("<i2").tobytes()
    header = streaming_header(RATE)[:40] + struct.pack("<I", size)
    assert len(decode(header + pcm).samples) == RATE
    header = header[:4] + struct.pack("<I", size) + header[8:]
    assert len(decode(header + pcm).samples) == RATE


@pytest.mark.parametrize("name", ["mp3", "opus streamed", "wav 16", "flac", "webm", "mka", "aac streamed", "aiff"])
def test_a_file_that_breaks_off_gives_what_is_there(name: str) -> None:
    data = file_named(name)
    chunk = decode(data[: len(data) // 2])
    check_sound(chunk)
    assert 0.3 < chunk.seconds < 0.7


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "is empty"),
        (b"Once upon a time there was a voice.\n" * 40, "it is text"),
        ("从前有一个声音。\n".encode() * 40, "it is text"),
        (bytes(5000), "damaged"),
        (b"RIFF", "cannot be read"),
        (streaming_header(24000), "contains no audio"),
    ],
)
def test_what_holds_no_sound_is_refused_by_name(data: bytes, complaint: str) -> None:
    with pytest.raises(RequestError, match=rf"me\.wav .*{complaint}"):
        decode(data, name="me.wav")


def test_an_m4a_cut_short_is_called_that() -> None:
    data = file_named("m4a aac")
    with pytest.raises(RequestError, match=r"me\.m4a cannot be read.*truncated M4A"):
        decode(data[: len(data) // 2], name="me.m4a")


def test_a_film_without_sound_is_refused() -> None:
    with pytest.raises(RequestError, match="no audio track"):
        decode(written_by_ffmpeg("mp4", None, "mpeg4"))


def test_a_coding_outside_the_list_is_refused() -> None:
    with pytest.raises(RequestError, match="unsupported audio codec"):
        decode(written_by_ffmpeg("wav", "adpcm_yamaha"))


def test_a_file_too_large_is_refused() -> None:
    with pytest.raises(RequestError, match=r"me\.wav has 0\.1 MiB, more than the 0\.0 MiB"):
        decode(file_named("wav 16"), name="me.wav", max_bytes=1000)


@pytest.mark.parametrize("name", ["wav 16", "mp3", "m4a aac", "flac"])
def test_a_file_too_long_is_refused(name: str) -> None:
    with pytest.raises(RequestError, match=r"longer than the 0\.5 s"):
        decode(file_named(name), max_seconds=0.5)
    assert decode(file_named(name), max_seconds=1.1).seconds > 0.9


def test_hours_in_a_small_file_are_given_up_early() -> None:
    encoder = new_encoder(AudioFormat.FLAC, 8000)
    minute = encoder.encode(AudioChunk(np.zeros(8000 * 60, np.float32), 8000))
    hours = minute + b"".join(encoder.encode(AudioChunk(np.zeros(8000 * 60, np.float32), 8000)) for _ in range(9))
    assert len(hours) < 250_000
    with pytest.raises(RequestError, match="longer than the 300 s"):
        decode(hours)


def test_a_header_that_claims_a_billion_frames_is_not_believed() -> None:
    chunk = decode(streaming_header(24000) + bytes(2000))
    assert len(chunk.samples) == 1000


@pytest.mark.parametrize("rate", [1, 3999, 192001, 4_000_000_000])
def test_a_rate_that_no_recording_has_is_refused(rate: int) -> None:
    header = bytearray(streaming_header(24000))
    header[24:28] = struct.pack("<I", rate)
    with pytest.raises(RequestError, match=r"sample rate of|cannot be read|contains no audio"):
        decode(bytes(header) + bytes(20_000))


def test_a_file_of_single_sample_packets_is_given_up() -> None:
    file = BytesIO()
    with av.open(file, "w", format="matroska") as output:
        stream = output.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for place in range(2000):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1), np.int16), format="s16", layout="mono")
            frame.sample_rate = RATE
            frame.pts = place
            output.mux(stream.encode(frame))
    with pytest.raises(RequestError, match="far too many packets"):
        decode(file.getvalue(), max_seconds=1)
    assert len(decode(file.getvalue(), max_seconds=3).samples) == 2000


def test_a_playlist_cannot_make_us_read_a_local_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("secret.wav").write_bytes(file_named("wav 16"))
    concat = b"ffconcat version 1.0\nfile 'secret.wav'\n"
    with av.open(BytesIO(concat), "r") as container:  # so the danger is real
        assert container.streams.audio
    with pytest.raises(RequestError, match="cannot be read"):
        decode(concat)
    hls = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.wav\n#EXT-X-ENDLIST\n"
    with pytest.raises(RequestError, match="is a playlist"):
        decode(hls)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=4000), st.sampled_from([b"", b"RIFF", b"OggS", b"fLaC", b"ID3\x03", b"\xff\xfb\x90\x64"]))
def test_random_bytes_are_refused_or_give_sound(data: bytes, start: bytes) -> None:
    refused_or_sound(start + data)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(list(FILES)),
    st.floats(0, 1),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=20),
    st.booleans(),
)
def test_damaged_files_are_refused_or_give_sound(
    name: str, kept: float, changes: list[tuple[float, int]], in_header: bool
) -> None:
    data = bytearray(file_named(name))
    for place, value in changes:
        data[int(place * (min(200, len(data)) if in_header else len(data)))] = value
    refused_or_sound(bytes(data[: int(kept * len(data))]))


def refused_or_sound(data: bytes) -> None:
    with warnings.catch_warnings(), suppress(RequestError):
        warnings.simplefilter("error")
        check_sound(decode(data))


def test_no_library_writes_to_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(0)
    for name in FILES:
        for _ in range(10):
            data = bytearray(file_named(name))
            for place in random.integers(0, len(data), 50):
                data[place] = random.integers(0, 256)
            refused_or_sound(bytes(data[: random.integers(0, len(data))]))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_both_libraries_read_a_plain_file_alike(monkeypatch: pytest.MonkeyPatch, subtype: str, channels: int) -> None:
    samples = np.random.default_rng(1).uniform(-1, 1, (3000, channels))
    file = BytesIO()
    soundfile.write(file, samples, 22050, format="WAV", subtype=subtype)
    by_libsndfile = read_plain(file.getvalue(), 10)
    assert by_libsndfile
    monkeypatch.setattr("voxcli.audio.decode.read_plain", lambda data, max_seconds: None)
    by_ffmpeg = decode(file.getvalue())
    assert by_libsndfile.sample_rate == by_ffmpeg.sample_rate
    assert np.abs(by_libsndfile.samples - by_ffmpeg.samples).max() < 1e-6


@pytest.mark.parametrize(
    ("container", "coding"),
    [("AU", "PCM_16"), ("AU", "ULAW"), ("NIST", "PCM_16"), ("VOC", "PCM_16"), ("W64", "PCM_24")],
)
def test_files_of_speech_corpora_and_old_programs_give_their_sound(container: str, coding: str) -> None:
    test = AudioChunk(tone().astype(np.float32), RATE)
    np.testing.assert_allclose(decode(written_by_libsndfile(container, coding)).samples, test.samples, atol=0.01)


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("mp2", "mp2"),
        ("wv", "wavpack"),
        ("tta", "tta"),
        ("mpegts", "aac"),
        ("avi", "libmp3lame"),
        ("flv", "aac"),
        ("ac3", "ac3"),
    ],
)
def test_less_common_containers_give_their_sound(container: str, codec: str) -> None:
    rate = 44100 if container == "flv" else RATE
    chunk = decode(written_by_ffmpeg(container, codec, rate=rate))
    assert chunk.sample_rate == rate
    assert chunk.seconds == pytest.approx(1.0, abs=0.1)
    assert np.sqrt(np.mean(chunk.samples[4800:-9600] ** 2)) == pytest.approx(LEVEL / np.sqrt(2), rel=0.1)


def test_a_recording_of_a_telephone_gives_its_sound() -> None:
    chunk = decode(written_by_ffmpeg("amr", "libopencore_amrnb", rate=8000, layout="mono"))
    assert (chunk.sample_rate, chunk.seconds) == (8000, pytest.approx(1.0, abs=0.1))
    assert np.argmax(np.abs(np.fft.rfft(chunk.samples))) / chunk.seconds == pytest.approx(440, abs=5)


@pytest.mark.parametrize("coding", ["PCM_16", "PCM_24", "FLOAT"])
def test_big_endian_wav_is_read_to_the_bit(coding: str) -> None:
    file = BytesIO()
    soundfile.write(file, tone(), RATE, format="WAV", subtype=coding, endian="BIG")
    assert file.getvalue()[:4] == b"RIFX"
    assert np.array_equal(decode(file.getvalue()).samples, decode(written_by_libsndfile("WAV", coding)).samples)


@pytest.mark.parametrize("size", [0, 0x7FFFFFFF])
def test_big_endian_wav_of_unknown_length_is_never_taken_for_noise(size: int) -> None:
    file = BytesIO()
    soundfile.write(file, tone(), RATE, format="WAV", subtype="PCM_16", endian="BIG")
    data = file.getvalue()
    place = data.index(b"data") + 4
    with suppress(RequestError):
        samples = decode(data[:place] + size.to_bytes(4, "big") + data[place + 4 :], name="x.wav").samples
        np.testing.assert_allclose(samples, tone()[: len(samples)], atol=1e-4)


def test_wav_files_one_after_another_are_one_recording() -> None:
    sound = tone().astype(np.float32)
    blocks = []
    for start in range(0, RATE, 1920):
        file = BytesIO()
        soundfile.write(file, sound[start : start + 1920], RATE, format="WAV", subtype="PCM_16")
        blocks.append(file.getvalue())
    np.testing.assert_allclose(decode(b"".join(blocks)).samples, sound, atol=1e-4)


CHANNELS = {
    "opposite phase": (1, -1),
    "centre of 5.1": (0, 0, 1, 0, 0, 0),
    "centre of 5.1 with effects": (0.2, -0.2, 1, 0.1, 0, 0),
    "mono twice": (1, 1),
}


@pytest.mark.parametrize("gains", CHANNELS.values(), ids=CHANNELS)
@pytest.mark.parametrize("container", ["WAV", "W64"])
def test_channels_never_silence_the_speech(gains: tuple[float, ...], container: str) -> None:
    file = BytesIO()
    sound = np.outer(tone(), gains)
    soundfile.write(file, sound, RATE, format=container, subtype="FLOAT")
    np.testing.assert_allclose(decode(file.getvalue()).samples[:RATE], tone(), atol=0.05)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "a Git LFS pointer"),
        (b'{"detail": "not found"}', "JSON: perhaps the error message of a server"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"\n <HTML>", "a web page"),
        (b"%PDF-1.7 ...", "a PDF"),
        (b"PK\3\4" + bytes(40), "a ZIP archive"),
        (b"\x02#!SILK_V3" + bytes(40), "a SILK recording"),
        (b"\x89PNG\r\n" + bytes(40), "a picture"),
        (b"MThd" + bytes(40), "notes, not sound"),
        (b"#EXTM3U\nhttp://radio", "a playlist"),
        (b"Dear diary, " * 9, "it is text"),
    ],
)
def test_what_is_no_audio_is_named(data: bytes, words: str) -> None:
    with pytest.raises(RequestError, match=rf"^ref\.wav .*{words}"):
        decode(data, name="ref.wav")
