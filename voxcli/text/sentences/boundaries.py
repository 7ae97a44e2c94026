"""Where a sentence may have ended, and whether what follows is a new one."""

import re
from dataclasses import dataclass

from voxcli.text.characters import BULLETS, CLOSERS, HARD_ENDS, OPENERS, SOFT_ENDS, trait_of

LONGEST_CLUE = 16
"""So many characters of what follows are enough to decide."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TITLES = _words(
    "Mr Mrs Ms Mx Dr Drs Prof Rev Hon Gen Col Maj Capt Cpt Lt Sgt Gov Sen Rep Pres Mt Ft Messrs "  # English
    "Hr Fr Frl Dipl Ing Mag "  # German
    "MM Mme Mmes Mlle Mlles Mgr "  # French
    "Sra Srta Sres Dña Ud Uds Vd Vds Sig Dott Avv"  # Spanish, Italian
)
"""Always before a name."""

_NEVER_LAST = _words(
    "e.g i.e eg ie vs cf viz approx esp incl "
    "bzw z.b d.h u.a d.i o.ä u.ä s.o s.u evtl ggf inkl vgl sog zzgl ca "
    "p.ex c.-à-d p.ej"
)

_BEFORE_NUMBERS = _words(
    "no nos nr fig figs eq vol vols pp p ch chap sec sect art abs bd ed para pt ver v "
    "jan feb mar apr jun jul aug sep sept oct nov dec"
)

_BEFORE_NAMES = _words("st ste inc ltd co corp bros jr sr dept univ ave blvd rd ph.d m.d b.a m.a")
"""May end a sentence, but a capital letter after them proves little."""

_TIMES = frozenset(("a.m", "p.m"))
_LETTERS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")
_WORD = re.compile(r"[^\W\d_]+")
_ORDINAL = re.compile(r"\d{1,2}")

_STARTERS = _words(
    "A After All Also Although An And Another As At Because Before But By Each Even Every Finally First For From "
    "He Her Here His How However I If In Instead It Its Later Many Maybe Meanwhile More Most My Next No Nobody Not "
    "Nothing Now On Once One Only Or Our Perhaps She Since So Some Soon Still Such That The Their Then There These "
    "They This Those Though Thus To Today Tomorrow Under Unless Until We Well What When Where Whether Which While "
    "Who Why With Yes Yesterday Yet You Your"
)
"""Words that begin an English sentence and hardly ever a name."""

_AFTER_ORDINALS = _words(
    "Januar Februar März April Mai Juni Juli August September Oktober November Dezember "
    "Jahrhundert Jahrhunderts Weltkrieg Weltkriegs"
)
"""German writes the third of October "3. Oktober"."""


def ends_before(word: str, following: str, *, closed: bool) -> bool | None:
    """Say whether a sentence ends between `word.` and `following`, which is not lower-case.

    Args:
        word: what stands before the full stop, with its opening quotes and brackets.
        following: from the first letter or digit after the gap, up to LONGEST_CLUE characters.
        closed: whether all of the next word is there.

    Returns:
        None if more of what follows is needed.
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
        # An "A" that goes on with a full stop is an initial and not an article.
        return match[0] in words and following[match.end()] not in ".-"
    if closed or len(following) >= LONGEST_CLUE:
        return match[0] in words
    return None if any(word.startswith(match[0]) for word in words) else False


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
