"""Transcript of speech: its sentences with their times, and how much of the text was heard by a moment of the sound."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from voxcli.synthesis.request import SentenceMark
from voxcli.text.characters import OPENERS, is_cjk, properties_of
from voxcli.text.marks import Sentence
from voxcli.text.short_parts import count_syllables, ends_clause

_SYLLABLES_PER_SECOND = 4.5
"""Until a sentence has shown how fast the voice is."""
_ROUNDING = 1e-6
"""Seconds."""
_NEAR_SECONDS, _NEAR_SHARE = 0.3, 0.15
"""How far from its place a pause may be, in seconds and as a share of the words around it: syllables are counted
roughly."""
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
    lengths = [max(_length(mark.text[start:end]), 1) for start, end in words]
    sums = list(accumulate(lengths, initial=0))
    whole = mark.end if mark.end is not None else mark.start + sums[-1] / pace
    clauses = [at for at in range(1, len(words)) if ends_clause(mark.text[slice(*words[at - 1])])]
    if len(clauses) * len(pauses) > _MOST_PAIRS:
        pauses = ()
    sounding = whole - mark.start - sum(end - start for start, end in pauses)
    expected = [sounding * sums[clause] / sums[-1] for clause in clauses]
    runs, first, begins = [], 0, mark.start
    for clause, pause in _matched(expected, mark.start, pauses, sounding):
        runs.append((first, clauses[clause], begins, pauses[pause][0]))
        first, begins = clauses[clause], pauses[pause][1]
    times: list[WordTime] = []
    for one, last, start, end in [*runs, (first, len(words), begins, whole)]:
        each = (end - start) / max(sums[last] - sums[one], 1)
        times += [
            WordTime(words[at], start + each * (sums[at] - sums[one]), start + each * (sums[at + 1] - sums[one]))
            for at in range(one, last)
        ]
    return times


def _length(word: str) -> float:
    """Return about how many syllables a word has. A digit is often said with its place: "two hundred"."""
    return count_syllables(word) + sum(char.isdigit() for char in word) / 2


def _matched(
    expected: Sequence[float], start: float, pauses: Sequence[tuple[float, float]], sounding: float
) -> list[tuple[int, int]]:
    """Return which pause is at the end of which clause: as many as there are, the longest and nearest ones, in order.

    Args:
        expected: seconds of sound, without the pauses, until each clause ends.
        start: of the sentence.
        sounding: seconds of sound in the sentence.
    """
    near = _NEAR_SECONDS + _NEAR_SHARE * sounding
    silent = accumulate((end - begin for begin, end in pauses), initial=0.0)
    places = [begin - start - before for (begin, _), before in zip(pauses, silent, strict=False)]
    best: list[list[tuple[float, list[tuple[int, int]]]]] = [[(0.0, [])] * (len(pauses) + 1)]
    for clause, place in enumerate(expected):
        row: list[tuple[float, list[tuple[int, int]]]] = [(0.0, [])]
        for pause, (begin, end) in enumerate(pauses):
            options = [best[clause][pause + 1], row[pause]]
            off = abs(places[pause] - place) / near
            if off <= 1:
                score, pairs = best[clause][pause]
                options.append((score + 2 + min(end - begin, 1.0) - off, [*pairs, (clause, pause)]))
            row.append(max(options, key=lambda option: option[0]))
        best.append(row)
    return best[-1][-1][1]


def bookmark_times(mark: SentenceMark) -> list[tuple[str, float]]:
    """Return the named places of a sentence that has ended, each with its second of the sound.

    Those at its beginning and its end are exact, the others are interpolated.
    """
    if mark.end is None or not isinstance(mark.text, Sentence) or not mark.text.bookmarks:
        return []
    starts = [(word.at[0], word.start) for word in word_times(mark)]
    return [
        (name, mark.start if at == 0 else next((start for begin, start in starts if begin >= at), mark.end))
        for at, name in mark.text.bookmarks
    ]


def _words(text: str) -> list[tuple[int, int]]:
    """Return where each word begins and ends; in a script without spaces, each character is one."""
    words = []
    for run in _RUN.finditer(text):
        start = run.start()
        for at in range(run.start() + 1, run.end()):
            before, after = text[at - 1], text[at]
            begins = after.isalnum() or after in OPENERS
            if begins and before not in OPENERS and (is_cjk(before) or properties_of(after).unspaced):
                words.append((start, at))
                start = at
        words.append((start, run.end()))
    return words
