import gc
import mmap
from collections.abc import Generator
from contextlib import closing
from functools import cache
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sound import from_int16
from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.audio.encode import encoded, new_encoder
from voxcli.audio.format import AudioFormat
from voxcli.audio.headers import flac_start, streaming_header
from voxcli.audio.pcm import to_int16
from voxcli.errors import RequestError

RATES = [8000, 16000, 22050, 24000, 44100, 48000]
COMPRESSED = [AudioFormat.FLAC, AudioFormat.MP3, AudioFormat.OPUS, AudioFormat.AAC]
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


def encode(samples: Samples, rate: int, format: AudioFormat, cuts: list[int]) -> bytes:
    encoder = new_encoder(format, rate)
    bounds = [0, *sorted(min(cut, len(samples)) for cut in cuts), len(samples)]
    pieces = [encoder.encode(AudioChunk(samples[start:end], rate)) for start, end in pairwise(bounds)]
    return b"".join([*pieces, encoder.finish()])


def decode(data: bytes, format: AudioFormat, rate: int) -> AudioChunk:
    """Raises FFmpegError if there is nothing yet to decode."""
    if format is AudioFormat.PCM:
        return AudioChunk(from_int16(data), rate)
    with av.open(BytesIO(data), "r") as container:
        resampler = av.AudioResampler(format="fltp", layout="mono")
        pieces = [piece.to_ndarray()[0] for frame in container.decode(audio=0) for piece in resampler.resample(frame)]
        return AudioChunk(np.concatenate([np.zeros(0, np.float32), *pieces]), container.streams.audio[0].rate)


def is_decodable(data: bytes, format: AudioFormat, rate: int) -> bool:
    try:
        return len(decode(data, format, rate).samples) > 0
    except av.error.FFmpegError:
        return False


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(list(AudioFormat)),
    st.sampled_from([*RATES, 11025]),
    st.integers(0, 8000),
    st.lists(st.integers(0, 8000), max_size=30),
)
def test_pieces_cut_anywhere_give_the_bytes_that_the_whole_gives(
    format: AudioFormat, rate: int, count: int, cuts: list[int]
) -> None:
    samples = speech(rate, 8000 / rate)[:count]
    assert encode(samples, rate, format, cuts) == encode(samples, rate, format, [])


@every_format
def test_single_samples_give_the_bytes_that_the_whole_gives(format: AudioFormat) -> None:
    samples = speech(24000)[:3000]
    assert encode(samples, 24000, format, list(range(3000))) == encode(samples, 24000, format, [])


@every_format
@every_rate
def test_sound_can_be_heard_after_160_ms_of_it(format: AudioFormat, rate: int) -> None:
    encoder = new_encoder(format, rate)
    step = rate // 50
    data = b""
    for start in range(0, rate * 16 // 100, step):
        data += encoder.encode(AudioChunk(speech(rate)[start : start + step], rate))
    assert is_decodable(data, format, rate)


def strongest_tone(chunk: AudioChunk) -> float:
    spectrum = np.abs(np.fft.rfft(chunk.samples))
    return float(np.argmax(spectrum)) / chunk.seconds


@every_format
@every_rate
def test_decoding_gives_back_the_length_and_the_sound(format: AudioFormat, rate: int) -> None:
    out = decode(encode(speech(rate), rate, format, []), format, rate)
    if format in PADDED:
        assert 1.02 < out.seconds < 1.13
    else:
        assert abs(out.seconds - 1.0) <= 1 / out.sample_rate
    assert strongest_tone(out) == pytest.approx(strongest_tone(AudioChunk(speech(rate), rate)), abs=5)
    assert np.sqrt(np.mean(out.samples**2)) == pytest.approx(np.sqrt(np.mean(speech(rate) ** 2)), rel=0.1)


@pytest.mark.parametrize("format", sorted(PADDED))
@every_rate
def test_the_padding_of_mp3_and_aac_stays_within_what_is_promised(format: AudioFormat, rate: int) -> None:
    for count in range(8000, 10400, 150):
        out = decode(encode(speech(rate, 12000 / rate)[:count], rate, format, []), format, rate)
        assert 0.02 < out.seconds - count / rate < 0.13


@pytest.mark.parametrize("format", [AudioFormat.WAV, AudioFormat.PCM, AudioFormat.FLAC])
@every_rate
def test_what_is_lossless_gives_back_every_bit(format: AudioFormat, rate: int) -> None:
    out = decode(encode(speech(rate), rate, format, [100, 5000]), format, rate)
    assert to_int16(out.samples) == to_int16(speech(rate))
    assert out.sample_rate == rate


@every_format
def test_a_format_starts_the_way_it_is_recognised(format: AudioFormat) -> None:
    starts = {
        AudioFormat.WAV: streaming_header(24000),
        AudioFormat.FLAC: b"fLaC",
        AudioFormat.MP3: b"\xff",  # frame sync; no ID3 tag
        AudioFormat.OPUS: b"OggS",
        AudioFormat.AAC: b"\xff",
        AudioFormat.PCM: to_int16(speech(24000)[:100]),
    }
    assert encode(speech(24000), 24000, format, []).startswith(starts[format])


@every_format
def test_sound_that_is_no_number_or_too_loud_is_encoded_all_the_same(format: AudioFormat) -> None:
    samples = np.tile(np.array([np.nan, np.inf, -np.inf, 5.0, -5.0], np.float32), 2000)
    assert is_decodable(encode(samples, 24000, format, []), format, 24000)


@every_format
def test_nothing_encodes_to_nothing_but_a_header(format: AudioFormat) -> None:
    data = encode(np.zeros(0, np.float32), 24000, format, [0, 0])
    assert len(data) < 200
    assert not is_decodable(data, format, 24000)


@every_format
def test_a_chunk_of_another_rate_is_refused(format: AudioFormat) -> None:
    encoder = new_encoder(format, 24000)
    with pytest.raises(ValueError, match="48000 Hz among others at 24000 Hz"):
        encoder.encode(AudioChunk(speech(48000), 48000))


def test_a_rate_beyond_the_codec_is_a_request_that_cannot_be_served() -> None:
    with pytest.raises(RequestError, match="cannot encode flac at 5000000 Hz"):
        new_encoder(AudioFormat.FLAC, 5_000_000)


def test_a_flac_file_can_be_told_its_length_afterwards() -> None:
    data = encode(speech(24000), 24000, AudioFormat.FLAC, [])
    start = flac_start(data, 24000)
    samples, rate = soundfile.read(BytesIO(start + data[len(start) :]), dtype="float32")
    assert to_int16(samples) == to_int16(speech(24000))
    assert rate == 24000


def test_only_a_flac_can_be_told_its_length() -> None:
    with pytest.raises(ValueError, match="not the start of a FLAC"):
        flac_start(b"RIFF", 24000)


@every_format
def test_a_stream_comes_as_pieces_none_of_them_empty(format: AudioFormat) -> None:
    chunks = [AudioChunk(speech(24000)[start : start + 240], 24000) for start in range(0, 24000, 240)]
    pieces = list(encoded(iter(chunks), format))
    assert all(pieces)
    assert len(pieces) > 20
    assert b"".join(pieces) == encode(speech(24000), 24000, format, [])
    assert list(encoded(iter([]), format)) == []


def test_closing_the_encoded_stream_closes_its_source() -> None:
    closed = []

    def source() -> Generator[AudioChunk]:
        try:
            while True:
                yield AudioChunk(speech(24000), 24000)
        finally:
            closed.append(True)

    chunks = source()
    with closing(encoded(chunks, AudioFormat.MP3)) as pieces:
        next(pieces)
    assert closed == [True]


@pytest.mark.parametrize("format", COMPRESSED)
@pytest.mark.parametrize("finished", [True, False])
def test_encoders_leave_no_memory_behind(format: AudioFormat, finished: bool) -> None:
    def work(rounds: int) -> None:
        for _ in range(rounds):
            encoder = new_encoder(format, 48000)
            encoder.encode(AudioChunk(speech(48000)[:2000], 48000))
            if finished:
                encoder.finish()

    gc.disable()  # it must not take a collection
    try:
        work(10)
        before = resident_bytes()
        work(100)
        assert resident_bytes() - before < 20e6  # forgotten, they would hold 50 to 700 MB
    finally:
        gc.enable()


def resident_bytes() -> int:
    statm = Path("/proc/self/statm")
    if not statm.exists():
        pytest.skip("only Linux says how much memory is in use")
    return int(statm.read_text().split()[1]) * mmap.PAGESIZE


@every_format
def test_no_library_writes_to_the_terminal(format: AudioFormat, capfd: pytest.CaptureFixture[str]) -> None:
    encode(speech(8000), 8000, format, [])
    encode(speech(16000), 16000, format, [])
    assert capfd.readouterr() == ("", "")
