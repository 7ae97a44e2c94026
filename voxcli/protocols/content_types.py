"""Content types of audio formats, written and read."""

import re

from voxcli.audio.format import AudioFormat

_CONTENT_TYPES = {
    AudioFormat.WAV: "audio/wav",
    AudioFormat.FLAC: "audio/flac",
    AudioFormat.MP3: "audio/mpeg",
    AudioFormat.OPUS: "audio/ogg; codecs=opus",
    AudioFormat.AAC: "audio/aac",
}
_FORMATS = {
    "audio/wav": AudioFormat.WAV,
    "audio/x-wav": AudioFormat.WAV,
    "audio/wave": AudioFormat.WAV,
    "audio/vnd.wave": AudioFormat.WAV,
    "audio/flac": AudioFormat.FLAC,
    "audio/x-flac": AudioFormat.FLAC,
    "audio/mpeg": AudioFormat.MP3,
    "audio/mp3": AudioFormat.MP3,
    "audio/ogg": AudioFormat.OPUS,
    "audio/opus": AudioFormat.OPUS,
    "audio/aac": AudioFormat.AAC,
    "audio/pcm": AudioFormat.PCM,
    "audio/l16": AudioFormat.PCM,
    "audio/raw": AudioFormat.PCM,
}
_RATE = re.compile(r"\brate=\"?(\d{4,6})\b")


def content_type_of(format: AudioFormat, sample_rate: int) -> str:
    """Return the content type of a format.

    Args:
        sample_rate: Hz, stated for PCM only, which has no header.
    """
    return _CONTENT_TYPES.get(format) or f"audio/pcm;rate={sample_rate};channels=1"


def read_content_type(value: str) -> tuple[AudioFormat | None, int | None]:
    """Return the format and the sample rate (Hz) in a content type, each None if absent or unknown."""
    kind, _, parameters = value.lower().partition(";")
    rate = _RATE.search(parameters)
    return _FORMATS.get(kind.strip()), int(rate[1]) if rate else None
