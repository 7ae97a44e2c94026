import subprocess
import sys
import wave
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from voxcli.audio.headers import growing_header, streaming_header, wav_bytes

COUNTS = [0, 1, 2, 1000, 48001]
FOUR_GIB = 2**32


def pcm(count: int) -> bytes:
    return (np.arange(count) % 199 * 100).astype("<i2").tobytes()


def decoded_count(data: bytes) -> int:
    with av.open(BytesIO(data), "r") as container:
        return sum(frame.samples for frame in container.decode(audio=0))


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("sample_rate", [8000, 24000, 48000])
def test_every_reader_finds_the_right_length_behind_a_growing_header(sample_rate: int, count: int) -> None:
    data = growing_header(sample_rate, 2 * count) + pcm(count)
    with wave.open(BytesIO(data)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, sample_rate)
        assert file.readframes(file.getnframes()) == pcm(count)
    samples, rate = soundfile.read(BytesIO(data), dtype="int16")
    assert (samples.tobytes(), rate) == (pcm(count), sample_rate)
    assert decoded_count(data) == count


@pytest.mark.parametrize("count", COUNTS[1:])
def test_every_reader_gets_all_samples_behind_a_streaming_header(count: int) -> None:
    data = streaming_header(24000) + pcm(count)
    with wave.open(BytesIO(data)) as file:
        assert file.readframes(file.getnframes()) == pcm(count)
    samples, rate = soundfile.read(BytesIO(data), dtype="int16")
    assert (samples.tobytes(), rate) == (pcm(count), 24000)
    assert decoded_count(data) == count


def test_the_streaming_header_has_the_classic_length_and_sizes_that_agree() -> None:
    header = streaming_header(48000)
    assert len(header) == 44
    assert int.from_bytes(header[4:8], "little") == int.from_bytes(header[40:44], "little") + 36


@pytest.mark.parametrize("count", COUNTS)
def test_a_whole_wav_states_its_true_sizes_and_is_read_by_all(count: int) -> None:
    data = wav_bytes(np.frombuffer(pcm(count), "<i2").astype(np.float32) / 32768, 24000)
    assert len(data) == 44 + 2 * count
    assert int.from_bytes(data[4:8], "little") == len(data) - 8
    assert int.from_bytes(data[40:44], "little") == 2 * count
    samples, rate = soundfile.read(BytesIO(data), dtype="int16")
    assert (samples.tobytes(), rate) == (pcm(count), 24000)
    assert decoded_count(data) == count


def test_the_growing_header_never_changes_its_length() -> None:
    sizes = [0, 2, 1000, FOUR_GIB - 100, FOUR_GIB - 2, FOUR_GIB, 2**40]
    assert {len(growing_header(48000, size)) for size in sizes} == {80}


@pytest.mark.parametrize("data_bytes", [FOUR_GIB - 74, FOUR_GIB - 72, FOUR_GIB, FOUR_GIB + 2_000_000])
def test_a_file_around_and_beyond_four_gib_is_read_in_full(tmp_path: Path, data_bytes: int) -> None:
    path = tmp_path / "long.wav"
    with path.open("wb") as file:
        file.write(growing_header(48000, data_bytes))
        file.truncate(80 + data_bytes)  # sparse: takes no room
    with soundfile.SoundFile(path) as sound:
        assert sound.frames == data_bytes // 2
        sound.seek(sound.frames - 10)
        assert len(sound.read()) == 10
    with av.open(str(path), "r") as container:
        stream = container.streams.audio[0]
        assert stream.duration == data_bytes // 2
        container.seek(stream.duration - 1000, stream=stream)
        assert sum(frame.samples for frame in container.decode(stream)) == 1000


def test_headers_and_pcm_load_nothing_heavier_than_numpy() -> None:
    script = "import sys, voxcli.audio.headers; assert not {'av', 'soxr', 'soundfile'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
