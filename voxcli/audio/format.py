"""Formats of audio and of its subtitles, by name and by file suffix, and the size of a clip.

Imports nothing heavy, so that the command line can list formats, and send a clip, without what decodes it.
"""

from enum import StrEnum
from pathlib import PurePath

MAX_BYTES = 64 * 2**20
"""Of an audio file in memory. Five minutes of 16-bit stereo at 48 kHz just fit."""


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


class SubtitleFormat(StrEnum):
    """A format of subtitles, by the suffix of its files."""

    SRT = "srt"
    VTT = "vtt"
    LRC = "lrc"
    JSON = "json"


def find_subtitle_format(path: PurePath) -> SubtitleFormat | None:
    """Return the format of subtitles that the suffix of `path` names, if it names one."""
    suffix = path.suffix.lower().removeprefix(".")
    return SubtitleFormat(suffix) if suffix in set(SubtitleFormat) else None
