"""Delimiter runs of emphasis and highlights: which of them are marks and which are text.

The rules are those of CommonMark 0.31, "Emphasis and strong emphasis", and of GitHub's strikethrough for pairs.
"""

import unicodedata
from collections import deque
from dataclasses import dataclass

from voxcli.text.characters import properties_of
from voxcli.text.markdown.plain_text import PlainText

WINDOW = 300
"""Characters within which a mark must close to be one."""

_PAIRED = "~=+"


@dataclass(slots=True)
class Delimiter:
    """A run of one character that may open or close a span."""

    mark: str
    length: int
    count: int
    """Characters that are not part of a span so far."""
    opens: bool
    closes: bool
    both: bool
    """Whether it may open or close by the rules of CommonMark alone."""
    position: int
    """In the block."""


@dataclass(frozen=True, slots=True)
class Omission:
    """Something that is not read, such as an image."""

    blank: bool


@dataclass(frozen=True, slots=True)
class LineBreak:
    hard: bool


Item = str | Omission | LineBreak | Delimiter


class Spans:
    """Writes the items of a block as plain text, and holds back those after a delimiter that may open a span."""

    def __init__(self, plain: PlainText) -> None:
        self._plain = plain
        self._held: deque[Item] = deque()
        self._openers: list[Delimiter] = []
        # Marks that are taken for such though they have not closed yet, because too much text would have to wait.
        self._assumed: dict[str, int] = {}

    def add(self, item: Item) -> None:
        """Add what stands next in the block."""
        if isinstance(item, Delimiter):
            if item.closes:
                self._close(item)
            if item.count and item.opens:
                self._openers.append(item)
        self._held.append(item)
        self._release()

    def may_close(self, mark: str) -> bool:
        """Whether a run of this character would end an open span."""
        return self._assumed.get(mark, 0) > 0 or any(opener.mark == mark for opener in self._openers)

    def assume(self) -> None:
        """Take all open delimiters for marks, because the writer has paused."""
        for opener in self._openers:
            self._assume(opener)
        self._openers.clear()
        self._release()

    def end_block(self) -> None:
        """Write the rest: what has not closed is text."""
        self._openers.clear()
        self._assumed.clear()
        self._release()

    def advance(self, position: int) -> None:
        """Note how far the text has come: what has not closed within the window is taken for a mark."""
        while self._openers and position - self._openers[0].position > WINDOW:
            self._assume(self._openers.pop(0))
        self._release()

    def _assume(self, opener: Delimiter) -> None:
        self._assumed[opener.mark] = self._assumed.get(opener.mark, 0) + opener.count
        opener.count = 0

    def _close(self, closer: Delimiter) -> None:
        at = len(self._openers) - 1
        while closer.count >= _least(closer.mark) and at >= 0:
            opener = self._openers[at]
            if not _match(opener, closer):
                at -= 1
                continue
            del self._openers[at + 1 :]
            used = min(opener.count, closer.count, 2)
            opener.count -= used
            closer.count -= used
            if opener.count < _least(opener.mark):
                del self._openers[at]
                at -= 1
        if assumed := self._assumed.get(closer.mark, 0):
            used = min(assumed, closer.count)
            self._assumed[closer.mark] -= used
            closer.count -= used

    def _release(self) -> None:
        first = self._openers[0] if self._openers else None
        while self._held and self._held[0] is not first:
            item = self._held.popleft()
            if isinstance(item, str):
                self._plain.write(item)
            elif isinstance(item, LineBreak):
                self._plain.break_line(hard=item.hard)
            elif isinstance(item, Omission):
                self._plain.omit(blank=item.blank)
            elif item.count:
                self._plain.write(item.mark * item.count)


def _least(mark: str) -> int:
    return 2 if mark in "=+" else 1


def _match(opener: Delimiter, closer: Delimiter) -> bool:
    if opener.mark != closer.mark:
        return False
    if opener.mark in _PAIRED:
        return (opener.length == 1) == (closer.length == 1)
    # The rule of three, which reads "**a*b**" as one span and not as two.
    both, total = opener.both or closer.both, opener.length + closer.length
    return not (both and total % 3 == 0 and (opener.length % 3 or closer.length % 3))


def delimiter(run: str, before: str, after: str, position: int) -> Delimiter | None:
    """Return a run as a delimiter; None if it is text.

    Args:
        run: of one of * _ ~ = +
        before: the character before it; a line break at the start of a block.
        after: the character after it; a line break at the end of a block.
        position: of the run, in the block.
    """
    mark, length = run[0], len(run)
    if length < _least(mark) or (mark != "_" and before.isdigit() and after.isdigit()):
        return None  # 2*3*4 is a product
    space_before, space_after = before.isspace(), after.isspace()
    word_before, word_after = not _parts_words(before), not _parts_words(after)
    left = not space_after and (word_after or not word_before)
    right = not space_before and (word_before or not word_after)
    opens, closes = left, right
    if mark in "_=+":
        opens = left and (not right or not word_before)
        closes = right and (not left or not word_after)
    both = opens and closes
    if mark != "_":
        # Chinese and Japanese have no space beside a mark, which CommonMark does not know.
        opens = opens or (not space_after and properties_of(before).unspaced)
        closes = closes or (not space_before and properties_of(after).unspaced)
    return Delimiter(mark, length, length, opens, closes, both, position) if opens or closes else None


def _parts_words(char: str) -> bool:
    """Whether a character is white space or punctuation."""
    return char.isspace() or unicodedata.category(char)[0] in "PS"
