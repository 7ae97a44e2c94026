"""Lines of subtitles: a text divided into cues of at most two lines, where a reader stumbles least.

The lengths are those of the Netflix Timed Text Style Guides (partnerhelp.netflixstudios.com): 42 characters in a line,
16 where the script is wide, two lines at most, the lower one not shorter than the upper one if there is a choice.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from voxcli.text.characters import CLAUSE_MARKS, CLOSERS, HARD_ENDS, OPENERS, SOFT_ENDS, properties_of

COLUMNS, WIDE_COLUMNS = 42, 32
"""Of a line in general, and where at least half of the text is wide: a wide character takes two."""

_IN_LINE, _BETWEEN_CUES = 1.0, 1.5
"""Factors of the cost of a break."""
_PER_CUE = 6.0
"""A cue more has to make breaks this much better."""
_SENTENCE, _CLAUSE, _BEFORE_LINK, _BEFORE_SHORT, _USUAL = 0.0, 1.0, 3.0, 4.0, 5.0
_AFTER_KANA, _BETWEEN_WIDE, _AFTER_SHORT, _IN_WORD, _IN_TAG, _ANYWHERE = 4.0, 7.0, 9.0, 12.0, 20.0, 60.0
"""Costs of a break: after an end mark, …, after an article or preposition, at a hyphen, and anywhere in a long word."""
_SHORT = 3
"""Letters of a word that belongs to the next one, as nearly all articles, prepositions and pronouns do."""
_LINKS = frozenset(
    re.findall(
        r"\w+",
        """
and or but nor so that which who whom whose where when while because although though if unless until than then
und oder aber denn sondern dass weil wenn obwohl während damit sowie als et ou mais donc car que qui dont parce
quand lorsque puisque y o pero sino porque cuando aunque mientras e ma perché quando mentre che mas porém
и или но а что чтобы который потому когда если
""",
    )
)
"""Words that begin a clause."""
_WIDE_LINKS = frozenset("和与而但或因所如虽则却并且又")
_PARTICLES = frozenset("的地得了着过吗呢吧啊")
_NOT_FIRST = frozenset("ぁぃぅぇぉっゃゅょァィゥェォッャュョー々ゝヽ・％‰℃ะาำๅๆฯ")
"""No line begins with one of them, nor with an end mark or a closing bracket."""
_NOT_LAST = frozenset("เแโใไ￥＄£€$¥")
_DASHES = ("–", "—", "-")
_WORD = re.compile("[^ ]+")
_TAG = re.compile(r"\[[^\[\]\n]{1,40}\]")
_LETTERS = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class CueText:
    """The text of one cue."""

    span: tuple[int, int]
    """Where it begins and ends in the text, in characters."""
    lines: tuple[str, ...]
    """One or two."""


@dataclass(frozen=True, slots=True)
class _Break:
    end: int
    """Where the text before it ends, without a space."""
    start: int
    cost: float


def columns_of(text: str) -> int:
    """Return the width of a text; a wide character takes two columns."""
    return sum(properties_of(char).columns for char in text)


def line_columns(text: str) -> int:
    """Return the columns of a line for this text."""
    wide = sum(properties_of(char).columns == 2 for char in text)
    narrow = sum(properties_of(char).columns == 1 and not char.isspace() for char in text)
    return WIDE_COLUMNS if wide and 2 * wide >= narrow else COLUMNS


def cue_texts(
    text: str,
    *,
    indent: int = 0,
    ease: Callable[[int], float] = lambda at: 1.0,
    strain: Callable[[int, int], float] = lambda start, end: 0.0,
) -> list[CueText]:
    """Divide a text into cues of one or two lines.

    Args:
        text: with single spaces.
        indent: columns of the first line that are taken, by the name of the speaker.
        ease: returns a factor for the cost of a new cue at a character, below 1 where there is a pause.
        strain: returns the cost of a cue between two characters, such as one that stays too long.
    """
    limit = line_columns(text)
    breaks = [_Break(0, 0, 0.0), *_breaks(text, limit - min(indent, limit // 2)), _Break(len(text), len(text), 0.0)]
    widths = [0]
    for char in text:
        widths.append(widths[-1] + properties_of(char).columns)

    def columns(first: int, last: int) -> int:
        taken = min(indent, limit // 2) if first == 0 else 0
        return taken + widths[breaks[last].end] - widths[breaks[first].start]

    best: list[tuple[float, int, int | None]] = [(0.0, 0, None)]  # cost, where the last cue begins and is broken
    for last in range(1, len(breaks)):
        candidates = []
        for first in range(last - 1, -1, -1):
            if columns(first, last) > 2 * limit + 1:
                break
            shape = _shape(breaks, first, last, limit, columns)
            if shape is None:
                continue
            cost, middle = shape
            cost += best[first][0] + _PER_CUE + strain(breaks[first].start, breaks[last].end)
            if last < len(breaks) - 1:
                cost += _BETWEEN_CUES * breaks[last].cost * ease(breaks[last].start)
            candidates.append((cost, first, middle))
        best.append(min(candidates, key=lambda candidate: candidate[0]))
    cues, last = [], len(breaks) - 1
    while last:
        _, first, middle = best[last]
        cuts = [first, last] if middle is None else [first, middle, last]
        lines = tuple(text[breaks[a].start : breaks[b].end] for a, b in pairwise(cuts))
        cues.append(CueText((breaks[first].start, breaks[last].end), lines))
        last = first
    return cues[::-1]


def _shape(
    breaks: list[_Break], first: int, last: int, limit: int, columns: Callable[[int, int], int]
) -> tuple[float, int | None] | None:
    """Return the cost of a cue, and where it is broken into two lines; None if it does not fit."""
    whole = columns(first, last)
    if whole <= limit:
        return (1 - whole / limit) ** 2 * 2, None
    shapes = []
    for middle in range(first + 1, last):
        upper, lower = columns(first, middle), columns(middle, last)
        if upper > limit:
            break
        if lower <= limit:
            uneven = (upper - lower) / limit
            cost = _IN_LINE * breaks[middle].cost + 4 * uneven * uneven + (0.5 if uneven > 0 else 0.0)
            shapes.append((cost, middle))
    return min(shapes) if shapes else None


def _breaks(text: str, limit: int) -> list[_Break]:
    """Return the positions at which a line may end. Where a word is longer than a line, that is anywhere in it."""
    tags = [match.span() for match in _TAG.finditer(text)]
    found: list[_Break] = []
    before = ""
    for word in _WORD.finditer(text):
        start, end = word.span()
        if start:
            in_tag = any(first < start < last for first, last in tags)
            found.append(_Break(start - 1, start, _IN_TAG if in_tag else _cost_between(before, word[0])))
        inside = [_Break(at, at, cost) for at in range(start + 1, end) if (cost := _cost_inside(text, at)) is not None]
        edges = [start, *(one.start for one in inside), end]
        for a, b in pairwise(edges):
            if columns_of(text[a:b]) > limit:
                inside += [_Break(at, at, _ANYWHERE) for at in range(a + 1, b) if not properties_of(text[at]).attaches]
        found += sorted(inside, key=lambda one: one.start)
        before = word[0]
    return found


def _cost_between(before: str, after: str) -> float:
    """Return the cost of a break at the space between two words."""
    if (cost := _cost_of_mark(before)) is not None:
        return cost
    if after in _DASHES or (before[-1:].isdigit() and (after[:1].isdigit() or len(after) <= _SHORT)):
        return _AFTER_SHORT
    letters = before.strip(OPENERS + CLOSERS)
    short = letters.isalpha() and len(letters) <= _SHORT and properties_of(letters[-1]).plain
    if short or letters.lower() in _LINKS:
        return _AFTER_SHORT
    word = match[0].lower() if (match := _LETTERS.search(after)) else ""
    if word in _LINKS:
        return _BEFORE_LINK
    return _BEFORE_SHORT if 0 < len(word) <= _SHORT and properties_of(word[0]).plain else _USUAL


def _cost_of_mark(before: str) -> float | None:
    """Return the cost of a break after a word that ends with a mark; None if it ends with none."""
    bare = before.rstrip(CLOSERS)
    if bare.endswith(tuple(HARD_ENDS)) or (bare.endswith(tuple(SOFT_ENDS)) and (len(bare) > 4 or bare[-1:] != ".")):
        return _SENTENCE
    if bare.endswith("."):  # as in "Dr."
        return _AFTER_SHORT
    return _CLAUSE if bare.endswith(tuple(CLAUSE_MARKS)) else None


def _cost_inside(text: str, at: int) -> float | None:
    """Return the cost of a break inside a run without spaces; None if there can be none."""
    before, after = text[at - 1], text[at]
    previous, following = properties_of(before), properties_of(after)
    if following.attaches or after in _NOT_FIRST or before in _NOT_LAST or before in OPENERS:
        return None
    if following.trailing and after not in OPENERS:
        return None
    if before in "-/–—" and following.plain and at > 1 and properties_of(text[at - 2]).plain:
        return _IN_WORD
    if not (previous.unspaced or following.unspaced or (previous.columns == 2 and previous.trailing)):
        return None
    if (cost := _cost_of_mark(text[max(0, at - 8) : at])) is not None:
        return cost
    if after in _WIDE_LINKS:
        return _BEFORE_LINK + 1
    if before in _PARTICLES or _is_kana(before) > _is_kana(after):
        return _AFTER_KANA
    return _BETWEEN_WIDE if previous.unspaced and following.unspaced else _USUAL


@cache
def _is_kana(char: str) -> bool:
    return "\u3041" <= char <= "\u309f"
