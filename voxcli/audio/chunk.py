"""Audio chunk: a run of samples that an engine yields and a sink takes."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Samples: TypeAlias = NDArray[np.float32]
"""Mono samples in [-1, 1], shape (n,)."""


@dataclass(frozen=True, slots=True, eq=False)
class AudioChunk:
    """A run of mono samples. All chunks of one stream have the same rate."""

    samples: Samples
    sample_rate: int
    """Hz."""

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.sample_rate


def silence(seconds: float, sample_rate: int) -> AudioChunk:
    """Return `seconds` of silence."""
    return AudioChunk(np.zeros(round(seconds * sample_rate), np.float32), sample_rate)


def check_rate(chunk: AudioChunk, sample_rate: int) -> None:
    """Raise ValueError for a chunk of another rate: callers that mix rates must resample first."""
    if chunk.sample_rate != sample_rate:
        raise ValueError(f"a chunk at {chunk.sample_rate} Hz among others at {sample_rate} Hz")
