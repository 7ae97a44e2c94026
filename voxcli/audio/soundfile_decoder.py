"""libsndfile decoder for WAV, AIFF and FLAC files: the fast path, apart from FFmpeg's in decode.py."""

import os
from io import BytesIO

import soundfile

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.downmix import Downmix

RIFX = b"RIFX"
"""Beginning of a WAV file whose numbers are big-endian."""
_MARKERS = (b"RIFF", RIFX, b"FORM", b"fLaC")
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
    mono = Downmix()
    try:
        with soundfile.SoundFile(_ForgivingFile(data)) as file:
            rate = file.samplerate
            if file.channels > _MAX_CHANNELS or not file.subtype.startswith(("PCM_", "FLOAT", "DOUBLE")):
                return None
            most = max_seconds * rate
            while mono.samples <= most and len(block := file.read(_BLOCK_FRAMES, "float64", always_2d=True)):
                mono.add(block.T)
            complete = mono.samples == file.frames
    except (soundfile.SoundFileError, ValueError):  # ValueError: a rate or a size that numpy rejects
        return None
    return AudioChunk(mono.result(), rate) if mono.samples and (complete or mono.samples > most) else None


class _ForgivingFile(BytesIO):
    """Ignores a seek to before its start, as damaged files cause: libsndfile's callback could only print the error."""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return super().seek(offset, whence)
        except (ValueError, OverflowError):
            return self.tell()
