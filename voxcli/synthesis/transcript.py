"""Transcript of speech: its sentences with their times, and how much of the text was heard by a moment of the sound."""

import re
from dataclasses import dataclass

from voxcli.synthesis.request import SentenceMark
from voxcli.text.characters import properties_of
from voxcli.text.short_parts import count_syllables

_SYLLABLES_PER_SECOND = 4.5
"""Until a sentence has shown how fast the voice is."""
_ROUNDING = 1e-6
"""Seconds."""
_RUN = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Spoken:
    """The part of a text that was spoken, or heard, by a moment."""

    position: int
    """Characters of the whole text, as it was written, with what is not spoken in between."""
    text: str
    """The words."""
    seconds: float
    """Of sound."""


class Transcript:
    """Collects the marks of one stream of speech.

    Times inside a sentence are interpolated: a word takes as long as its share of the sentence's syllables. The end of
    a sentence that was cut off is estimated from the pace of those before it.
    """

    def __init__(self) -> None:
        self.sentences: list[SentenceMark] = []
        """Those that have begun, each with the newest that is known of it."""
        self._syllables = 0
        self._seconds = 0.0

    @property
    def pace(self) -> float:
        """Syllables per second, of the sentences that have ended."""
        return self._syllables / self._seconds if self._syllables and self._seconds else _SYLLABLES_PER_SECOND

    def note(self, mark: SentenceMark) -> None:
        """Take the next mark."""
        if mark.end is None:
            self.sentences.append(mark)
            return
        self.sentences[-1] = mark
        self._syllables += count_syllables(mark.text)
        self._seconds += mark.end - mark.start

    def until(self, seconds: float) -> Spoken:
        """Return what was spoken in the first seconds of the sound."""
        position, texts = 0, []
        for mark in self.sentences:
            if mark.start >= seconds:
                break
            begin, end = mark.span or (position, position + len(mark.text))
            part = mark.text[: self._count(mark, seconds)]
            if not part:
                break
            texts.append(part)
            # With markup in it, a sentence is longer where it was written, about evenly.
            written = len(part) if end - begin == len(mark.text) else round((end - begin) * len(part) / len(mark.text))
            position = begin + written
        return Spoken(position, " ".join(texts), max(seconds, 0.0))

    def _count(self, mark: SentenceMark, seconds: float) -> int:
        """Count the characters of a sentence up to the end of the last word that was complete by then."""
        if mark.end is not None and seconds >= mark.end:
            return len(mark.text)
        passed = [word.at[1] for word in word_times(mark, self.pace) if word.end <= seconds + _ROUNDING]
        return passed[-1] if passed else 0


@dataclass(frozen=True, slots=True)
class WordTime:
    """A word of a sentence, with its interpolated times."""

    at: tuple[int, int]
    """Where it begins and ends in the sentence, in characters."""
    start: float
    """Seconds from the beginning of the sound."""
    end: float


def word_times(mark: SentenceMark, pace: float = _SYLLABLES_PER_SECOND) -> list[WordTime]:
    """Return the words of a sentence, each as long as its share of the sentence's syllables.

    pace: syllables per second, if it is not known when the sentence ends.
    """
    words = _words(mark.text)
    lengths = [max(count_syllables(mark.text[start:end]), 1) for start, end in words]
    total = sum(lengths)
    duration = mark.end - mark.start if mark.end is not None else total / pace
    times, passed = [], 0
    for at, length in zip(words, lengths, strict=True):
        start, passed = passed, passed + length
        times.append(WordTime(at, mark.start + duration * start / total, mark.start + duration * passed / total))
    return times


def _words(text: str) -> list[tuple[int, int]]:
    """Return where each word begins and ends; in a script without spaces, each character is one."""
    words = []
    for run in _RUN.finditer(text):
        start = run.start()
        for at in range(run.start(), run.end()):
            if properties_of(text[at]).unspaced and at + 1 < run.end() and text[at + 1].isalnum():
                words.append((start, at + 1))
                start = at + 1
        words.append((start, run.end()))
    return words
