"""WAV and plain samples, in all the forms that servers send."""

import struct
from collections.abc import Iterator
from io import BytesIO
from itertools import pairwise

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.sound import from_int16
from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.audio.decode import decode
from voxcli.audio.format import AudioFormat
from voxcli.audio.pcm import to_int16
from voxcli.audio.stream_decoding import NotAudio, decoded
from voxcli.errors import RequestError

RATE = 32000
BLOCK = 1280


def speech(seconds: float = 1.0) -> Samples:
    time = np.arange(round(seconds * RATE)) / RATE
    buzz = sum(np.sin(2 * np.pi * 140 * partial * time) / partial for partial in range(1, 12))
    noise = np.random.default_rng(0).normal(0, 0.01, len(time))
    return (0.2 * buzz * np.sin(2 * np.pi * 3 * time) ** 2 + noise).astype(np.float32)


PCM = to_int16(speech())


def wav(pcm: bytes, size: int | None = None, riff: int | None = None, rate: int = RATE) -> bytes:
    """A header of 44 bytes with the sizes given, else the true ones, and samples behind it."""
    size = len(pcm) if size is None else size
    riff = 36 + len(pcm) if riff is None else riff
    form = struct.pack("<IHHIIHH", 16, 1, 1, rate, rate * 2, 2, 16)
    return b"RIFF" + struct.pack("<I", riff) + b"WAVEfmt " + form + b"data" + struct.pack("<I", size) + pcm


def blocks(pcm: bytes = PCM, size: int = 2 * BLOCK) -> list[bytes]:
    """A WAV for each block, as VoxCPM's server streams."""
    return [wav(pcm[start : start + size]) for start in range(0, len(pcm), size)]


def written(container: str, coding: str, channels: int = 1) -> bytes:
    file = BytesIO()
    soundfile.write(file, np.stack([speech(0.2)] * channels, 1), RATE, format=container, subtype=coding)
    return file.getvalue()


def every(step: int, data: bytes) -> Iterator[bytes]:
    return (data[start : start + step] for start in range(0, len(data), step))


def sound(pieces: Iterator[bytes], hint: AudioFormat | None = None, rate: int | None = None) -> AudioChunk:
    chunks = list(decoded(pieces, hint, rate))
    assert {chunk.samples.dtype for chunk in chunks} == {np.dtype(np.float32)}
    return AudioChunk(np.concatenate([chunk.samples for chunk in chunks]), chunks[0].sample_rate)


def samples_of(data: bytes, step: int = 1000) -> bytes:
    out = sound(every(step, data))
    assert out.sample_rate == RATE
    return to_int16(out.samples)


@pytest.mark.parametrize("size", [0, len(PCM), 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
@pytest.mark.parametrize("riff", [0, 36, 36 + len(PCM), 0x7FFFFFFF, 0xFFFFFFFF])
def test_no_size_that_a_streaming_server_writes_costs_a_sample(size: int, riff: int) -> None:
    assert samples_of(wav(PCM, size, riff)) == PCM


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 30000), max_size=20), st.sampled_from([2 * BLOCK, 14112, 22, 2 * BLOCK + 1]))
def test_a_wav_for_each_block_is_one_sound_wherever_it_is_cut(cuts: list[int], size: int) -> None:
    pcm = PCM[:20000]
    data = b"".join(blocks(pcm, size))
    bounds = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[start:end] for start, end in pairwise(bounds)]
    expected = b"".join(pcm[at : at + size - size % 2] for at in range(0, len(pcm), size))
    assert to_int16(sound(iter(pieces)).samples) == expected[: len(expected) - len(expected) % 2]


def test_each_block_is_heard_as_soon_as_it_is_there() -> None:
    arrived = []
    heard = []

    def pieces() -> Iterator[bytes]:
        for block in blocks():
            arrived.append(block)
            yield block

    for chunk in decoded(pieces()):
        heard.append(chunk)
        assert len(heard) == len(arrived)
        assert len(chunk.samples) == BLOCK


def test_samples_that_spell_a_header_are_samples() -> None:
    pcm = PCM[:1000] + wav(PCM[:200]) + PCM[:1000] + b"LIST\4\0\0\0data"
    assert samples_of(wav(pcm)) == pcm
    assert samples_of(wav(pcm) + wav(pcm)) == pcm + pcm
    assert samples_of(wav(pcm, 0, 36)) == pcm


def test_an_odd_number_of_bytes_is_filled_up() -> None:
    block = wav(PCM[:1001])
    assert samples_of((block + b"\0") * 3) == PCM[:1000] * 3
    assert samples_of(block * 3) == PCM[:1000] * 3


def test_a_block_without_samples_is_no_end() -> None:
    assert samples_of(wav(b"") + wav(PCM[:100]) + wav(b"") + wav(PCM[100:])) == PCM


def test_a_header_for_the_first_block_only_counts_for_all() -> None:
    assert samples_of(wav(PCM[:2560]) + PCM[2560:]) == PCM


def test_words_behind_the_samples_are_not_played() -> None:
    assert samples_of(wav(PCM) + b'{"error": "the model stopped, and says so at some length"}') == PCM


@pytest.mark.parametrize("odd", [0, 1])
def test_chunks_around_the_samples_are_passed_over(odd: int) -> None:
    between = b"LIST" + struct.pack("<I", 10 + odd) + b"data" + bytes(6 + 2 * odd)
    plain = wav(PCM)
    before = plain[:12] + b"JUNK" + struct.pack("<I", 28) + bytes(28) + plain[12:36] + between + plain[36:]
    after = plain + between
    assert samples_of(before) == PCM
    assert samples_of(after) == PCM
    assert samples_of(after + before + after) == PCM * 3


def test_half_a_block_at_the_end_is_played_and_half_a_sample_is_not() -> None:
    whole = b"".join(blocks())
    for missing in range(100):
        count = (len(PCM) - missing) // 2 * 2
        assert samples_of(whole[: len(whole) - missing]) == PCM[:count]


def test_a_header_cut_off_is_no_error() -> None:
    whole = b"".join(blocks(PCM[:4000]))
    for end in range(len(whole) - 1400, len(whole) - 1200):
        assert PCM.startswith(samples_of(whole[:end], 100))


@pytest.mark.parametrize("coding", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("container", ["WAV", "WAVEX"])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_every_coding_is_read_as_whole_files_are(container: str, coding: str, channels: int) -> None:
    data = written(container, coding, channels)
    for step in (11, len(data)):
        out = sound(every(step, data))
        assert np.allclose(out.samples, decode(data).samples, atol=1e-6)
        assert out.sample_rate == RATE


def test_channels_are_averaged() -> None:
    file = BytesIO()
    soundfile.write(file, np.array([[0.5, -0.25], [1.0, 0.0]] * 100), RATE, format="WAV", subtype="FLOAT")
    assert sound(iter([file.getvalue()])).samples.tolist() == [0.125, 0.5] * 100


def test_floats_that_are_no_numbers_become_silence_and_loud_ones_full_scale() -> None:
    file = BytesIO()
    values = np.array([np.nan, np.inf, -np.inf, 1e30, -7.0, 0.5], np.float32)
    soundfile.write(file, values, RATE, format="WAV", subtype="FLOAT")
    assert sound(iter([file.getvalue()])).samples.tolist() == [0, 1, -1, 1, -1, 0.5]


@pytest.mark.parametrize("coding", ["ULAW", "IMA_ADPCM"])
def test_other_codings_are_refused(coding: str) -> None:
    with pytest.raises(RequestError, match="Ask for another format"):
        sound(iter([written("WAV", coding)]))


def test_a_header_without_a_coding_is_refused() -> None:
    with pytest.raises(RequestError, match="no fmt chunk"):
        sound(iter([wav(PCM)[:12] + wav(PCM)[36:]]))


def test_a_rate_that_changes_between_blocks_is_an_error_after_the_sound_before_it() -> None:
    data = wav(PCM) + wav(PCM, rate=16000)
    for step in (100, len(data)):
        heard = 0
        with pytest.raises(RequestError, match="from 32000 to 16000 Hz"):
            for chunk in decoded(every(step, data)):
                heard += len(chunk.samples)
        assert heard == RATE


# Plain samples


KINDS: dict[str, NDArray[np.float64]] = {
    "speech": speech().astype(np.float64),
    "quiet speech": speech().astype(np.float64) / 200,
    "loud speech": np.clip(speech().astype(np.float64) * 20, -1, 1),
    "a faded start": speech().astype(np.float64) * np.minimum(np.arange(RATE) / 2048, 1),
    "silence, then speech": np.concatenate([np.zeros(1111), speech().astype(np.float64)]),
    "a falling tone": np.sin(2 * np.pi * np.linspace(2000, 50, RATE).cumsum() / RATE) * 0.4,
    "noise": np.random.default_rng(1).uniform(-1, 1, RATE),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", [1, 4096, 1 << 20])
def test_sixteen_bits_are_never_taken_for_floats(kind: str, step: int) -> None:
    pcm = to_int16(KINDS[kind].astype(np.float32))[:20000]
    assert to_int16(sound(every(step, pcm), AudioFormat.PCM, RATE).samples) == pcm


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.startswith("silence")])
@pytest.mark.parametrize("number", ["<f4", "<f8"])
@pytest.mark.parametrize("was_single", [True, False])
def test_floats_of_old_servers_are_recognised(kind: str, number: str, was_single: bool) -> None:
    samples = KINDS[kind].astype(np.float32 if was_single else np.float64)
    data = samples.astype(number).tobytes()
    out = sound(every(3333, data), AudioFormat.PCM, RATE)
    assert np.allclose(out.samples, samples, atol=1e-6)


@pytest.mark.parametrize("value", [1, -1, 255, -256, 8000, -8000, 32767, -32768])
def test_sixteen_bits_that_stand_still_are_not_taken_for_floats(value: int) -> None:
    pcm = np.full(5000, value, "<i2").tobytes()
    assert to_int16(sound(every(1000, pcm), AudioFormat.PCM, RATE).samples) == pcm


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 4000), st.integers(0, 5000), st.lists(st.integers(0, 9000), max_size=10))
def test_samples_cut_anywhere_are_the_same_and_half_a_one_is_dropped(zeros: int, count: int, cuts: list[int]) -> None:
    data = bytes(zeros) + PCM[:count]
    bounds = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[start:end] for start, end in pairwise(bounds)]
    chunks = [chunk.samples for chunk in decoded(iter([bytes(2), *pieces]), AudioFormat.PCM, RATE)]
    assert to_int16(np.concatenate(chunks)) == bytes(2) + data[: len(data) // 2 * 2]


def test_silence_does_not_wait_for_what_follows() -> None:
    chunks = decoded(every(2048, bytes(1 << 20)), AudioFormat.PCM, RATE)
    assert len(next(chunks).samples) == 1024


@pytest.mark.parametrize("start", [b"\xff\xfb\x90\xc0", b"\xff\xf1\x58\x40\x20\x7f\xfc", b"ID3", b"RIFF\0\0\0\0"])
def test_samples_may_look_like_a_header(start: bytes) -> None:
    pcm = start + PCM[len(start) :]
    assert to_int16(sound(every(1000, pcm), AudioFormat.PCM, RATE).samples) == pcm


def test_a_few_words_are_no_samples() -> None:
    with pytest.raises(NotAudio, match="text"):
        sound(iter([b"busy"]), AudioFormat.PCM, RATE)


def test_what_was_plain_comes_back_to_the_bit() -> None:
    out = sound(iter([PCM]), AudioFormat.PCM, RATE)
    assert np.array_equal(out.samples, from_int16(PCM))
