"""Validity of runs: failed or implausible responses are excluded from all averages."""

import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from voxcli.bench.measure.sample import Sample
from voxcli.errors import RemoteCut, RemoteError, RemoteRefused, RemoteTimeout, VoxError
from voxcli.synthesis.request import Sampling, SynthesisRequest

_SYLLABIC = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL")
"""Prefixes of the Unicode names of characters that are at least a syllable each."""

_SHORTEST_SYLLABLE, _SHORTEST_LETTER = 0.07, 0.02
"""Seconds. The fastest human speech; a shorter response is missing words."""
_LONGEST_SYLLABLE, _LONGEST_LETTER, _LONGEST_START = 1.0, 0.4, 5.0
"""Seconds. Slower than any speech; a longer response has words that are not in the text."""


class Fault(StrEnum):
    """Kind of a failure."""

    REFUSED = "refused"
    CUT = "cut off"
    TIMEOUT = "timed out"
    UNREACHABLE = "no audio from the server"
    BROKEN = "failed"
    EMPTY = "no samples"
    SILENT = "silence"
    TOO_SHORT = "too little audio"
    TOO_LONG = "too much audio"


@dataclass(frozen=True, slots=True)
class Failure:
    """Reason why a run is not valid."""

    fault: Fault
    message: str


_FAULTS: tuple[tuple[type[VoxError], Fault], ...] = (
    (RemoteRefused, Fault.REFUSED),
    (RemoteCut, Fault.CUT),
    (RemoteTimeout, Fault.TIMEOUT),
    (RemoteError, Fault.UNREACHABLE),
    (VoxError, Fault.BROKEN),
)


def find_failure(sample: Sample, request: SynthesisRequest) -> Failure | None:
    """Return why a run is not valid; None if it is."""
    if sample.error:
        fault = next(fault for kind, fault in _FAULTS if isinstance(sample.error, kind))
        return Failure(fault, str(sample.error))
    if not sample.audio_seconds:
        return Failure(Fault.EMPTY, "The response has no samples.")
    if sample.first_sound_seconds is None:
        return Failure(Fault.SILENT, f"{sample.audio_seconds:.2f} s of audio, all of it below -50 dBFS.")
    return _find_wrong_length(sample.audio_seconds, request)


def _find_wrong_length(seconds: float, request: SynthesisRequest) -> Failure | None:
    """Check the duration against the text, unless the request itself limits it."""
    least, most = plausible_seconds(request.text, request.speed)
    if seconds < least and request.sampling.max_patches == Sampling().max_patches:
        return Failure(Fault.TOO_SHORT, f"{seconds:.2f} s of audio; the text takes at least {least:.2f} s.")
    if seconds > most and request.sampling.min_patches == Sampling().min_patches:
        return Failure(Fault.TOO_LONG, f"{seconds:.2f} s of audio; the text takes at most {most:.2f} s.")
    return None


def plausible_seconds(text: str, speed: float = 1.0) -> tuple[float, float]:
    """Return generous lower and upper bounds for the duration of a text, in seconds."""
    spoken = [character for character in text if character.isalnum()]
    syllables = sum(map(_is_syllabic, spoken))
    digits = sum(map(str.isdigit, spoken))
    letters = len(spoken) - syllables - digits
    least = (syllables + digits) * _SHORTEST_SYLLABLE + letters * _SHORTEST_LETTER
    most = (syllables + digits) * _LONGEST_SYLLABLE + letters * _LONGEST_LETTER + _LONGEST_START
    return least / speed, most / speed


def _is_syllabic(character: str) -> bool:
    return unicodedata.name(character, "").startswith(_SYLLABIC)
