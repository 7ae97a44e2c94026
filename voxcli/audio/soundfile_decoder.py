"""Plain audio files, read by libsndfile."""

import os
from io import BytesIO

import numpy as np
import soundfile

from voxcli.audio.chunk import AudioChunk, Samples

_BEGINNINGS = (b"RIFF", b"FORM", b"fLaC")
_MOST_CHANNELS = 16
_BLOCK_FRAMES = 1 << 16


def read_plain(data: bytes, max_seconds: float) -> AudioChunk | None:
    """Read a WAV, AIFF or FLAC file as mono, or a little more than `max_seconds` of it.

    Returns:
        None for everything else, and where libsndfile has doubts: files that break off, or whose header was
        written before their length was known.
    """
    if not data.startswith(_BEGINNINGS):
        return None
    blocks: list[Samples] = []
    count = 0
    try:
        with soundfile.SoundFile(_Patient(data)) as file:
            rate = file.samplerate
            if file.channels > _MOST_CHANNELS or not file.subtype.startswith(("PCM_", "FLOAT", "DOUBLE")):
                return None
            while count <= max_seconds * rate and len(block := file.read(_BLOCK_FRAMES, "float64", always_2d=True)):
                blocks.append(mixed(block.T))
                count += len(block)
            complete = count == file.frames
    except (soundfile.SoundFileError, ValueError):  # ValueError: a rate or a size of which numpy makes nothing
        return None
    return AudioChunk(np.concatenate(blocks), rate) if blocks and (complete or count > max_seconds * rate) else None


class _Patient(BytesIO):
    """Stays where it is when a damaged file leads to before its start: an exception could only be printed."""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return super().seek(offset, whence)
        except (ValueError, OverflowError):
            return self.tell()


def mixed(channels: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Samples:
    """Return the mean of channels (c, n), within [-1, 1]. What is not a number becomes silence."""
    with np.errstate(invalid="ignore"):  # floats from strangers may be signalling NaNs
        within = np.clip(np.nan_to_num(channels, nan=0.0), -1.0, 1.0)
        return np.asarray(within.mean(axis=0), np.float32)
