"""Resampling, piece by piece.

soxr does the filtering. This module adds the exact length of a stream, where soxr may be one sample off, and the length
that `librosa.load` gives a whole clip.
"""

import math
from collections.abc import Generator, Iterator

import numpy as np
import soxr

from voxcli.audio.chunk import AudioChunk, Samples, transformed


class Resampler:
    """Resamples a stream from `from_rate` to `to_rate` (Hz); the output does not depend on the cuts.

    SoXR's HQ recipe: transparent at 16 bits. Its filter looks ahead, so the first samples come out after 20 to 60 ms
    of input at the rates engines use, and after 160 ms at worst (8 kHz to or from 48 kHz).
    """

    def __init__(self, from_rate: int, to_rate: int) -> None:
        self.from_rate = from_rate
        self.to_rate = to_rate
        self._stream = None if from_rate == to_rate else soxr.ResampleStream(from_rate, to_rate, 1)
        self._fed = 0
        self._returned = 0

    def feed(self, samples: Samples) -> Samples:
        """Return what is ready, which may be nothing."""
        if self._stream is None:
            return samples
        self._fed += len(samples)
        ready: Samples = self._stream.resample_chunk(np.ascontiguousarray(samples, np.float32))
        self._returned += len(ready)
        return ready

    def finish(self) -> Samples:
        """Return the rest, so that n samples give round(n * to_rate / from_rate). Cannot be used again."""
        if self._stream is None:
            return np.zeros(0, np.float32)
        rest: Samples = self._stream.resample_chunk(np.zeros(0, np.float32), last=True)
        missing = round(self._fed * self.to_rate / self.from_rate) - self._returned
        # SoXR rounds the length differently, and may be one sample off.
        return rest[:missing] if len(rest) >= missing else np.pad(rest, (0, missing - len(rest)))


def resampled_whole(chunk: AudioChunk, rate: int) -> AudioChunk:
    """Return a whole clip at `rate` (Hz) with the same recipe; equal sample for sample to `librosa.load`."""
    if chunk.sample_rate == rate:
        return chunk
    samples: Samples = soxr.resample(chunk.samples, chunk.sample_rate, rate, "HQ")
    count = math.ceil(len(chunk.samples) * (rate / chunk.sample_rate))
    return AudioChunk(np.pad(samples, (0, max(0, count - len(samples))))[:count], rate)


def resampled(chunks: Iterator[AudioChunk], rate: int) -> Generator[AudioChunk]:
    """Yield a stream resampled to `rate` (Hz); see `transformed`."""
    return transformed(chunks, lambda own_rate: Resampler(own_rate, rate), rate)
