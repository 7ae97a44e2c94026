"""Pending text: characters that are not in a finished piece yet, and where they may be cut if they grow too many."""

from voxcli.text.characters import OPENERS, CharacterProperties, is_speakable, properties_of
from voxcli.text.sentences.boundaries import LOOKBEHIND, is_bullet

_PREVIOUS_LENGTH = 12
"""Characters before a word that are examined."""


class PendingText:
    """Characters since the last cut."""

    def __init__(self) -> None:
        # A list and not a string, because it grows by one character at a time, and a run of spaces can be long.
        self.chars: list[str] = []
        self.columns = 0
        """Width from the first speakable character on; a run of white space counts as one."""
        self.speakable = False
        self.clause_break: int | None = None
        """The last position after a clause mark where it may be cut."""
        self.word_break: int | None = None
        """The last position between two words where it may be cut."""

    def append(self, char: str, properties: CharacterProperties) -> None:
        self.chars.append(char)
        if self.speakable:
            self.columns += properties.columns if not properties.space else 0
        elif properties.speakable:
            self.speakable = True
            self.columns = properties.columns
            self.clause_break = self.word_break = None

    def cut(self, index: int) -> str:
        """Remove and return everything before `index`."""
        piece = "".join(self.chars[:index])
        del self.chars[:index]
        self.speakable = is_speakable("".join(self.chars))
        self.columns = sum(properties_of(char).columns for char in self.chars) if self.speakable else 0
        self.clause_break = self._moved(self.clause_break, index)
        self.word_break = self._moved(self.word_break, index)
        return piece

    @property
    def ends_in_number(self) -> bool:
        """Whether a cut before the newest character would split a number."""
        before, newest = self.chars[-2:]
        return (newest.isdigit() and (before.isdigit() or before in ".,:")) or (before.isdigit() and newest in ".,:")

    def tail(self, start: int) -> str:
        """Return the last characters from `start` on, no more than are examined for end marks."""
        return "".join(self.chars[max(start, len(self.chars) - LOOKBEHIND) :])

    def word_before(self, index: int) -> str:
        """Return the word before this position, without its full stop."""
        words = "".join(self.chars[max(index - _PREVIOUS_LENGTH, 0) : index]).split()
        return words[-1].rstrip(".").lstrip(OPENERS) if words else ""

    def item_start(self, index: int) -> int:
        """Return the start of the list item whose number is at this position: its bullet, if it has one."""
        before = "".join(self.chars[:index]).rstrip()
        return len(before) - 1 if before and is_bullet(before[-1]) else index

    def _moved(self, place: int | None, index: int) -> int | None:
        if place is None or place <= index or not is_speakable("".join(self.chars[: place - index])):
            return None
        return place - index
