"""Layout of a printed page: characters with their places to lines in reading order, and lines to paragraphs.

Columns are found as white strips that part the lines of a page from top to bottom. Numbers of pages and the lines that
come again at the same place of other pages are left out, and so are footnotes: small print at the foot of a page.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from voxcli.documents.document import Block
from voxcli.text.characters import is_cjk
from voxcli.text.lines import SpokenLines

_HEADING_RATIO = 1.15
"""Of the size of a heading to that of the text."""
_FOOTNOTE_RATIO = 0.92
_LONGEST_HEADING = 150
_GUTTER = 0.9
"""Width of the strip between columns, in sizes of the text."""
_LEAST_COLUMN_LINES = 3
_MOST_LINES = 400
"""Of a page with columns. One with more is a drawing, or a trap."""
_NEIGHBOURS = 4
"""Pages on which a running head comes again, at most this far away."""
_NUMBER = re.compile(
    r"[-–—\s\[(]*(?:(?:page|seite|p\.)\s*)?(?:\d{1,4}|[ivxlc]{1,7})(?:\s*(?:/|of|von)\s*\d{1,4})?[-–—\s\])]*", re.I
)
_PAGE_NUMBER = re.compile(r"^\W*(?:\d+|[ivxlc]+)\b|\b(?:\d+|[ivxlc]+)\W*$")
_MARGIN = 0.1
"""Share of the height of a page that its heads and feet take at most."""
_NOTE_START = re.compile(r"\s*(?:\d{1,3}|[*†‡§])[\s.)]?\S")
_SENTENCE_END = re.compile(r"[.!?:。！？：…]['\"”’»）)\]]*$")


@dataclass(frozen=True, slots=True)
class Line:
    """A row of text on a page, or the part of one that is in a column. Distances are in points, upwards."""

    text: str
    left: float
    right: float
    bottom: float
    top: float
    size: float
    """Height of its characters."""


@dataclass(frozen=True, slots=True)
class PrintedPage:
    """The lines of a page, and where its paper begins and ends."""

    lines: Sequence[Line]
    bottom: float
    top: float

    def margin_lines(self, most_size: float) -> set[Line]:
        """Return the lines near the upper and the lower edge, where heads, feet and numbers are."""
        margin = _MARGIN * (self.top - self.bottom)
        ordered = sorted(self.lines, key=lambda line: -line.top)
        head = [line for line in ordered[:2] if line.bottom > self.top - margin]
        foot = [line for line in ordered[-2:] if line.top < self.bottom + margin]
        return {line for line in (*head, *foot) if line.size < most_size}


def read_layout(pages: Sequence[PrintedPage]) -> tuple[list[Block], list[int], Counter[str]]:
    """Turn the lines of all pages into paragraphs and headings.

    Returns:
        The blocks; for each page the index of the first block that begins on it; and what was left out.
    """
    left_out: Counter[str] = Counter()
    sizes = [line.size for page in pages for line in page.lines for _ in range(len(line.text))]
    body = median(sizes) if sizes else 0.0
    kept = []
    for lines in _without_margins(pages, body):
        rest, notes = _without_footnotes(lines, body)
        left_out["footnotes"] += notes
        kept.append(rest)
    paragraphs = _Paragraphs(body, _levels(kept, body))
    starts = []
    for lines in kept:
        starts.append(paragraphs.begin_page())
        for column in _columns(lines, body):
            paragraphs.add(column)
    return paragraphs.finish(), starts, +left_out


def _without_margins(pages: Sequence[PrintedPage], body: float) -> Iterator[list[Line]]:
    """Leave out the numbers of pages, and running heads and feet, which come again on pages nearby."""
    margins = [page.margin_lines(_HEADING_RATIO * body) for page in pages]
    keys = [{(_PAGE_NUMBER.sub("#", line.text.casefold()), round(line.top / 4)) for line in lines} for lines in margins]
    for at, page in enumerate(pages):
        around = [one for one in range(max(0, at - _NEIGHBOURS), min(len(pages), at + _NEIGHBOURS + 1)) if one != at]
        again = Counter(key for one in around for key in keys[one])
        kept = []
        for line in page.lines:
            text, height = _PAGE_NUMBER.sub("#", line.text.casefold()), round(line.top / 4)
            times = sum(again[text, height + step] for step in (-1, 0, 1))
            comes_again = times >= min(2, len(around)) > 0
            if not (line in margins[at] and (comes_again or _NUMBER.fullmatch(line.text))):
                kept.append(line)
        yield kept


def _without_footnotes(page: list[Line], body: float) -> tuple[list[Line], int]:
    """Leave out small print at the foot of a page that begins like a note. Return the rest, and how many notes."""
    if not page:
        return [], 0
    middle = (max(line.top for line in page) + min(line.bottom for line in page)) / 2
    large = [line.bottom for line in page if line.size > _FOOTNOTE_RATIO * body]
    foot = min(large, default=0.0)
    notes = [line for line in page if line.size <= _FOOTNOTE_RATIO * body and line.top < min(foot + body, middle)]
    if not notes or not large or not _NOTE_START.match(max(notes, key=lambda line: line.top).text):
        return page, 0
    return [line for line in page if line not in notes], sum(1 for line in notes if _NOTE_START.match(line.text))


def _levels(pages: Sequence[Sequence[Line]], body: float) -> dict[int, int]:
    """Return the level of each size of heading, from the largest to the smallest."""
    large = Counter(round(line.size) for page in pages for line in page if line.size >= _HEADING_RATIO * body)
    return {size: min(level, 6) for level, size in enumerate(sorted(large, reverse=True), start=1)}


def _columns(lines: list[Line], body: float) -> Iterator[list[Line]]:
    """Yield the lines of each column from top to bottom, columns in the order they are read."""
    if len(lines) > _MOST_LINES:
        yield _rows(lines)
        return
    if strip := _find_gutter(lines, body):
        yield from _columns([line for line in lines if line.right <= strip], body)
        yield from _columns([line for line in lines if line.right > strip], body)
        return
    upper, lower = _cut_across(lines, body)
    if lower:
        yield from _columns(upper, body)
        yield from _columns(lower, body)
    elif lines:
        yield _rows(lines)


def _find_gutter(lines: list[Line], body: float) -> float | None:
    """Return a place between two columns of several lines each."""
    edge = 0.0
    for line in sorted(lines, key=lambda line: line.left):
        if edge and line.left - edge >= _GUTTER * body:
            left = [one for one in lines if one.right <= edge]
            right = [one for one in lines if one.right > edge]
            if min(len(_rows(left)), len(_rows(right))) >= _LEAST_COLUMN_LINES and _overlap(left, right):
                return edge
        edge = max(edge, line.right)
    return None


def _overlap(left: list[Line], right: list[Line]) -> bool:
    """Whether two columns stand beside one another."""
    low = max(min(line.bottom for line in side) for side in (left, right))
    high = min(max(line.top for line in side) for side in (left, right))
    return high > low


def _cut_across(lines: list[Line], body: float) -> tuple[list[Line], list[Line]]:
    """Cut at a line that reaches across columns, if what is above or below it has columns; otherwise not at all."""
    ordered = sorted(lines, key=lambda line: -line.top)
    for at in range(1, len(ordered)):
        upper, lower = ordered[:at], ordered[at:]
        if max(line.top for line in lower) <= min(line.bottom for line in upper) + 0.2 * body and (
            _find_gutter(lower, body) or (len(upper) > 1 and _find_gutter(upper, body))
        ):
            return upper, lower
    return lines, []


def _rows(lines: list[Line]) -> list[Line]:
    """Join what stands in one row, and return the rows from top to bottom."""
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: (-line.top, line.left)):
        middle = (line.top + line.bottom) / 2
        if rows and rows[-1][0].bottom < middle < rows[-1][0].top:
            rows[-1].append(line)
        else:
            rows.append([line])
    return [_joined_row(sorted(row, key=lambda line: line.left)) for row in rows]


def _joined_row(row: list[Line]) -> Line:
    largest = max(row, key=lambda line: len(line.text))
    text = " ".join(line.text.strip() for line in row)
    return Line(text, row[0].left, row[-1].right, largest.bottom, largest.top, largest.size)


class _Paragraphs:
    """Joins lines to paragraphs, also from one column or page to the next."""

    def __init__(self, body: float, levels: dict[int, int]) -> None:
        self._body = body
        self._levels = levels
        self._blocks: list[Block] = []
        self._open: list[str] = []
        self._level = 0

    def begin_page(self) -> int:
        """Return the index of the first block that begins on the page that follows."""
        return len(self._blocks) + bool(self._open)

    def add(self, column: list[Line]) -> None:
        """Take the lines of a column."""
        indent = _usual_left(column)
        right = max((line.right for line in column), default=0.0)
        pitch = _usual_pitch(column) or 1.4 * self._body
        before: Line | None = None
        for line in column:
            level = self._levels.get(round(line.size), 0) if len(line.text) <= _LONGEST_HEADING else 0
            if self._open and (level != self._level or self._begins(line, before, indent, right, pitch)):
                self._close()
            self._level = level
            self._open.append(line.text.strip())
            before = line

    def finish(self) -> list[Block]:
        self._close()
        return self._blocks

    def _begins(self, line: Line, before: Line | None, indent: float, right: float, pitch: float) -> bool:
        ended = _SENTENCE_END.search(self._open[-1]) is not None
        indented = line.left > indent + 0.7 * self._body
        if before is None:  # the top of a column or page
            continues = line.text[:1].islower() or (is_cjk(line.text[:1]) and not ended)
            return not (continues and not self._level)
        if before.top - line.top > max(1.35 * pitch, pitch + 0.4 * self._body):
            return True
        short = before.right < right - 0.15 * (right - indent)
        was_indented = before.left > indent + 0.7 * self._body
        return (indented and not was_indented and not self._level) or (ended and short and not self._level)

    def _close(self) -> None:
        if not self._open:
            return
        lines = SpokenLines(hyphens=True)
        text = lines.feed("\n".join(self._open)) + lines.finish()
        self._blocks.append(Block(_unwrapped(text), self._level))
        self._open = []


def _usual_left(column: list[Line]) -> float:
    counts: dict[int, int] = defaultdict(int)
    for line in column:
        counts[round(line.left / 2)] += 1
    return 2.0 * min((left for left, count in counts.items() if count >= max(counts.values()) / 3), default=0)


def _usual_pitch(column: list[Line]) -> float:
    return median([a.top - b.top for a, b in pairwise(column)] or [0.0])


def _unwrapped(text: str) -> str:
    """Join the lines of a paragraph: with a space, unless they are of a script without spaces."""
    joined = ""
    for line in filter(None, (line.strip() for line in text.split("\n"))):
        joined += f"{'' if not joined or (is_cjk(joined[-1]) and is_cjk(line[0])) else ' '}{line}"
    return joined
