"""libsndfile decoder for WAV, AIFF and FLAC files: the fast path, apart from FFmpeg's in decode.py."""

import os
from io import BytesIO

import numpy as np
import soundfile

from voxcli.audio.chunk import AudioChunk, Samples

_MARKERS = (b"RIFF", b"FORM", b"fLaC")
_MAX_CHANNELS = 16
_BLOCK_FRAMES = 1 << 16


def read_plain(data: bytes, max_seconds: float) -> AudioChunk | None:
    """Read a WAV, AIFF or FLAC file as mono, or a little more than `max_seconds` of it.

    Returns:
        None for every other format, and for files that libsndfile may misread: truncated ones, and those whose header
        was written before their length was known.
    """
    if not data.startswith(_MARKERS):
        return None
    blocks: list[Samples] = []
    count = 0
    try:
        with soundfile.SoundFile(_ForgivingFile(data)) as file:
            rate = file.samplerate
            if file.channels > _MAX_CHANNELS or not file.subtype.startswith(("PCM_", "FLOAT", "DOUBLE")):
                return None
            while count <= max_seconds * rate and len(block := file.read(_BLOCK_FRAMES, "float64", always_2d=True)):
                blocks.append(downmixed(block.T))
                count += len(block)
            complete = count == file.frames
    except (soundfile.SoundFileError, ValueError):  # ValueError: a rate or a size that numpy rejects
        return None
    return AudioChunk(np.concatenate(blocks), rate) if blocks and (complete or count > max_seconds * rate) else None


class _ForgivingFile(BytesIO):
    """Ignores a seek to before its start, as damaged files cause: libsndfile's callback could only print the error."""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return super().seek(offset, whence)
        except (ValueError, OverflowError):
            return self.tell()


def downmixed(channels: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Samples:
    """Return the mean of the channels, shape (c, n), within [-1, 1]. NaN becomes silence."""
    with np.errstate(invalid="ignore"):  # the file may hold signalling NaNs
        within = np.clip(np.nan_to_num(channels, nan=0.0), -1.0, 1.0)
        return np.asarray(within.mean(axis=0), np.float32)
