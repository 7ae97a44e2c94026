"""Audio formats by name and by file suffix. Imports nothing heavy, so that the command line can list them."""

from enum import StrEnum
from pathlib import PurePath


class AudioFormat(StrEnum):
    """A container with its codec. PCM is 16 bits, little endian, mono, without a header."""

    WAV = "wav"
    FLAC = "flac"
    MP3 = "mp3"
    OPUS = "opus"
    AAC = "aac"
    PCM = "pcm"


_SUFFIXES = {
    ".wav": AudioFormat.WAV,
    ".wave": AudioFormat.WAV,
    ".flac": AudioFormat.FLAC,
    ".mp3": AudioFormat.MP3,
    ".opus": AudioFormat.OPUS,
    ".ogg": AudioFormat.OPUS,
    ".aac": AudioFormat.AAC,
    ".pcm": AudioFormat.PCM,
    ".raw": AudioFormat.PCM,
}


def find_format(path: PurePath) -> AudioFormat | None:
    """Return the format that the suffix of `path` names, if it names one."""
    return _SUFFIXES.get(path.suffix.lower())


def known_suffixes() -> list[str]:
    return list(_SUFFIXES)
