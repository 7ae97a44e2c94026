"""Transcript of speech: its sentences with their times, and how much of the text was heard by a moment of the sound."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from voxcli.synthesis.request import SentenceMark
from voxcli.text.characters import properties_of
from voxcli.text.short_parts import count_syllables, ends_clause

_SYLLABLES_PER_SECOND = 4.5
"""Until a sentence has shown how fast the voice is."""
_ROUNDING = 1e-6
"""Seconds."""
_NEAR_SECONDS, _NEAR_SHARE = 0.3, 0.15
"""How far from its place a pause may be, in seconds and as a share of the words around it: syllables are counted
roughly."""
_FARNESS = 0.5
"""A pause that is a second nearer counts as much as one that is this many seconds longer."""
_MOST_PAIRS = 10_000
"""Of clauses and pauses that are compared. A text with more was not split into sentences."""
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
            part = mark.text[: self.count(mark, seconds)]
            if not part:
                break
            texts.append(part)
            # With markup in it, a sentence is longer where it was written, about evenly.
            written = len(part) if end - begin == len(mark.text) else round((end - begin) * len(part) / len(mark.text))
            position = begin + written
        return Spoken(position, " ".join(texts), max(seconds, 0.0))

    def count(self, mark: SentenceMark, seconds: float) -> int:
        """Count the characters of a sentence up to the end of the last word that was complete by then."""
        if mark.end is not None and seconds >= mark.end:
            return len(mark.text)
        passed = [word.at[1] for word in word_times(mark, self.pace) if word.end <= seconds + _ROUNDING]
        return passed[-1] if passed else 0


@dataclass(frozen=True, slots=True)
class WordTime:
    """A word of a sentence, with its times: interpolated, except where there is a pause."""

    at: tuple[int, int]
    """Where it begins and ends in the sentence, in characters."""
    start: float
    """Seconds from the beginning of the sound."""
    end: float


def word_times(
    mark: SentenceMark, pace: float = _SYLLABLES_PER_SECOND, pauses: Sequence[tuple[float, float]] = ()
) -> list[WordTime]:
    """Return the words of a sentence, each as long as its share of the sentence's syllables.

    Args:
        pace: syllables per second, if it is not known when the sentence ends.
        pauses: where the sentence is silent, in seconds. Those that fall about where a clause ends are taken to be
            there, so that the words between two of them have their time exactly.
    """
    words = _words(mark.text)
    lengths = [max(count_syllables(mark.text[start:end]), 1) for start, end in words]
    sums = list(accumulate(lengths, initial=0))
    whole = mark.end if mark.end is not None else mark.start + sums[-1] / pace
    clauses = [at for at in range(1, len(words)) if ends_clause(mark.text[slice(*words[at - 1])])]
    if len(clauses) * len(pauses) > _MOST_PAIRS:
        pauses = ()
    times: list[WordTime] = []
    for first, last, start, end in _between_pauses(clauses, pauses, sums, 0, len(words), mark.start, whole):
        each = (end - start) / (sums[last] - sums[first])
        times += [
            WordTime(words[at], start + each * (sums[at] - sums[first]), start + each * (sums[at + 1] - sums[first]))
            for at in range(first, last)
        ]
    return times


def _between_pauses(
    clauses: Sequence[int],
    pauses: Sequence[tuple[float, float]],
    sums: Sequence[int],
    first: int,
    last: int,
    start: float,
    end: float,
) -> Iterator[tuple[int, int, float, float]]:
    """Yield the runs of words, from `first` to `last`, that are spoken without a pause, each with its times.

    The pause that is longest, and nearest to where a clause is expected to end, is taken first.

    Args:
        clauses: words that begin a clause.
        sums: syllables before each word.
    """
    each = (end - start) / max(sums[last] - sums[first], 1)
    near = _NEAR_SECONDS + _NEAR_SHARE * (end - start)
    found = [
        (length - _FARNESS * off, clause, pause)
        for clause in clauses
        if first < clause < last
        for pause in pauses
        if start < pause[0] and pause[1] < end
        for length, off in [_fit(pause, start + each * (sums[clause] - sums[first]))]
        if off <= near
    ]
    if not found:
        yield first, last, start, end
        return
    _, clause, pause = max(found)
    yield from _between_pauses(clauses, pauses, sums, first, clause, start, pause[0])
    yield from _between_pauses(clauses, pauses, sums, clause, last, pause[1], end)


def _fit(pause: tuple[float, float], expected: float) -> tuple[float, float]:
    """Return how long a pause is, up to a second, and how far it is from where it is expected."""
    return min(pause[1] - pause[0], 1.0), max(pause[0] - expected, expected - pause[1], 0.0)


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
