"""Lines of subtitles: a text divided into cues of at most two lines, where a reader stumbles least.

The lengths are those of the Netflix Timed Text Style Guides (partnerhelp.netflixstudios.com): 42 characters in a line,
16 where the script is wide, two lines at most, the lower one not shorter than the upper one if there is a choice.
"""

import math
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, pairwise

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
    indent = min(indent, limit // 2)
    breaks = [_Break(0, 0, 0.0), *_breaks(text, limit - indent), _Break(len(text), len(text), 0.0)]
    sums = list(accumulate((properties_of(char).columns for char in text), initial=0))
    lines = _Lines(breaks, [sums[one.start] for one in breaks], [sums[one.end] for one in breaks], limit, indent)
    best: list[tuple[float, int, int | None]] = [(0.0, 0, None)]  # cost, where the last cue begins and is broken
    for last in range(1, len(breaks)):
        after = _PER_CUE + _BETWEEN_CUES * breaks[last].cost * ease(breaks[last].start)
        found: tuple[float, int, int | None] = (math.inf, 0, None)
        for first in range(last - 1, lines.first_for(last) - 1, -1):
            before = best[first][0] + after
            if before < found[0] and (shape := lines.shape(first, last)):
                cost = before + shape[0] + strain(breaks[first].start, breaks[last].end)
                found = min(found, (cost, first, shape[1]), key=lambda one: one[0])
        best.append(found)
    cues, last = [], len(breaks) - 1
    while last:
        _, first, middle = best[last]
        cuts = [first, last] if middle is None else [first, middle, last]
        texts = tuple(text[breaks[a].start : breaks[b].end] for a, b in pairwise(cuts))
        cues.append(CueText((breaks[first].start, breaks[last].end), texts))
        last = first
    return cues[::-1]


@dataclass(frozen=True, slots=True)
class _Lines:
    """The lines that may be between the breaks of a text."""

    breaks: Sequence[_Break]
    starts: Sequence[int]
    ends: Sequence[int]
    """Columns before each break, with and without the space there."""
    limit: int
    indent: int

    def first_for(self, last: int) -> int:
        """Return the first break with which a cue may begin that ends at this one."""
        return bisect_left(self.starts, self.ends[last] - 2 * self.limit - 1, 0, last)

    def shape(self, first: int, last: int) -> tuple[float, int | None] | None:
        """Return the cost of a cue, and where it is broken into two lines; None if it does not fit."""
        start = self.starts[first] - (self.indent if first == 0 else 0)
        end, limit = self.ends[last], self.limit
        if (whole := end - start) <= limit:
            return (1 - whole / limit) ** 2 * 2, None
        found: tuple[float, int | None] | None = None
        for middle in range(bisect_left(self.starts, end - limit, first + 1, last), last):
            upper = self.ends[middle] - start
            if upper > limit:
                break
            uneven = (upper - end + self.starts[middle]) / limit
            cost = _IN_LINE * self.breaks[middle].cost + 4 * uneven * uneven + (0.5 if uneven > 0 else 0.0)
            if found is None or cost < found[0]:
                found = cost, middle
        return found


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
            inside += [_Break(at, at, _ANYWHERE) for at in _hard_breaks(text, a, b, limit)]
        found += sorted(inside, key=lambda one: one.start)
        before = word[0]
    return found


def _hard_breaks(text: str, start: int, end: int, limit: int) -> Iterator[int]:
    """Yield where a word is broken that is longer than a line."""
    columns = 0
    for at in range(start, end):
        columns += properties_of(text[at]).columns
        if columns > limit:
            yield at
            columns = properties_of(text[at]).columns


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
