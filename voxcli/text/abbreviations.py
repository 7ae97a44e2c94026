"""Words that carry a full stop of their own, and whether a sentence ends at it all the same."""

import re

from voxcli.text.characters import CLOSERS, OPENERS

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
