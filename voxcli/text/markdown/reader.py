"""Markdown reader: Markdown that may still be arriving to plain text for reading aloud.

Our own, because text must come out while a block is still arriving. markdown-it-py parses whole blocks, and would need
most of these rules again to tell which text is certain; its import alone takes as long as ours with all patterns
(40 ms). It is what the tests compare with: of inline Markdown drawn at random, 99 % have the same plain text, and the
differences by design are listed there.
"""

from voxcli.text.markdown.blocks import (
    MAX_UNDECIDED,
    Start,
    cells_of,
    defined_label,
    fence_of,
    heading_title,
    is_container,
    is_footnote,
    is_front_matter,
    is_rule,
    is_table_delimiter,
    start_of,
    without_alert,
)
from voxcli.text.markdown.inline import Inline
from voxcli.text.markdown.links import normalized_label

_BLANKS = " \t"
_BARE_BULLETS = ("-", "*", "+")


class SpeakableMarkdown:
    """Converts Markdown to plain text as it arrives, with a blank line between blocks.

    Omits code blocks, images, thematic breaks, and addresses except for their host. A line is held back until its first
    characters determine its kind, and as a whole only if it is a heading, a table row or the like; other text is
    returned as it arrives.
    """

    def __init__(self) -> None:
        self._out: list[str] = []
        self._definitions: set[str] = set()
        self._inline = Inline(self._definitions)
        self._wrote = False  # some text of this block has been written
        self._gap = False  # a blank line is due before the next block
        self._after_return = False
        # State of the line.
        self._line = ""  # the part held back, without the markers already consumed
        self._start = Start.UNDECIDED
        self._indented = False
        self._item = False  # a bullet precedes the rest
        self._quotes = 0
        self._is_heading = False
        # State of the blocks.
        self._inside = False  # in a paragraph
        self._depth = 0  # of its quote
        self._in_list = False
        self._in_table = False
        self._in_footnote = False
        self._after_blank = False
        self._fence = ""
        self._fence_depth = 0
        self._first_line = True
        self._front_matter = False

    def feed(self, text: str) -> str:
        """Take more text; return the plain text that is certain."""
        if not text:
            return ""
        if self._after_return and text[0] == "\n":
            text = text[1:]
        self._after_return = text.endswith("\r")
        self._feed_lines(text.replace("\r\n", "\n").replace("\r", "\n"))
        return self._certain()

    def flush(self) -> str:
        """Return the pending text, because the writer has paused. An open link or code block stays held back."""
        if self._start is not Start.TEXT and not (self._fence or self._front_matter or self._in_table):
            self._release_line()
        self._write(self._inline.flush())
        return self._certain()

    def _release_line(self) -> None:
        line = self._line.rstrip()
        if not line:
            if self._inside:
                # The last word of the previous line is complete.
                self._write(self._inline.feed("\n"))
        elif title := heading_title(line):
            self._end_block()
            self._is_heading = True
            self._begin_text(title)
        elif line.rstrip(".)").isdigit():
            self._begin_text(line)

    def finish(self) -> str:
        """Return the rest, because the text has ended."""
        if self._start is not Start.TEXT and self._line:
            self._take_line()
        self._end_block()
        return self._certain()

    @property
    def at_block_end(self) -> bool:
        """Whether a block has been returned completely, so that later text cannot continue its last sentence."""
        return self._gap

    def _certain(self) -> str:
        out, self._out = "".join(self._out), []
        return out

    def _write(self, text: str) -> None:
        if text:
            self._out.append("\n\n" + text if self._gap else text)
            self._gap, self._wrote = False, True

    def _end_block(self) -> None:
        self._write(self._inline.end_block())
        self._gap |= self._wrote
        self._wrote = self._inside = False

    def _feed_lines(self, text: str) -> None:
        at = 0
        while at < len(text):
            if self._start is Start.TEXT:
                end = text.find("\n", at)
                stop = len(text) if end < 0 else end
                if not self._in_footnote:
                    self._write(self._inline.feed(text[at:stop]))
                at = stop + 1
                if end >= 0:
                    self._end_text_line()
            else:
                if text[at] == "\n":
                    self._take_line()
                elif text[at] in _BLANKS and not self._line:
                    self._indented = True
                else:
                    self._line += text[at]
                    self._decide_start()
                at += 1

    def _new_line(self) -> None:
        self._line = ""
        self._start = Start.TEXT if self._inline.skipping else Start.UNDECIDED
        self._item = self._indented = self._is_heading = self._first_line = False
        self._quotes = 0

    def _decide_start(self) -> None:
        """Decide the kind of the line, if the held part is enough."""
        holds = bool(self._fence) or self._front_matter
        if len(self._line) > MAX_UNDECIDED:
            if holds:
                self._line = self._line[:MAX_UNDECIDED]
            else:
                self._begin_text(self._line)
            return
        if holds or self._start is Start.WHOLE:
            return
        while self._line:
            if self._in_table and self._line[0] != ">":
                self._start = Start.WHOLE
                return
            self._start, length = start_of(self._line, inside=self._inside, in_list=self._in_list, item=self._item)
            if self._start in (Start.UNDECIDED, Start.WHOLE):
                return
            if self._start is Start.TEXT:
                self._begin_text(self._line)
                return
            self._take_marker(length)

    def _take_marker(self, length: int) -> None:
        marker, self._line = self._line[:length], self._line[length:].lstrip(_BLANKS)
        if self._start is Start.QUOTE:
            self._quotes += 1
            if self._quotes <= self._depth and self._inside:
                return
        if self._start is not Start.TASK:
            self._end_block()
            self._depth = self._quotes
            self._in_footnote = False
        if self._start in (Start.BULLET, Start.NUMBER):
            self._in_list = self._item = True
        if self._start is Start.NUMBER:
            self._write(self._inline.feed_literal(marker))

    def _begin_text(self, text: str) -> None:
        self._line, self._start = "", Start.TEXT
        if self._in_footnote:
            return
        if not self._inside:
            text = without_alert(text) if self._quotes else text
            self._depth = self._quotes
            if self._after_blank and not self._indented and not self._item:
                self._in_list = False
        self._write(self._inline.feed("\n" + text if self._inside else text))
        self._inside, self._after_blank = True, False

    def _end_text_line(self) -> None:
        if self._inline.skipping:
            self._write(self._inline.feed("\n"))
            return
        if self._is_heading:
            self._end_block()
        self._new_line()

    def _take_line(self) -> None:
        """Process a line that was held back as a whole."""
        line = self._line.rstrip()
        if self._fence:
            self._take_code_line(line)
        elif self._front_matter:
            self._take_front_matter(line)
        elif self._first_line and line in ("---", "+++"):
            self._front_matter = True
        else:
            self._take_whole_line(line)
        if self._start is Start.TEXT:
            self._end_text_line()
        else:
            self._new_line()

    def _take_code_line(self, line: str) -> None:
        if self._fence_depth:
            if not line.startswith(">"):
                self._fence = ""
                self._take_again()
                return
            line = line.lstrip("> \t")
        if line.startswith(self._fence) and not line.strip(self._fence[0]):
            self._fence = ""

    def _take_front_matter(self, line: str) -> None:
        if line in ("---", "...", "+++"):
            self._front_matter = False
        elif not (line and (self._indented or is_front_matter(line))):
            # It was a thematic break and not front matter, or the end of the front matter is missing.
            self._front_matter = False
            self._take_again()

    def _take_again(self) -> None:
        """Process the held line again, after the state has changed."""
        line, self._line = self._line, ""
        self._start = Start.UNDECIDED
        self._feed_lines(line + "\n")

    def _take_whole_line(self, line: str) -> None:
        in_table, self._in_table = self._in_table, False
        if not line:
            self._end_block()
            self._in_footnote, self._after_blank = False, True
        elif is_rule(line, inside=self._inside) or (line in _BARE_BULLETS and not self._inside):
            self._end_block()
        elif is_table_delimiter(line):
            self._end_block()
            self._in_table = True
        elif fence := fence_of(line):
            self._end_block()
            self._fence, self._fence_depth = fence, self._quotes
        elif (title := heading_title(line)) is not None:
            self._take_block(title)
        elif cells := cells_of(line, in_table=in_table):
            self._in_table = True
            self._take_block(*cells)
        elif not self._inside and is_footnote(line):
            self._in_footnote = True
        elif in_table:
            self._take_again()
        elif not self._inside and (label := defined_label(line)) is not None:
            self._definitions.add(normalized_label(label))
        elif is_container(line):
            self._end_block()
        elif self._inside or not self._quotes or without_alert(line):
            self._begin_text(line)

    def _take_block(self, *texts: str) -> None:
        """Write a complete block: a heading, or the cells of a row."""
        self._end_block()
        plain = []
        for text in texts:
            inline = Inline(self._definitions)
            plain.append(inline.feed(text) + inline.end_block())
        self._write(", ".join(filter(None, plain)))
        self._end_block()
