"""Parts that are too short for a model, which speaks one to three words badly, joined to their neighbours."""

import re
import unicodedata

from voxcli.text.characters import BULLETS, CLAUSE_MARKS, CLOSERS, HARD_ENDS, SOFT_ENDS, is_cjk, properties_of
from voxcli.text.marks import Part, Pause, Sentence
from voxcli.text.sentences.splitter import COLUMNS

_WORDS = re.compile(r"[^\W\d_]+|\d")
_VOWELS = re.compile("[aeiouyæœøıаеёиоуыэюяієїαεηιουω]+")
_BULLET = re.compile(f"[{re.escape(BULLETS)}] +")
_LETTERS_PER_SYLLABLE = 2.5
"""Of scripts whose vowels are not counted here."""


def count_syllables(text: str) -> int:
    """Count the syllables of a text, roughly: vowels of alphabets, characters of Chinese, Japanese and Korean."""
    return sum(_syllables_of(word) for word in _WORDS.findall(text))


def _syllables_of(word: str) -> int:
    wide = sum(properties_of(char).unspaced or "\uac00" <= char <= "\ud7a3" for char in word)
    if wide or word.isdigit():
        return max(wide, 1)
    vowels = len(_VOWELS.findall(unicodedata.normalize("NFD", word.lower())))
    if vowels or word.isascii():
        return max(vowels - (vowels > 1 and word.endswith("e") and not word.endswith("le")), 1)
    return max(round(len(word) / _LETTERS_PER_SYLLABLE), 1)


def ends_sentence(text: str) -> bool:
    """Whether a text ends with an end mark, before closing quotes and white space."""
    return text.rstrip().rstrip(CLOSERS).endswith(tuple(SOFT_ENDS + HARD_ENDS))


def ends_clause(text: str) -> bool:
    """Whether a text ends with an end mark or a clause mark."""
    return ends_sentence(text) or text.rstrip().rstrip(CLOSERS).endswith(tuple(CLAUSE_MARKS))


class ShortParts:
    """Joins a part with too few syllables to the part before it, or else to the one after it.

    The joined parts do not depend on how the text was cut on its way: a part is held back until the beginning of the
    next one shows that it is long enough. Pauses and paragraphs are not joined.
    """

    def __init__(self, least: int) -> None:
        """least: syllables that make a part long enough; 0 joins nothing."""
        self._least = least
        self.held = ""
        """The part that the next one may join."""
        self._line = False

    def add(self, part: Part, *, newlines: int) -> list[Part]:
        """Take a part, and how many line breaks follow it. Return those that are certain."""
        if isinstance(part, Pause):
            return [*self.flush(), part]
        out: list[Part] = []
        if self.held and self._joins(part):
            self.held = self._joined(part)
        else:
            out += self.flush()
            self.held = part
        self._line = newlines > 0
        return out if self._least and newlines < 2 else [*out, *self.flush()]

    def show(self, beginning: str) -> list[Part]:
        """Take the beginning of the next part. Return those that are certain."""
        if self.held and not self._is_short(self.held) and not self._is_short(beginning):
            return self.flush()
        return []

    def flush(self) -> list[Part]:
        """Return the part that was held back, because a paragraph has ended or its writer has paused."""
        held, self.held = self.held, ""
        return [held] if held else []

    def _is_short(self, text: str) -> bool:
        return count_syllables(text) < self._least

    def _joins(self, part: str) -> bool:
        fits = sum(properties_of(char).columns for char in self.held + part) < COLUMNS
        return fits and (self._is_short(self.held) or self._is_short(part))

    def _joined(self, part: str) -> str:
        language = part.text_language if isinstance(part, Sentence) else None
        part = part[bullet.end() :] if self._line and (bullet := _BULLET.match(part)) else part
        wide = is_cjk(self.held[-1]) and is_cjk(part[0])
        comma = self._line and not ends_clause(self.held)
        joined = self.held + ("，" if comma and wide else "," if comma else "") + ("" if wide else " ") + part
        return Sentence(joined, language) if language else joined
