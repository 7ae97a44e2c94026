"""The laws that hold for every format."""

import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import closing
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.audio.encode import encoded, new_encoder
from voxcli.audio.format import AudioFormat
from voxcli.audio.pcm import to_int16
from voxcli.audio.stream_decoding import NotAudio, decoded, new_decoder
from voxcli.errors import RequestError

RATES = [8000, 16000, 22050, 24000, 44100, 48000]
LOSSLESS = {AudioFormat.WAV, AudioFormat.PCM, AudioFormat.FLAC}
PADDED = {AudioFormat.MP3, AudioFormat.AAC}
every_format = pytest.mark.parametrize("format", list(AudioFormat))
every_rate = pytest.mark.parametrize("rate", RATES)


@cache
def speech(rate: int, seconds: float = 1.0) -> Samples:
    """A voice-like buzz that comes and goes."""
    time = np.arange(round(seconds * rate)) / rate
    buzz = sum(np.sin(2 * np.pi * 140 * partial * time) / partial for partial in range(1, 12))
    noise = np.random.default_rng(0).normal(0, 0.01, len(time))
    return (0.2 * buzz * np.sin(2 * np.pi * 3 * time) ** 2 + noise).astype(np.float32)


@cache
def body(format: AudioFormat, rate: int, count: int | None = None) -> bytes:
    return b"".join(encoded(iter([AudioChunk(speech(rate)[:count], rate)]), format))


def cut_at(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    bounds = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return (data[start:end] for start, end in pairwise(bounds))


def every(step: int, data: bytes) -> Iterator[bytes]:
    return (data[start : start + step] for start in range(0, len(data), step))


def sound(pieces: Iterator[bytes], hint: AudioFormat | None = None, rate: int | None = None) -> AudioChunk:
    """Return all of it, and see that each chunk is as it should be."""
    chunks = list(decoded(pieces, hint, rate))
    assert len({chunk.sample_rate for chunk in chunks}) == 1
    for chunk in chunks:
        assert chunk.samples.dtype == np.float32
        assert chunk.samples.ndim == 1
        assert len(chunk.samples) > 0
        assert np.all(np.abs(chunk.samples) <= 1)  # false for NaN, too
    return AudioChunk(np.concatenate([chunk.samples for chunk in chunks]), chunks[0].sample_rate)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(list(AudioFormat)),
    st.sampled_from(RATES),
    st.integers(1000, 8000),
    st.lists(st.integers(0, 9000), max_size=20),
)
def test_bytes_cut_anywhere_give_the_samples_that_the_whole_gives(
    format: AudioFormat, rate: int, count: int, cuts: list[int]
) -> None:
    data = body(format, rate, count)
    whole = sound(iter([data]), format, rate)
    assert np.array_equal(sound(cut_at(data, cuts), format, rate).samples, whole.samples)


@every_format
def test_single_bytes_give_the_samples_that_the_whole_gives(format: AudioFormat) -> None:
    data = body(format, 24000, 6000)
    whole = sound(iter([data]), format, 24000)
    assert np.array_equal(sound(every(1, data), format, 24000).samples, whole.samples)


@every_format
@every_rate
def test_what_was_sent_arrives(format: AudioFormat, rate: int) -> None:
    out = sound(every(1000, body(format, rate)), format, rate)
    if format in LOSSLESS:
        assert out.sample_rate == rate
        assert to_int16(out.samples) == to_int16(speech(rate))
        return
    if format in PADDED:
        assert 0.02 < out.seconds - 1 < 0.13
    else:
        assert len(out.samples) == out.sample_rate
    likeness, delay = likeness_of(speech(rate), rate, out)
    assert likeness > 0.98
    assert abs(delay) < 0.001 * out.sample_rate or format in PADDED


def likeness_of(samples: Samples, rate: int, out: AudioChunk) -> tuple[float, int]:
    """Return the best correlation of what came out with what was sent, and how many samples later that is."""
    sent = soxr.resample(samples, rate, out.sample_rate)
    size = 2 * max(len(sent), len(out.samples))
    products = np.fft.irfft(np.fft.rfft(out.samples, size) * np.conj(np.fft.rfft(sent, size)), size)
    peak = int(np.argmax(products))
    delay = peak - size if peak > size // 2 else peak
    return float(products[peak] / np.linalg.norm(sent) / np.linalg.norm(out.samples)), delay


@every_format
@every_rate
def test_sound_is_heard_after_160_ms_of_it(format: AudioFormat, rate: int) -> None:
    encoder = new_encoder(format, rate)
    decoder = new_decoder(format, rate)
    step = rate // 50
    heard: list[AudioChunk] = []
    for start in range(0, rate * 16 // 100, step):
        heard += decoder.feed(encoder.encode(AudioChunk(speech(rate)[start : start + step], rate)))
    assert len(heard) > 0


@every_format
def test_nothing_is_held_back_until_the_end(format: AudioFormat) -> None:
    decoder = new_decoder(format, 24000)
    for piece in every(777, body(format, 24000)):
        assert all(len(chunk.samples) > 0 for chunk in decoder.feed(piece))
    assert list(decoder.finish()) == []


@every_format
@pytest.mark.parametrize("hint", [None, *AudioFormat])
def test_bytes_count_for_more_than_what_is_said_of_them(format: AudioFormat, hint: AudioFormat | None) -> None:
    if format is AudioFormat.PCM and hint is not AudioFormat.PCM:
        with pytest.raises(NotAudio, match="not audio in a known format"):
            sound(iter([body(format, 24000)]), hint)
        return
    expected = sound(iter([body(format, 24000)]), format, 24000)
    out = sound(every(1000, body(format, 24000)), hint, 24000)
    assert np.array_equal(out.samples, expected.samples)
    assert out.sample_rate == expected.sample_rate


@every_format
@settings(max_examples=15, deadline=None)
@given(st.floats(0.2, 1))
def test_a_body_that_breaks_off_gives_what_is_there(format: AudioFormat, share: float) -> None:
    data = body(format, 24000)
    whole = sound(iter([data]), format, 24000)
    out = sound(iter([data[: int(len(data) * share)]]), format, 24000)
    count = len(out.samples)
    assert count / len(whole.samples) == pytest.approx(share, abs=0.25)
    assert np.array_equal(out.samples, whole.samples[:count])


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(list(AudioFormat)),
    st.lists(st.tuples(st.integers(0, 6000), st.binary(min_size=1, max_size=4)), min_size=1, max_size=12),
    st.lists(st.integers(0, 6000), max_size=5),
)
def test_damage_costs_some_sound_and_never_makes_noise_beyond_full_scale(
    format: AudioFormat, changes: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    data = bytearray(body(format, 24000, 12000))
    for at, change in changes:
        data[at : at + len(change)] = change
    for hint in (None, AudioFormat.PCM):
        try:
            chunks = list(decoded(cut_at(bytes(data), cuts), hint, 24000))
        except (NotAudio, RequestError):
            continue
        assert all(np.all(np.abs(chunk.samples) <= 1) for chunk in chunks)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(
        [b"", b"RIFF\0\0\0\0WAVE", b"OggS\0\2", b"fLaC", b"ID3\4\0", b"\xff\xfb\x90\xc0", b"\xff\xf1\x58\x40"]
    ),
    st.binary(max_size=3000),
)
def test_no_bytes_whatever_do_harm(start: bytes, rest: bytes) -> None:
    for hint in (None, AudioFormat.PCM):
        try:
            chunks = list(decoded(every(500, start + rest), hint, 24000))
        except (NotAudio, RequestError):
            continue
        assert all(np.all(np.abs(chunk.samples) <= 1) for chunk in chunks)


COMPRESSED = [format for format in AudioFormat if format not in (AudioFormat.WAV, AudioFormat.PCM)]


@pytest.mark.parametrize("format", COMPRESSED)
@pytest.mark.parametrize("damage", [b"", b"\0" * 300, b"\xff\xfb\xff\xf1\xff\xf8" * 50, b"OggS" * 75])
def test_after_a_damaged_part_the_sound_goes_on(format: AudioFormat, damage: bytes) -> None:
    data = body(format, 24000)
    middle = len(data) // 2
    out = sound(every(1000, data[:middle] + damage + data[middle + 400 :]), format, 24000)
    assert 0.75 < out.seconds < 1.13
    whole = sound(iter([data]), format, 24000)
    tail = out.sample_rate // 10
    assert np.allclose(out.samples[-tail:], whole.samples[-tail:], atol=0.05)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b'{"detail":"Not Found"}', r"text, not audio: {\"detail\":\"Not Found\"}"),
        (b"<!DOCTYPE html>\n<html>\n <h1>502 Bad Gateway</h1>", "text, not audio: <!DOCTYPE html> <html> <h1>502 Bad"),
        ("<html>找不到网页</html>".encode("gbk"), "text, not audio: <html>"),
        ("语音合成失败".encode(), "text, not audio: 语音合成失败"),
        (b"Internal Server Error", "Internal Server Error"),
    ],
)
@pytest.mark.parametrize("hint", [None, AudioFormat.PCM, AudioFormat.MP3])
def test_what_is_no_sound_is_said_to_be_none(data: bytes, words: str, hint: AudioFormat | None) -> None:
    for step in (1, 1000):
        with pytest.raises(NotAudio, match=words) as caught:
            list(decoded(every(step, data), hint, 24000))
        assert caught.value.beginning == data


def test_a_long_page_is_not_waited_for_to_its_end() -> None:
    page = b"<html>" + b"All is lost. " * 10000
    with pytest.raises(NotAudio) as caught:
        list(new_decoder(AudioFormat.WAV, None).feed(page))
    assert caught.value.beginning == page[:4096]
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("beginning", [b"\0\0\0\x18ftypM4A ", b"\x1aE\xdf\xa3", b"PK\3\4\0\0", b"RIFF\0\0\0\0AVI "])
def test_other_files_are_not_tried(beginning: bytes) -> None:
    with pytest.raises(NotAudio, match=f"starts with {beginning[:4].hex(' ')}"):
        list(decoded(iter([beginning + bytes(5000)])))


def test_samples_without_a_rate_are_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="rate"):
        new_decoder(AudioFormat.PCM, None)


def test_a_rate_that_no_speech_has_is_refused() -> None:
    wav = bytearray(body(AudioFormat.WAV, 24000))
    wav[24:28] = (4_000_000).to_bytes(4, "little")
    with pytest.raises(RequestError, match="sample rate of 4000000 Hz"):
        list(decoded(iter([bytes(wav)])))


def test_a_rate_that_changes_is_an_error_after_the_sound_before_it() -> None:
    data = body(AudioFormat.FLAC, 24000) + body(AudioFormat.FLAC, 16000)
    for step in (1000, len(data)):
        count = 0
        with pytest.raises(RequestError, match="from 24000 to 16000 Hz"):
            for chunk in decoded(every(step, data)):
                count += len(chunk.samples)
        assert count == 24000


def test_closing_the_sound_closes_the_bytes() -> None:
    closed = []

    def pieces() -> Generator[bytes]:
        try:
            yield from every(500, body(AudioFormat.MP3, 24000))
        finally:
            closed.append(True)

    with closing(decoded(pieces())) as chunks:
        next(chunks)
    assert closed == [True]


@pytest.mark.parametrize("format", [AudioFormat.FLAC, AudioFormat.OPUS])
def test_silence_in_a_few_bytes_comes_in_small_chunks(format: AudioFormat) -> None:
    silence = AudioChunk(np.zeros(24000 * 20, np.float32), 24000)
    data = b"".join(encoded(iter([silence]), format))
    chunks = list(decoded(iter([data])))
    assert sum(len(chunk.samples) for chunk in chunks) == 20 * chunks[0].sample_rate
    assert max(chunk.seconds for chunk in chunks) < 0.5


@every_format
def test_no_library_writes_to_the_terminal(format: AudioFormat, capfd: pytest.CaptureFixture[str]) -> None:
    data = body(format, 24000)
    list(decoded(iter([data[:3000] + data[3100:4000]]), format, 24000))
    assert capfd.readouterr() == ("", "")


def test_ffmpeg_is_not_loaded_for_samples() -> None:
    program = (
        "import sys; from voxcli.audio.headers import streaming_header; "
        "from voxcli.audio.stream_decoding import decoded; "
        "assert list(decoded(iter([streaming_header(24000) + bytes(100)]))); assert 'av' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
