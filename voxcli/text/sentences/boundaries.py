"""Sentence boundaries: abbreviations, end marks, list numbers, and whether the text after them begins a sentence."""

import re
from dataclasses import dataclass

from voxcli.text.characters import BULLETS, CLOSERS, HARD_ENDS, OPENERS, SOFT_ENDS, properties_of

LOOKAHEAD = 16
"""Characters of the following text that are enough to decide."""
LOOKBEHIND = 48
"""Characters before a gap that are examined."""

_MARKS = frozenset(SOFT_ENDS + HARD_ENDS)
_HARD = frozenset(HARD_ENDS)
# German closing quotes are the opening ones of other languages.
_CLOSING = frozenset(CLOSERS + "“‘«‹")
_OPENING = frozenset(OPENERS + BULLETS)
_NOTES = re.compile(r"(?:\[\d{1,3}\])+$")
_LIST_NUMBER = re.compile(r"\(?(?:\d{1,3}|[A-Za-z]|[IVX]{2,5})")
_ITEM = re.compile(r"[-*+•‣◦▪]|\(?\d{1,3}[.)]|\(?[a-z]\)")
_ITEM_LENGTH = 5
_INLINE_NUMBER = re.compile(r"(\d{1,3})(\.\)?|\))")


def _word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TITLES = _word_set(
    "Mr Mrs Ms Mx Dr Drs Prof Rev Hon Gen Col Maj Capt Cpt Lt Sgt Gov Sen Rep Pres Mt Ft Messrs "  # English
    "Hr Fr Frl Dipl Ing Mag "  # German
    "MM Mme Mmes Mlle Mlles Mgr "  # French
    "Sra Srta Sres Dña Ud Uds Vd Vds Sig Dott Avv"  # Spanish, Italian
)
"""Abbreviations that are always followed by a name."""

_NEVER_LAST = _word_set(
    "e.g i.e eg ie vs cf viz approx esp incl "
    "bzw z.b d.h u.a d.i o.ä u.ä s.o s.u evtl ggf inkl vgl sog zzgl ca "
    "p.ex c.-à-d p.ej"
)

_BEFORE_NUMBERS = _word_set(
    "no nos nr n° fig figs eq vol vols pp p ch chap sec sect art abs bd ed para pt ver v "
    "jan feb mar apr jun jul aug sep sept oct nov dec"
)

_BEFORE_NAMES = _word_set("st ste inc ltd co corp bros jr sr dept univ ave blvd rd ph.d m.d b.a m.a")
"""Abbreviations that may end a sentence, but are often followed by a name."""

_TIMES = frozenset(("a.m", "p.m"))
_LETTERS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")
_WORD = re.compile(r"[^\W\d_]+")
_ORDINAL = re.compile(r"\d{1,2}")

_STARTERS = _word_set(
    "A After All Also Although An And Another Are As At Because Before But By Could Did Does Each Even Every Finally "
    "First For From Has Have He Her Here His How However I If In Instead Is It Its Later Many Maybe Meanwhile More "
    "Most My Next No Nobody Not Nothing Now On Once One Only Or Our Perhaps She Should Since So Some Soon Still Such "
    "That The Their Then There These They This Those Though Thus To Today Tomorrow Under Unless Until Was We Well "
    "Were What When Where Whether Which While Who Why With Would Yes Yesterday Yet You Your"
)
"""Words that begin an English sentence, and hardly ever a name."""

_AFTER_ORDINALS = _word_set(
    "Januar Februar März April Mai Juni Juli August September Oktober November Dezember "
    "Jahrhundert Jahrhunderts Weltkrieg Weltkriegs"
)
"""German writes the third of October "3. Oktober"."""


def ends_before(word: str, following: str, *, closed: bool) -> bool | None:
    """Whether a sentence ends between `word.` and `following`, which does not begin in lower case.

    Args:
        word: the text before the full stop, with its opening quotes and brackets.
        following: up to LOOKAHEAD characters, from the first letter or digit after the gap.
        closed: whether the next word is complete.

    Returns:
        None if more of the following text is needed.
    """
    word = word.lstrip(OPENERS + CLOSERS)
    folded = word.lower()
    if word in _TITLES or folded in _NEVER_LAST:
        return False
    if folded in _BEFORE_NUMBERS:
        return not following[0].isdigit()
    if _ORDINAL.fullmatch(word):
        after_ordinal = _is_one_of(_AFTER_ORDINALS, following, closed=closed)
        return None if after_ordinal is None else not after_ordinal
    if folded in _BEFORE_NAMES or (folded not in _TIMES and _LETTERS.fullmatch(word)):
        return _is_one_of(_STARTERS, following, closed=closed)
    return True


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

    @property
    def hard(self) -> bool:
        return not _HARD.isdisjoint(self.marks)

    @property
    def numbers_a_list(self) -> bool:
        """Whether this is the number of a list item, provided that it begins a line."""
        return self.marks == "." and _LIST_NUMBER.fullmatch(self.word) is not None

    def ends_before_wide(self, char: str) -> bool:
        """Whether a sentence ends before a character without a space, as in Chinese text with Latin punctuation."""
        properties = properties_of(char)
        if not (properties.unspaced or (properties.columns == 2 and char in OPENERS)):
            return False
        return self.marks != "." or properties_of(self.word[-1:] or " ").unspaced


def find_end_marks(tail: str) -> EndMarks | None:
    """Find the end marks at the end of `tail`, before closing quotes, emoji and note numbers."""
    end = len(tail)
    if note := _NOTES.search(tail):
        end = note.start()
    while end and _closes(tail[end - 1]):
        end -= 1
    start = end
    while start and (tail[start - 1] in _MARKS or (start < end and properties_of(tail[start - 1]).attaches)):
        start -= 1
    return EndMarks(tail[:start], tail[start:end]) if start < end else None


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
        if self.ending is None or chars[lead].islower():
            return False
        if self.ending.marks != ".":
            return True
        following = "".join(chars[lead : lead + LOOKAHEAD])
        return ends_before(self.ending.word, following, closed=bool(closed_by))


class InlineList:
    """The numbers of a list inside a line that begins with one, as in "1. Rinse 2. Dry"."""

    def __init__(self) -> None:
        self._last: tuple[int, str] | None = None  # number and punctuation

    def continues(self, group: str, *, opens_line: bool) -> bool:
        """Take a group; return whether it is the number of the next item, which begins a new piece."""
        match, last = _INLINE_NUMBER.fullmatch(group), self._last
        item = (int(match[1]), match[2]) if match else None
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
