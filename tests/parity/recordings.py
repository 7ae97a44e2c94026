"""Clips that nobody had to record: a few tones that swell and fade, the same for the same seed."""

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile


@dataclass(frozen=True, slots=True)
class Recording:
    """What stands in a WAV file of 32-bit floats."""

    seed: int
    seconds: float
    sample_rate: int  # Hz
    channels: int = 1


def write_recording(path: Path, recording: Recording) -> None:
    draw = random.Random(recording.seed)
    times = np.arange(round(recording.seconds * recording.sample_rate)) / recording.sample_rate
    channels = [_tones(draw, times) for _ in range(recording.channels)]
    soundfile.write(path, np.stack(channels, axis=1).astype(np.float32), recording.sample_rate, subtype="FLOAT")


def _tones(draw: random.Random, times: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> np.ndarray:
    """Return tones of 90 to 3400 Hz, at most 0.8 together."""
    sound = np.zeros_like(times)
    for _ in range(8):
        frequency, phase, swell = draw.uniform(90, 3400), draw.uniform(0, 6.28), draw.uniform(0.5, 6)
        sound += 0.1 * np.sin(2 * np.pi * frequency * times + phase) * (0.5 + 0.5 * np.cos(2 * np.pi * swell * times))
    return sound
