"""Audio files and PCM as other programs read them."""

import wave
from pathlib import Path

import av
import numpy as np
import soundfile

from voxcli.audio.chunk import Samples


def from_int16(data: bytes) -> Samples:
    """Return 16-bit little-endian PCM as samples."""
    return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768)


def seconds_of(path: Path) -> float:
    with av.open(str(path)) as container:
        return sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))


def read_by_three(path: Path) -> list[int]:
    """Count the samples of a WAV as stdlib wave, soundfile and PyAV read them."""
    with wave.open(str(path)) as file:
        by_wave = len(file.readframes(file.getnframes())) // 2
    with av.open(str(path)) as container:
        by_av = sum(frame.samples for frame in container.decode(audio=0))
    return [by_wave, len(soundfile.read(path)[0]), by_av]
