"""Sentence splitter for text that may still be arriving.

Our own, because it splits while text arrives, and the result never depends on how the text was cut on its way. It is 13
times as fast as pysbd; tests/text/sentences/test_against_pysbd.py compares the two on each of pysbd's golden rules.
"""

from voxcli.text.characters import (
    CLAUSE_MARKS,
    CLOSERS,
    OPENERS,
    TIGHT_CLAUSE_MARKS,
    ZERO_WIDTH_JOINER,
    CharacterProperties,
    is_speakable,
    properties_of,
)
from voxcli.text.marks import MAX_TAG_LENGTH
from voxcli.text.sentences.boundaries import (
    Boundary,
    EndMarks,
    InlineList,
    find_end_marks,
    is_bullet,
    opens,
)
from voxcli.text.sentences.pending_text import PendingText

FIRST_COLUMNS = 60
"""A longer first piece is cut at a clause, so that audio starts early."""
COLUMNS = 240
"""A longer piece is cut at the best position available."""
MIN_COLUMNS = 8
WRAPPED_COLUMNS = 40
"""A shorter line was ended on purpose; a longer one may have been wrapped."""

_NEWLINES = {"\n": 1, "\u2028": 1, "\u2029": 2, "\f": 2}
_NO_BREAK_SPACES = (["\u00a0"], ["\u202f"])
_DASHES = ("-", "--")
_TITLES = {"《": "》", "〈": "〉", "『": "』"}
_MAY_CLOSE = [[char] for char in "“‘«‹-"]  # at the end of a word only


class SentenceSplitter:
    """Splits text that is still arriving into pieces to be spoken one after another.

    The joined pieces are the text. The state machine consumes one character at a time and ignores where a call of
    `feed` ends, so the pieces do not depend on how the text was cut on its way; only `flush` depends on time.
    """

    def __init__(self, *, first_columns: int = FIRST_COLUMNS, columns: int = COLUMNS) -> None:
        if min(first_columns, columns) < MIN_COLUMNS:
            raise ValueError(f"a piece must have room for {MIN_COLUMNS} columns")
        self._columns = columns
        self._limit = min(first_columns, columns)
        self._pieces: list[str] = []
        self._pending = PendingText()
        self._boundary: Boundary | None = None
        self._previous, self._joins = properties_of(" "), False  # after a zero-width joiner
        # A group is a run without white space; wide characters also begin a new word.
        self._group = self._word = 0
        self._group_speaks = False
        self._opens_line = True
        # For the gap before the next group.
        self._gap, self._newlines = True, 0
        self._ending: EndMarks | None = None
        self._after_clause = False
        self._short_line = True
        self._line_columns = 0
        self._list = InlineList()
        # Spans that must not be cut, and whether a straight quote is open.
        self._tag: int | None = None
        self._tag_end = "]"
        self._address = self._quoted = False

    @property
    def begun(self) -> str:
        """The beginning of the next piece, as far as it is certain."""
        end = self._boundary.cut if self._boundary else max(self._group, self._word)
        return "".join(self._pending.chars[:end])

    def feed(self, text: str) -> list[str]:
        """Take more text; return the pieces that are now certain."""
        for char in text:
            self._take(char)
        return self._certain()

    def flush(self) -> list[str]:
        """Return the pending text, because the writer has paused.

        A word that may go on and an open tag are held back. Such a word is returned if there is nothing else to say;
        such a tag never is.
        """
        pending = self._pending
        held = len(pending.chars)
        if self._tag is not None:
            held = self._tag
        elif self._previous.plain and not self._gap:
            held = self._word
        if pending.speakable and not is_speakable("".join(pending.chars[:held])):
            held = 0 if self._tag is not None else len(pending.chars)
        if pending.speakable and held:
            self._cut(held)
        return self._certain()

    def finish(self) -> list[str]:
        """Return the rest, because the text has ended."""
        if not self._gap:
            self._close_group("\n")
        if self._pending.chars:
            self._cut(len(self._pending.chars))
        return self._certain()

    def _certain(self) -> list[str]:
        pieces, self._pieces = self._pieces, []
        return pieces

    def _take(self, char: str) -> None:
        properties = properties_of(char)
        pending = self._pending
        if properties.space:
            self._take_space(char, properties)
            return
        if properties.attaches or self._joins:
            pending.append(char, properties)
            self._joins = char == ZERO_WIDTH_JOINER
            return
        if self._gap:
            self._open_group(char, properties)
        elif properties.unspaced or not self._previous.plain:
            self._check_between(char, properties)
        self._track(char, properties)
        pending.append(char, properties)
        boundary = self._boundary
        if boundary is not None:
            if boundary.lead is None and (properties.speakable or char == "["):
                boundary.lead = len(pending.chars) - 1
            self._settle("")
        if pending.columns > self._limit:
            self._shorten(char, properties)
        self._previous = properties

    def _take_space(self, char: str, properties: CharacterProperties) -> None:
        if not self._gap:
            self._close_group(char)
            self._gap = True
            self._address = False
        self._joins = False
        if char in _NEWLINES:
            if not self._newlines:
                self._short_line = self._line_columns < WRAPPED_COLUMNS
                self._line_columns = 0
            self._newlines += _NEWLINES[char]
            self._tag = None
        self._pending.append(char, properties)

    def _close_group(self, closed_by: str) -> None:
        if self._boundary is not None:
            self._settle(closed_by)
        self._ending, self._after_clause = None, False
        if self._previous.trailing or self._pending.chars[-1:] in _MAY_CLOSE:
            tail = self._pending.tail(self._group)
            ending = find_end_marks(tail, self._pending.word_before(self._group))
            listed = self._list.continues(tail, opens_line=self._opens_line)
            if listed and self._tag is None and closed_by not in _NEWLINES:
                start = self._pending.item_start(self._group)
                if is_speakable("".join(self._pending.chars[:start])):
                    self._cut(start)
            elif ending is not None and not (self._opens_line and ending.numbers_a_list):
                self._ending = ending
                self._tag = self._tag if self._in_title else None
            self._after_clause = tail in _DASHES or tail.rstrip(CLOSERS).endswith(tuple(CLAUSE_MARKS))

    def _open_group(self, char: str, properties: CharacterProperties) -> None:
        """Examine the white space before a new group."""
        pending, boundary, here = self._pending, self._boundary, len(self._pending.chars)
        newlines = self._newlines
        sure = newlines > 1 or (newlines == 1 and self._short_line)
        if boundary is not None:
            boundary.sure |= sure
            boundary.line |= newlines > 0
            if boundary.slides:
                boundary.cut, boundary.slides = here, False
                boundary.dots += self._ending is not None and self._ending.marks == "."
        elif pending.speakable and self._tag is None and (self._ending is not None or newlines):
            sure |= self._ending is not None and self._ending.hard
            self._boundary = Boundary(here, self._ending, sure, newlines > 0)
        if self._tag is None and not properties.trailing and pending.chars[-1:] not in _NO_BREAK_SPACES:
            self._allow_cut(here, clause=self._after_clause)
        if newlines:
            self._list.end()
            self._quoted &= newlines == 1
        self._opens_line = newlines > 0 or (self._opens_line and not self._group_speaks)
        self._group, self._word, self._group_speaks = here, here, False
        self._gap, self._newlines = False, 0
        self._line_columns += 1
        if pending.speakable:
            pending.columns += 1

    def _check_between(self, char: str, properties: CharacterProperties) -> None:
        """Examine the position between two characters without white space."""
        if properties.trailing and (char != '"' or self._quoted):
            return
        pending, previous, here = self._pending, self._previous, len(self._pending.chars)
        if not pending.chars or self._in_title:
            return
        tail = pending.tail(self._group) if previous.trailing else ""
        ending = find_end_marks(tail) if tail else None
        if ending is not None and ending.ends_before(char, in_address=self._address):
            self._tag = None
            if pending.speakable and self._boundary is None:
                self._boundary = Boundary(here, ending, sure=True, line=False)
        if self._tag is None and not self._address:
            clause = tail.rstrip(CLOSERS).endswith(tuple(TIGHT_CLAUSE_MARKS))
            if clause and not (char.isdigit() and pending.chars[-2:-1] and pending.chars[-2].isdigit()):
                self._allow_cut(here, clause=True)
            elif (previous.unspaced or properties.unspaced) and pending.chars[-1] not in OPENERS:
                self._allow_cut(here, clause=False)

    @property
    def _in_title(self) -> bool:
        """Whether the title of a book or film in 《》 is open, which may have end marks in it."""
        return self._tag is not None and self._tag_end != "]"

    def _track(self, char: str, properties: CharacterProperties) -> None:
        """Track tags, addresses, quotes and words."""
        chars = self._pending.chars
        here = len(chars)
        if char == "[" or (char in _TITLES and self._tag is None):
            self._tag, self._tag_end = here, _TITLES.get(char, "]")
        elif self._tag is not None and (char == self._tag_end or here - self._tag >= MAX_TAG_LENGTH):
            self._tag = None
        elif char == "/" and chars[-2:] == [":", "/"]:
            self._address = True
        elif char == '"':
            self._quoted = not self._quoted
        if char > "\x7f":
            self._address = False
            if properties.unspaced or (properties.columns == 2 and not properties.plain):
                self._word = here + 1
        self._group_speaks |= properties.speakable
        self._line_columns += properties.columns

    def _allow_cut(self, index: int, *, clause: bool) -> None:
        pending = self._pending
        if pending.speakable:
            pending.word_break = index
            # A short clause would leave nearly all of the length to the next piece.
            if clause and pending.columns * 4 >= self._limit:
                pending.clause_break = index

    def _settle(self, closed_by: str) -> None:
        """Decide whether a piece ends at the boundary, if enough of the following text is there."""
        boundary, pending = self._boundary, self._pending
        assert boundary is not None
        if boundary.lead is None:
            if closed_by:
                group = "".join(pending.chars[self._group :])
                if boundary.line and is_bullet(group):
                    self._cut(boundary.cut)
                elif not opens(group):
                    boundary.slides = True
            return
        verdict = boundary.verdict(pending.chars, closed_by)
        if verdict:
            self._cut(boundary.cut)
        elif verdict is False:
            self._boundary = None
            if boundary.ending is not None:
                self._allow_cut(boundary.cut, clause=True)

    def _shorten(self, char: str, properties: CharacterProperties) -> None:
        """Cut pending text that has grown too long with `char`; before that character if necessary."""
        pending = self._pending
        too_long = pending.columns > self._columns
        unbreakable = self._tag is not None or self._address or pending.ends_in_number
        if self._boundary is not None:
            if too_long:
                self._cut(self._boundary.cut)
        elif pending.clause_break is not None:
            self._cut(pending.clause_break)
        elif not too_long:
            return
        elif pending.word_break is not None:
            self._cut(pending.word_break)
        elif not unbreakable or pending.columns > 2 * self._columns:
            self._cut(len(pending.chars) - 1)

    def _cut(self, index: int) -> None:
        self._pieces.append(self._pending.cut(index))
        self._group = max(self._group - index, 0)
        self._word = max(self._word - index, 0)
        self._tag = self._tag - index if self._tag is not None and self._tag >= index else None
        self._boundary = None
        self._limit = self._columns


def split_sentences(text: str) -> list[str]:
    """Split a whole text into pieces to be spoken one after another."""
    splitter = SentenceSplitter()
    return splitter.feed(text) + splitter.finish()
