"""Positions of sentences in the text that they come from, with its control codes, markup and look-alikes."""

import re
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from voxcli.text.marks import PLAIN, MarkedUp, Replacement, Sentence, SpeakingManner

_TOKEN = re.compile(r"[^\W_]+")
_NEAR = 4096
"""Characters beyond its own length within which a sentence is looked for first."""
_FAR = 65536
"""The same, if it is not there: reasoning that is not spoken may come before it."""
_BETWEEN = 80
"""Characters between two words of a sentence, such as the address of a link."""
_KEPT = 4 * _FAR
"""Characters of the text that were located already, before they are dropped."""


class _Segment(NamedTuple):
    """A stretch of the text, and where it is written."""

    start: int
    end: int
    written: int
    written_end: int


class _Place(NamedTuple):
    """Something at a stretch of the text."""

    start: int
    end: int
    said: str
    why: str


class TextPositions:
    """Finds the sentences of a text that may still be arriving, in order.

    A sentence stands in its text as it is, or else its words do, with markup between them. If not even that, because
    they were spelled with look-alikes, it is taken to follow the sentence before it.
    """

    def __init__(self) -> None:
        self._text = ""
        self._new: list[str] = []  # what was fed since
        self._dropped = 0
        self._at = 0  # in the text that is kept
        self._segments = [_Segment(0, 0, 0, 0)]
        self._replaced: deque[_Place] = deque()
        self._bookmarks: deque[tuple[int, str]] = deque()

    def feed(self, text: str) -> None:
        """Take more of the text."""
        self._new.append(text)
        last = self._segments[-1]
        start, end = last.end, last.end + len(text)
        if not isinstance(text, MarkedUp):
            written_end = last.written_end + len(text)
            if last.end - last.start == last.written_end - last.written:
                self._segments[-1] = _Segment(last.start, end, last.written, written_end)
            else:
                self._segments.append(_Segment(start, end, last.written_end, written_end))
            return
        self._segments.append(_Segment(start, end, last.written_end, last.written_end + len(text.written)))
        if text.said is not None:
            self._replaced.append(_Place(start, end, text.said, text.why))
        self._bookmarks.extend((start + place, name) for place, name in text.bookmarks)

    def located(self, sentence: str, manner: SpeakingManner = PLAIN) -> Sentence:
        """Return the next sentence with its manner and its span, which counts characters from the start of the text."""
        self._text, self._new = "".join([self._text, *self._new]), []
        start, end = self._find(sentence)
        self._at = end
        start, end = self._dropped + start, self._dropped + end
        located = Sentence(
            sentence,
            sentence.text_language if isinstance(sentence, Sentence) else None,
            self._written(start, end),
            manner=manner,
            replacements=tuple(self._replacements(sentence, start, end)),
            bookmarks=tuple(self._bookmarks_until(sentence, start, end)),
        )
        if self._at > _KEPT:
            self._text, self._dropped, self._at = self._text[self._at :], self._dropped + self._at, 0
        return located

    def _written(self, start: int, end: int) -> tuple[int, int]:
        """Return where a stretch of the text is written."""
        first = self._segments[max(bisect_right(self._segments, start, key=lambda each: each.start) - 1, 0)]
        last = self._segments[max(bisect_left(self._segments, end, key=lambda each: each.start) - 1, 0)]
        at = min(first.written + start - first.start, first.written_end)
        return at, last.written_end if end >= last.end else max(at, last.written + end - last.start)

    def _replacements(self, sentence: str, start: int, end: int) -> Iterator[Replacement]:
        after = 0
        while self._replaced and self._replaced[0].end <= end:
            place = self._replaced.popleft()
            text = self._text_at(place)
            wanted = max(place.start - start, after)
            # Something before it may have been left out of the sentence, such as emoji.
            at = wanted if sentence.startswith(text, wanted) else sentence.find(text, after)
            if place.start >= start and at >= 0 and text:
                after = at + len(text)
                yield Replacement((at, after), place.said, place.why)

    def _text_at(self, place: _Place) -> str:
        return self._text[max(place.start - self._dropped, 0) : max(place.end - self._dropped, 0)]

    def _bookmarks_until(self, sentence: str, start: int, end: int) -> Iterator[tuple[int, str]]:
        while self._bookmarks and self._bookmarks[0][0] <= end:
            at, name = self._bookmarks.popleft()
            yield min(max(at - start, 0), len(sentence)), name

    def _find(self, sentence: str) -> tuple[int, int]:
        words = _TOKEN.findall(sentence)
        for reach in (len(sentence) + _NEAR, _FAR):
            limit = self._at + reach
            if (start := self._text.find(sentence, self._at, limit)) >= 0:
                exact = start, start + len(sentence)
                # The same words may come again as they are after they were written with markup.
                return min(exact, self._find_words(words, start) or exact)
            if found := self._find_words(words, limit):
                return found
        rest = self._text[self._at :]
        start = self._at + len(rest) - len(rest.lstrip())
        return start, min(start + len(sentence), len(self._text))

    def _find_words(self, words: list[str], limit: int) -> tuple[int, int] | None:
        """Find words that follow one another, all before a limit. Words that are not there are passed over."""
        start, end = -1, self._at
        missing = 0
        for word in words:
            reach = min(limit, end + len(word) + _BETWEEN) if start >= 0 else limit
            at = self._text.find(word, end, reach)
            if at < 0:
                missing += 1
                continue
            start, end = (at if start < 0 else start), at + len(word)
        if start < 0 or 2 * missing > len(words):
            return None
        while end < len(self._text) and not (self._text[end].isalnum() or self._text[end].isspace()):
            end += 1  # the marks at its end
        return start, end
