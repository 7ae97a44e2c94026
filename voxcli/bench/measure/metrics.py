"""What is measured, each thing defined in one sentence."""

from dataclasses import dataclass
from enum import StrEnum


class Unit(StrEnum):
    """In which a number is given; of shares and counts there is none."""

    SECONDS = "s"
    BYTES = "bytes"
    NONE = ""


@dataclass(frozen=True, slots=True)
class Metric:
    """One number of every run."""

    field: str
    """In records."""
    short: str
    """In conditions."""
    title: str
    unit: Unit
    meaning: str


FIRST_BYTE = Metric(
    "first_byte_seconds",
    "ttfb",
    "first byte",
    Unit.SECONDS,
    "from asking to the first byte of sound: headers, of HTTP or of a file, do not count; "
    "of a model in this process it is that of the first chunk",
)
FIRST_CHUNK = Metric(
    "first_chunk_seconds", "first_chunk", "first chunk", Unit.SECONDS, "from asking to the first samples to play"
)
FIRST_SOUND = Metric(
    "first_sound_seconds",
    "first_sound",
    "first sound",
    Unit.SECONDS,
    "from asking to the chunk with the first 10 ms above -50 dBFS",
)
TOTAL = Metric("total_seconds", "total", "total", Unit.SECONDS, "from asking to the end of the answer")
AUDIO = Metric(
    "audio_seconds", "audio", "audio", Unit.SECONDS, "how long it sounds, by its decoded samples and not by its bytes"
)
REAL_TIME_FACTOR = Metric(
    "real_time_factor", "rtf", "real-time factor", Unit.NONE, "total over audio: below 1, faster than it is spoken"
)
CHUNKS = Metric("chunks", "chunks", "chunks", Unit.NONE, "the pieces in which samples came")
BYTES = Metric(
    "bytes", "bytes", "bytes", Unit.BYTES, "of encoded sound; of a model in this process, its samples in 16 bits"
)
STARVED = Metric(
    "starved_seconds",
    "starved",
    "starved",
    Unit.SECONDS,
    "how long a player that began at the first chunk, or once it had --prebuffer, would have run dry",
)

METRICS = (FIRST_BYTE, FIRST_CHUNK, FIRST_SOUND, TOTAL, AUDIO, REAL_TIME_FACTOR, CHUNKS, BYTES, STARVED)
