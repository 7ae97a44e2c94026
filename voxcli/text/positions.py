"""Positions of sentences in the text that they come from, with its control codes, markup and look-alikes."""

import re

from voxcli.text.marks import PLAIN, Sentence, SpeakingManner

_TOKEN = re.compile(r"[^\W_]+")
_NEAR = 4096
"""Characters beyond its own length within which a sentence is looked for first."""
_FAR = 65536
"""The same, if it is not there: reasoning that is not spoken may come before it."""
_BETWEEN = 80
"""Characters between two words of a sentence, such as the address of a link."""
_KEPT = 4 * _FAR
"""Characters of the text that were located already, before they are dropped."""


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

    def feed(self, text: str) -> None:
        """Take more of the text."""
        self._new.append(text)

    def pass_over(self, text: str) -> None:
        """Take text that is not spoken, behind everything that was located."""
        self.feed(text)
        self._text, self._new = "".join([self._text, *self._new]), []
        self._at = len(self._text)

    def located(self, sentence: str, manner: SpeakingManner = PLAIN) -> Sentence:
        """Return the next sentence with its manner and its span, which counts characters from the start of the text."""
        self._text, self._new = "".join([self._text, *self._new]), []
        start, end = self._find(sentence)
        self._at = end
        span = (self._dropped + start, self._dropped + end)
        if self._at > _KEPT:
            self._text, self._dropped, self._at = self._text[self._at :], self._dropped + self._at, 0
        language = sentence.text_language if isinstance(sentence, Sentence) else None
        return Sentence(sentence, language, span, manner=manner)

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
