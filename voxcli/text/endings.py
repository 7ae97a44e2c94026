"""Where a sentence may have ended, and whether what follows is a new one."""

import re
from dataclasses import dataclass

from voxcli.text.abbreviations import LONGEST_CLUE, ends_before
from voxcli.text.characters import BULLETS, CLOSERS, HARD_ENDS, OPENERS, SOFT_ENDS, trait_of

LONGEST_TAIL = 48
"""So many characters before a gap are looked at."""

_MARKS = frozenset(SOFT_ENDS + HARD_ENDS)
_HARD = frozenset(HARD_ENDS)
# At the end of a word, German quotes close with what opens elsewhere.
_CLOSING = frozenset(CLOSERS + "“‘«‹")
_OPENING = frozenset(OPENERS + BULLETS)
_NOTES = re.compile(r"(?:\[\d{1,3}\])+$")
_LIST_NUMBER = re.compile(r"\(?(?:\d{1,3}|[A-Za-z]|[IVX]{2,5})")
_ITEM = re.compile(r"[-*+•‣◦▪]|\(?\d{1,3}[.)]|\(?[a-z]\)")
_LONGEST_ITEM = 5


@dataclass(frozen=True, slots=True)
class Ending:
    """The end marks after a word."""

    word: str
    marks: str

    @property
    def hard(self) -> bool:
        return not _HARD.isdisjoint(self.marks)

    @property
    def numbers_a_list(self) -> bool:
        """Whether this is the number of a list item, if it stands at the start of a line."""
        return self.marks == "." and _LIST_NUMBER.fullmatch(self.word) is not None


def find_ending(tail: str) -> Ending | None:
    """Find the end marks that `tail` closes with, apart from closing quotes, emoji and note numbers."""
    end = len(tail)
    if note := _NOTES.search(tail):
        end = note.start()
    while end and _closes(tail[end - 1]):
        end -= 1
    start = end
    while start and (tail[start - 1] in _MARKS or (start < end and trait_of(tail[start - 1]).attaches)):
        start -= 1
    return Ending(tail[:start], tail[start:end]) if start < end else None


def _closes(char: str) -> bool:
    trait = trait_of(char)
    return trait.emoji or trait.attaches or char in _CLOSING


@dataclass(slots=True)
class Boundary:
    """A place where a piece may end, while what follows it is still being looked at."""

    cut: int
    ending: Ending | None
    sure: bool
    """Ends whatever follows: after a blank line, a short line or a mark such as 。"""
    line: bool
    """A line ended here."""
    lead: int | None = None
    """Where the first thing to be read after the gap is."""
    slides: bool = False
    """Nothing to be read has come since, so the boundary moves behind it."""

    def verdict(self, chars: list[str], closed_by: str) -> bool | None:
        """Say whether a piece ends here; None if more text is needed.

        Args:
            chars: of the piece and what follows.
            closed_by: the white space after the group that `lead` is in; empty if none has come yet.
        """
        lead = self.lead
        assert lead is not None
        if self.sure or chars[lead] == "[":
            return True
        if self.line:
            listed = _is_item("".join(chars[self.cut : self.cut + _LONGEST_ITEM + 1]), closed_by)
            if listed is not False:
                return listed
        if self.ending is None or chars[lead].islower():
            return False
        if self.ending.marks != ".":
            return True
        following = "".join(chars[lead : lead + LONGEST_CLUE])
        return ends_before(self.ending.word, following, closed=bool(closed_by))


def _is_item(head: str, closed_by: str) -> bool | None:
    if len(head) > _LONGEST_ITEM:
        return False
    if closed_by:
        return _ITEM.fullmatch(head) is not None
    return None


def is_bullet(group: str) -> bool:
    """Say whether this, alone at the start of a line, makes the line a list item."""
    return len(group) == 1 and _ITEM.fullmatch(group) is not None


def opens(group: str) -> bool:
    """Say whether this, with nothing to be read in it, belongs to what comes next."""
    return len(group) <= 2 and all(char in _OPENING for char in group)
