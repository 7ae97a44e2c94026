"""Sentences out of text that may still be arriving."""

from voxcli.text.characters import (
    CLAUSE_MARKS,
    CLOSERS,
    OPENERS,
    TIGHT_CLAUSE_MARKS,
    ZERO_WIDTH_JOINER,
    Trait,
    is_speakable,
    trait_of,
)
from voxcli.text.marks import LONGEST_TAG
from voxcli.text.sentences.boundaries import LONGEST_TAIL, Boundary, Ending, find_ending, is_bullet, opens
from voxcli.text.sentences.draft import Draft

__all__ = ["SentenceSplitter", "is_speakable", "split_sentences"]

FIRST_COLUMNS = 60
"""A first piece longer than this is cut at a clause, so that sound starts early."""
COLUMNS = 240
"""A piece longer than this is cut wherever it hurts least."""
LEAST_COLUMNS = 8
LONG_LINE = 40
"""A line of fewer columns was ended on purpose; a longer one may have been wrapped."""

_NEWLINES = {"\n": 1, "\u2028": 1, "\u2029": 2, "\f": 2}
_NO_BREAK_SPACES = (["\u00a0"], ["\u202f"])
_DASHES = ("-", "--")
_MAY_CLOSE = [[char] for char in "“‘«‹-"]  # at the end of a word; elsewhere they open or join


class SentenceSplitter:
    """Cuts text that is still arriving into pieces to be spoken one after another.

    Joined, the pieces are the text. It walks over the text character by character and never asks where
    a feed ends, so it makes no difference how the text was cut on its way; only `flush` depends on time.
    """

    def __init__(self, *, first_columns: int = FIRST_COLUMNS, columns: int = COLUMNS) -> None:
        if min(first_columns, columns) < LEAST_COLUMNS:
            raise ValueError(f"a piece must have room for {LEAST_COLUMNS} columns")
        self._columns = columns
        self._limit = min(first_columns, columns)
        self._pieces: list[str] = []
        self._draft = Draft()
        self._boundary: Boundary | None = None
        self._previous = trait_of(" ")
        self._joins = False  # after a zero-width joiner
        # A group is a run without white space; a word begins anew after a wide character as well.
        self._group = 0
        self._word = 0
        self._group_speaks = False
        self._opens_line = True
        # What the gap before the next group will have to know.
        self._gap = True
        self._newlines = 0
        self._ending: Ending | None = None
        self._after_clause = False
        self._short_line = True
        self._line_columns = 0
        # What must not be cut, and whether a straight quote is open.
        self._tag: int | None = None
        self._address = False
        self._quoted = False

    def feed(self, text: str) -> list[str]:
        """Take more text; return the pieces that are now certain."""
        for char in text:
            self._take(char)
        return self._certain()

    def flush(self) -> list[str]:
        """Return what is there so far, because the writer has paused.

        A word that may go on and a tag that has not closed are held back. Such a word is given out if
        there is nothing else to say; such a tag never is.
        """
        draft = self._draft
        held = len(draft.chars)
        if self._tag is not None:
            held = self._tag
        elif self._previous.plain and not self._gap:
            held = self._word
        if draft.speakable and not is_speakable("".join(draft.chars[:held])):
            held = 0 if self._tag is not None else len(draft.chars)
        if draft.speakable and held:
            self._cut(held)
        return self._certain()

    def finish(self) -> list[str]:
        """Return all that is left, because the text has ended."""
        if not self._gap:
            self._close_group("\n")
        if self._draft.chars:
            self._cut(len(self._draft.chars))
        return self._certain()

    def _certain(self) -> list[str]:
        pieces, self._pieces = self._pieces, []
        return pieces

    def _take(self, char: str) -> None:
        trait = trait_of(char)
        draft = self._draft
        if trait.space:
            self._take_space(char, trait)
            return
        if trait.attaches or self._joins:
            draft.append(char, trait)
            self._joins = char == ZERO_WIDTH_JOINER
            return
        if self._gap:
            self._open_group(char, trait)
        elif trait.unspaced or not self._previous.plain:
            self._look_between(char, trait)
        self._note(char, trait)
        draft.append(char, trait)
        boundary = self._boundary
        if boundary is not None:
            if boundary.lead is None and (trait.speakable or char == "["):
                boundary.lead = len(draft.chars) - 1
            self._settle("")
        if draft.columns > self._limit:
            self._shorten(char, trait)
        self._previous = trait

    def _take_space(self, char: str, trait: Trait) -> None:
        if not self._gap:
            self._close_group(char)
            self._gap = True
            self._address = False
        self._joins = False
        if char in _NEWLINES:
            if not self._newlines:
                self._short_line = self._line_columns < LONG_LINE
                self._line_columns = 0
            self._newlines += _NEWLINES[char]
            self._tag = None
        self._draft.append(char, trait)

    def _close_group(self, closed_by: str) -> None:
        if self._boundary is not None:
            self._settle(closed_by)
        self._ending = None
        self._after_clause = False
        if self._previous.trailing or self._draft.chars[-1:] in _MAY_CLOSE:
            tail = self._tail()
            ending = find_ending(tail)
            if ending is not None and not (self._opens_line and ending.numbers_a_list):
                self._ending = ending
                self._tag = None
            self._after_clause = tail in _DASHES or tail.rstrip(CLOSERS).endswith(tuple(CLAUSE_MARKS))

    def _tail(self) -> str:
        chars = self._draft.chars
        return "".join(chars[max(self._group, len(chars) - LONGEST_TAIL) :])

    def _open_group(self, char: str, trait: Trait) -> None:
        """Look at the white space that a new group is about to follow."""
        draft, boundary, here = self._draft, self._boundary, len(self._draft.chars)
        newlines = self._newlines
        sure = newlines > 1 or (newlines == 1 and self._short_line)
        if boundary is not None:
            boundary.sure |= sure
            boundary.line |= newlines > 0
            if boundary.slides:
                boundary.cut, boundary.slides = here, False
        elif draft.speakable and self._tag is None and (self._ending is not None or newlines):
            sure |= self._ending is not None and self._ending.hard
            self._boundary = Boundary(here, self._ending, sure, newlines > 0)
        if self._tag is None and not trait.trailing and draft.chars[-1:] not in _NO_BREAK_SPACES:
            self._offer(here, clause=self._after_clause)
        if newlines > 1:
            self._quoted = False
        self._opens_line = newlines > 0 or (self._opens_line and not self._group_speaks)
        self._group, self._word, self._group_speaks = here, here, False
        self._gap, self._newlines = False, 0
        self._line_columns += 1
        if draft.speakable:
            draft.columns += 1

    def _look_between(self, char: str, trait: Trait) -> None:
        """Look at the place before a character that follows another without white space."""
        if trait.trailing and (char != '"' or self._quoted):
            return
        draft, previous, here = self._draft, self._previous, len(self._draft.chars)
        if not draft.chars:
            return
        tail = self._tail() if previous.trailing else ""
        ending = find_ending(tail) if tail else None
        if ending is not None and self._ends_tightly(ending, char, trait):
            self._tag = None
            if draft.speakable and self._boundary is None:
                self._boundary = Boundary(here, ending, sure=True, line=False)
        if self._tag is None and not self._address:
            clause = tail.rstrip(CLOSERS).endswith(tuple(TIGHT_CLAUSE_MARKS))
            if clause and not (char.isdigit() and draft.chars[-2:-1] and draft.chars[-2].isdigit()):
                self._offer(here, clause=True)
            elif (previous.unspaced or trait.unspaced) and draft.chars[-1] not in OPENERS:
                self._offer(here, clause=False)

    def _ends_tightly(self, ending: Ending, char: str, trait: Trait) -> bool:
        if ending.hard:
            return True
        if self._address or not (trait.unspaced or (trait.columns == 2 and char in OPENERS)):
            return False
        return ending.marks != "." or trait_of(ending.word[-1:] or " ").unspaced

    def _note(self, char: str, trait: Trait) -> None:
        """Keep the book about tags, addresses, quotes and words."""
        chars = self._draft.chars
        here = len(chars)
        if char == "[":
            self._tag = here
        elif self._tag is not None and (char == "]" or here - self._tag >= LONGEST_TAG):
            self._tag = None
        elif char == "/" and chars[-2:] == [":", "/"]:
            self._address = True
        elif char == '"':
            self._quoted = not self._quoted
        if char > "\x7f":
            self._address = False
            if trait.unspaced or (trait.columns == 2 and not trait.plain):
                self._word = here + 1
        self._group_speaks |= trait.speakable
        self._line_columns += trait.columns

    def _offer(self, index: int, *, clause: bool) -> None:
        draft = self._draft
        if draft.speakable:
            draft.seam = index
            # A clause that is over too soon would leave nearly all of the length to the next piece.
            if clause and draft.columns * 4 >= self._limit:
                draft.clause = index

    def _settle(self, closed_by: str) -> None:
        """Decide about the boundary, if enough of what follows it is there."""
        boundary, draft = self._boundary, self._draft
        assert boundary is not None
        if boundary.lead is None:
            if closed_by:
                group = "".join(draft.chars[self._group :])
                if boundary.line and is_bullet(group):
                    self._cut(boundary.cut)
                elif not opens(group):
                    boundary.slides = True
            return
        verdict = boundary.verdict(draft.chars, closed_by)
        if verdict:
            self._cut(boundary.cut)
        elif verdict is False:
            self._boundary = None
            if boundary.ending is not None:
                self._offer(boundary.cut, clause=True)

    def _shorten(self, char: str, trait: Trait) -> None:
        """Cut a draft that has grown too long with `char`; before that character if need be."""
        draft = self._draft
        too_long = draft.columns > self._columns
        if self._boundary is not None:
            if too_long:
                self._cut(self._boundary.cut)
        elif draft.clause is not None:
            self._cut(draft.clause)
        elif not too_long:
            return
        elif draft.seam is not None:
            self._cut(draft.seam)
        elif not self._in_one_piece() or draft.columns > 2 * self._columns:
            self._cut(len(draft.chars) - 1)

    def _in_one_piece(self) -> bool:
        """Say whether a cut before the newest character would go through a tag, an address or a number."""
        before, newest = self._draft.chars[-2:]
        in_number = before.isdigit() and (newest.isdigit() or newest in ".,:")
        return self._tag is not None or self._address or in_number or (before in ".,:" and newest.isdigit())

    def _cut(self, index: int) -> None:
        self._pieces.append(self._draft.cut(index))
        self._group = max(self._group - index, 0)
        self._word = max(self._word - index, 0)
        self._tag = self._tag - index if self._tag is not None and self._tag >= index else None
        self._boundary = None
        self._limit = self._columns


def split_sentences(text: str) -> list[str]:
    """Cut a whole text into pieces to be spoken one after another."""
    splitter = SentenceSplitter()
    return splitter.feed(text) + splitter.finish()
