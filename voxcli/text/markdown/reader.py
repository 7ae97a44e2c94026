"""Markdown that may still be arriving, made into plain text to be read aloud."""

from voxcli.text.markdown.blocks import (
    LONGEST_LINE,
    Start,
    cells_of,
    fence_of,
    heading_title,
    is_footnote,
    is_front_matter,
    is_rule,
    is_table_delimiter,
    is_unread,
    start_of,
)
from voxcli.text.markdown.inline import Inline

_BLANKS = " \t"
_BARE_BULLETS = ("-", "*", "+")


class SpeakableMarkdown:
    """Turns Markdown that is still arriving into plain text, with a blank line between its blocks.

    What nobody reads aloud is left out: code blocks, images, rules, addresses but for their host. A line is held
    back until its first characters tell what it is, and whole only if it is a heading, a row of a table or
    such; text is given out as it comes.
    """

    def __init__(self) -> None:
        self._out: list[str] = []
        self._inline = Inline()
        self._said = False  # something of this block
        self._gap = False  # before the next block
        self._after_return = False
        # Of the line.
        self._line = ""  # what is held of it, without the markers that were dealt with
        self._start = Start.UNDECIDED
        self._indented = False
        self._item = False  # a bullet stands before the rest
        self._quotes = 0
        self._is_heading = False
        # Of the blocks.
        self._inside = False  # a paragraph
        self._depth = 0  # of the quote that it is in
        self._in_list = False
        self._in_table = False
        self._in_footnote = False
        self._after_blank = False
        self._fence = ""
        self._fence_depth = 0
        self._first_line = True
        self._front_matter = False

    def feed(self, text: str) -> str:
        """Take more text; return what is certain to be read."""
        if not text:
            return ""
        if self._after_return and text[0] == "\n":
            text = text[1:]
        self._after_return = text.endswith("\r")
        self._feed_lines(text.replace("\r\n", "\n").replace("\r", "\n"))
        return self._certain()

    def flush(self) -> str:
        """Return what is there so far, because the writer has paused. What is open stays held: a link, a fence."""
        if self._start is not Start.TEXT and not (self._fence or self._front_matter or self._in_table):
            self._release_line()
        self._say(self._inline.flush())
        return self._certain()

    def _release_line(self) -> None:
        line = self._line.rstrip()
        if not line:
            if self._inside:
                # The last word of the line before is complete, whatever comes.
                self._say(self._inline.feed("\n"))
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
        """Whether a block has been given out in full, so that nothing fed later can go on with its last sentence."""
        return self._gap

    def _certain(self) -> str:
        out, self._out = "".join(self._out), []
        return out

    def _say(self, text: str) -> None:
        if text:
            self._out.append("\n\n" + text if self._gap else text)
            self._gap, self._said = False, True

    def _end_block(self) -> None:
        self._say(self._inline.end_block())
        self._gap |= self._said
        self._said = self._inside = False

    def _feed_lines(self, text: str) -> None:
        at = 0
        while at < len(text):
            if self._start is Start.TEXT:
                end = text.find("\n", at)
                stop = len(text) if end < 0 else end
                if not self._in_footnote:
                    self._say(self._inline.feed(text[at:stop]))
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
                    self._look_at_start()
                at += 1

    def _new_line(self) -> None:
        self._line = ""
        self._start = Start.TEXT if self._inline.skipping else Start.UNDECIDED
        self._item = self._indented = self._is_heading = self._first_line = False
        self._quotes = 0

    def _look_at_start(self) -> None:
        """See whether what is held of the line tells what it is."""
        holds = bool(self._fence) or self._front_matter
        if len(self._line) > LONGEST_LINE:
            if holds:
                self._line = self._line[:LONGEST_LINE]
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
            self._say(self._inline.feed_literal(marker))

    def _begin_text(self, text: str) -> None:
        self._line, self._start = "", Start.TEXT
        if self._in_footnote:
            return
        if not self._inside:
            self._depth = self._quotes
            if self._after_blank and not self._indented and not self._item:
                self._in_list = False
        self._say(self._inline.feed("\n" + text if self._inside else text))
        self._inside, self._after_blank = True, False

    def _end_text_line(self) -> None:
        if self._inline.skipping:
            self._say(self._inline.feed("\n"))
            return
        if self._is_heading:
            self._end_block()
        self._new_line()

    def _take_line(self) -> None:
        """Take a line that was held until its end."""
        line = self._line.rstrip()
        if self._fence:
            self._take_code_line(line)
        elif self._front_matter:
            self._take_front_matter(line)
        elif self._first_line and line == "---":
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
        if line in ("---", "..."):
            self._front_matter = False
        elif not (line and (self._indented or is_front_matter(line))):
            # It was a rule and not front matter, or a careless author left out the end of it.
            self._front_matter = False
            self._take_again()

    def _take_again(self) -> None:
        """Look at the start of the line that is held once more, now that the state has changed."""
        line, self._line = self._line, ""
        self._start = Start.UNDECIDED
        self._feed_lines(line + "\n")

    def _take_whole_line(self, line: str) -> None:
        in_table, self._in_table = self._in_table, False
        if not line:
            self._end_block()
            self._in_footnote, self._after_blank = False, True
        elif is_rule(line, inside=self._inside) or line in _BARE_BULLETS:
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
        elif self._inside or not is_unread(line, quoted=self._quotes > 0):
            self._begin_text(line)

    def _take_block(self, *texts: str) -> None:
        """Say a block that is all there: a heading, or the cells of a row."""
        self._end_block()
        said = []
        for text in texts:
            inline = Inline()
            said.append(inline.feed(text) + inline.end_block())
        self._say(", ".join(filter(None, said)))
        self._end_block()


def speakable_markdown(text: str) -> str:
    """Turn a whole text in Markdown into plain text to be read aloud."""
    markdown = SpeakableMarkdown()
    return markdown.feed(text) + markdown.finish()
