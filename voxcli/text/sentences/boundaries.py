"""Sentence boundaries: abbreviations, end marks, list numbers, and whether the text after them begins a sentence."""

import re
from dataclasses import dataclass

from voxcli.text.characters import BULLETS, CLOSERS, HARD_ENDS, OPENERS, SOFT_ENDS, properties_of
from voxcli.text.sentences.abbreviations import (
    AFTER_ORDINALS,
    BEFORE_NUMBERS,
    MAYBE_LAST,
    NEVER_LAST,
    PAIRS,
    STARTERS,
    STARTERS_AFTER_INITIALS,
    TITLES,
)

LOOKAHEAD = 16
"""Characters of the following text that are enough to decide."""
LOOKBEHIND = 48
"""Characters before a gap that are examined."""

_MARKS = frozenset(SOFT_ENDS + HARD_ENDS)
_HARD = frozenset(HARD_ENDS)
_DOTS = frozenset(".…‥。")
# German closing quotes are the opening ones of other languages.
_CLOSING = frozenset(CLOSERS + "“‘«‹")
_OPENING = frozenset(OPENERS + BULLETS)
_SPACED_ELLIPSIS = 3
"""Dots of ". . .", which leaves out words within a sentence; four dots end one."""
_TITLE_ENDS = "》〉』"
_QUOTATION_END = "」"
_PARTICLES = "とっはがをにものでへ"
"""Hiragana after a quotation that its sentence goes on with."""
_NOTES = re.compile(r"(?:\[\d{1,3}\])+$")
_LIST_NUMBER = re.compile(r"[•⁃]?\(?(?:\d{1,3}|[A-Za-z]|[IVX]{2,5})")
_ITEM = re.compile(r"[-*+•‣◦▪⁃]|\(?\d{1,3}[.)]|\(?[a-z]\)")
_ITEM_LENGTH = 5
_INLINE_NUMBER = re.compile(r"[•⁃]?(?:(\d{1,3})|([a-z]))(\.\)?|\))")


_TIMES = frozenset(("a.m", "p.m"))
_LETTERS = re.compile(r"(?:[^\W\d_]\.-?)*[^\W\d_]")
_WORD = re.compile(r"[^\W\d_]+")
_ORDINAL = re.compile(r"\d{1,2}")
_ROMAN = re.compile("[IVXLC]+")
_STREET = "str"
"""The end of German names of streets."""


def ends_before(word: str, following: str, *, previous: str, closed: bool) -> bool | None:
    """Whether a sentence ends between `word.` and `following`, which does not begin in lower case.

    Args:
        word: the text before the full stop, with its opening quotes and brackets.
        following: up to LOOKAHEAD characters, from the first letter or digit after the gap.
        previous: the word before `word`, without its full stop.
        closed: whether the next word is complete.

    Returns:
        None if more of the following text is needed.
    """
    word = word.lstrip(OPENERS + CLOSERS).rpartition("’")[2]
    folded = word.lower()
    if (previous.lower(), folded) in PAIRS:
        return _is_one_of(STARTERS, following, closed=closed)
    if word in TITLES or folded in NEVER_LAST:
        return False
    if folded in BEFORE_NUMBERS or folded.endswith(_STREET):
        number = _begins_with_number(following, closed=closed)
        if number is not False:
            return None if number is None else False
        if folded not in MAYBE_LAST and not (_LETTERS.fullmatch(word) and following[0].isupper()):
            return True
    if _ORDINAL.fullmatch(word):
        return False if previous.isdigit() and following[0].isdigit() else _ends_after_number(following, closed=closed)
    if folded in MAYBE_LAST:
        return _is_one_of(STARTERS, following, closed=closed)
    if folded not in _TIMES and _LETTERS.fullmatch(word):
        return _is_one_of(STARTERS_AFTER_INITIALS, following, closed=closed)
    return True


def _ends_after_number(following: str, *, closed: bool) -> bool | None:
    """Whether a sentence ends after "3.", which may be a German ordinal."""
    if number := _ORDINAL.match(following):  # 3. 6. 2020
        rest = following[number.end() :]
        return None if not rest and not closed and len(number[0]) < 2 else not rest.startswith(".")
    noun = _WORD.match(following)
    if noun and noun.end() == len(following) < LOOKAHEAD and not closed:
        return None if any(word.startswith(noun[0]) for word in AFTER_ORDINALS) else True
    return not noun or noun[0] not in AFTER_ORDINALS


def _begins_with_number(following: str, *, closed: bool) -> bool | None:
    """Whether a number follows, also a Roman one; but "I" alone is a word."""
    if following[0].isdigit():
        return True
    roman = _ROMAN.match(following)
    if not roman:
        return False
    if roman.end() == len(following) < LOOKAHEAD and not closed:
        return None
    return roman[0] not in ("I", "C", "L") and not following[roman.end() : roman.end() + 1].isalpha()


def _is_one_of(words: frozenset[str], following: str, *, closed: bool) -> bool | None:
    match = _WORD.match(following)
    if match is None:
        return False
    if match.end() < len(following):
        # An "A" before a full stop is an initial and not an article.
        return match[0] in words and following[match.end()] not in ".-"
    if closed or len(following) >= LOOKAHEAD:
        return match[0] in words
    return None if any(word.startswith(match[0]) for word in words) else False


@dataclass(frozen=True, slots=True)
class EndMarks:
    """The end marks after a word."""

    word: str
    marks: str
    previous: str = ""
    """The word before, without its full stop."""
    quoted: bool = False
    """A Japanese quotation ends here too."""

    @property
    def hard(self) -> bool:
        return not _HARD.isdisjoint(self.marks) and not self.ellipsis

    @property
    def ellipsis(self) -> bool:
        """Whether these are dots for something left out or hesitation, also as 。。。 in Chinese."""
        dots = "".join(self.marks.split())
        return dots in ("…", "‥") or (len(dots) > 1 and _DOTS.issuperset(dots))

    @property
    def numbers_a_list(self) -> bool:
        """Whether this is the number of a list item, provided that it begins a line."""
        return self.marks == "." and _LIST_NUMBER.fullmatch(self.word) is not None

    def ends_before(self, char: str, *, in_address: bool) -> bool:
        """Whether a sentence ends before a character without a space."""
        if self.quoted and char in _PARTICLES:
            return False
        return self.hard or (not in_address and self._ends_before_wide(char))

    def _ends_before_wide(self, char: str) -> bool:
        """Whether a sentence ends here in Chinese text with Latin punctuation."""
        properties = properties_of(char)
        if not (properties.unspaced or (properties.columns == 2 and char in OPENERS)):
            return False
        return not self.ellipsis and (self.marks != "." or properties_of(self.word[-1:] or " ").unspaced)


def find_end_marks(tail: str, previous: str = "") -> EndMarks | None:
    """Find the end marks at the end of `tail`, before closing quotes, emoji and note numbers.

    previous: the word before, without its full stop.
    """
    end = len(tail)
    if note := _NOTES.search(tail):
        end = note.start()
    while end and _closes(tail[end - 1]):
        if tail[end - 1] in _TITLE_ENDS:
            return None  # these marks belong to the title
        end -= 1
    start = end
    while start and (tail[start - 1] in _MARKS or (start < end and properties_of(tail[start - 1]).attaches)):
        start -= 1
    return EndMarks(tail[:start], tail[start:end], previous, tail[-1] in _QUOTATION_END) if start < end else None


def _closes(char: str) -> bool:
    properties = properties_of(char)
    return properties.emoji or properties.attaches or char in _CLOSING


@dataclass(slots=True)
class Boundary:
    """A position where a piece may end, depending on the text that follows."""

    cut: int
    ending: EndMarks | None
    sure: bool
    """A piece ends regardless of what follows: after a blank line, a short line or a mark such as 。"""
    line: bool
    """A line ends here."""
    lead: int | None = None
    """Index of the first character to be read after the gap."""
    slides: bool = False
    """Only characters that are not read have followed, so the boundary moves behind them."""
    dots: int = 1
    """Of an ellipsis with spaces in it."""

    def verdict(self, chars: list[str], closed_by: str) -> bool | None:
        """Whether a piece ends here; None if more text is needed.

        Args:
            chars: the piece and the text after it.
            closed_by: the white space after the group with `lead`; empty if there is none yet.
        """
        lead = self.lead
        assert lead is not None
        if self.sure or chars[lead] == "[":
            return True
        if self.line:
            listed = _is_item("".join(chars[self.cut : self.cut + _ITEM_LENGTH + 1]), closed_by)
            if listed is not False:
                return listed
        ending = self.ending
        if ending is None or chars[lead].islower() or self.dots == _SPACED_ELLIPSIS:
            return False
        if ending.ellipsis and properties_of(chars[lead]).unspaced:
            return False
        if ending.marks != ".":
            return True
        following = "".join(chars[lead : lead + LOOKAHEAD])
        return ends_before(ending.word, following, previous=ending.previous, closed=bool(closed_by))


class InlineList:
    """The numbers of a list inside a line that begins with one, as in "1. Rinse 2. Dry"."""

    def __init__(self) -> None:
        self._last: tuple[int, str] | None = None  # number, or code of the letter, and punctuation

    def continues(self, group: str, *, opens_line: bool) -> bool:
        """Take a group; return whether it is the number of the next item, which begins a new piece."""
        match, last = _INLINE_NUMBER.fullmatch(group), self._last
        item = (int(match[1] or ord(match[2])), match[3]) if match else None
        following = not opens_line and last is not None and item == (last[0] + 1, last[1])
        if opens_line or following:
            self._last = item
        return following

    def end(self) -> None:
        self._last = None


def _is_item(head: str, closed_by: str) -> bool | None:
    if len(head) > _ITEM_LENGTH:
        return False
    if closed_by:
        return _ITEM.fullmatch(head) is not None
    return None


def is_bullet(group: str) -> bool:
    """Whether this group, alone at the start of a line, makes the line a list item."""
    return len(group) == 1 and _ITEM.fullmatch(group) is not None


def opens(group: str) -> bool:
    """Whether this group, which has nothing to be read, belongs to the text after it."""
    return len(group) <= 2 and all(char in _OPENING for char in group)
