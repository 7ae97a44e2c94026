"""Terminal output as text: escape sequences are left out, and what a program has overwritten is dropped.

Programs write both into pipes as well: colours, links, spinners, and the progress of a download over and over into the
same line. Control sequences are those of ECMA-48; what ends a string of them is as in xterm.
"""

import re
from itertools import takewhile

_INTRODUCERS = {"[": "\x9b", "]": "\x9d", "P": "\x90", "X": "\x98", "^": "\x9e", "_": "\x9f"}
"""What follows an escape character, and the single character that means the same."""
_CONTROL = re.compile("[\x00-\x08\x0d-\x1f\x7f-\x84\x86-\x9f]")
_SEQUENCE = re.compile(r"(?P<number>\d*)[0-?]*[ -/]*(?P<final>[@-~])?")
_SHORT_SEQUENCE = re.compile(r"[ -/]*(?P<final>[0-~])?")
_MAX_SEQUENCE = 64
_STRING_END = re.compile("\x07|\x9c|\x1b\\\\|(?=\n|\x1b[^\\\\])")
_WINDOWS = str.maketrans({"\x91": "‘", "\x92": "’", "\x93": "“", "\x94": "”", "\x96": "–", "\x97": "—"})
"""Characters of Windows-1252 that were taken for Latin-1. Terminals have no use for these codes."""

_CALM, _TERMINAL = 60, 300
"""Characters of a line that may still be overwritten: in plain text, and once there was a control character."""
_SENTENCE_END = re.compile(r"(?:[.!?…][\"'”’)\]*_]*\s(?:[^\W\d]|[\"'“‘(*])|[。！？])\Z")
_SPINNER = "⠀-⣿◐-◓◴-◷▖-▟←-↙"
_PROGRESS = re.compile(rf"\d\s*%|\d\s*/\s*\d|[{_SPINNER}]|[█▓▒░#=]{{3}}|(?:\.\.|…)\s*\Z|(?:^|\s)[-\\|/]\s*\Z")


class TerminalText:
    """Turns terminal output that is still arriving into text.

    The beginning of a line is held back while it may be overwritten, though not beyond the end of a sentence. How the
    text was cut on its way makes no difference.
    """

    def __init__(self) -> None:
        self._sequence = ""  # a control sequence that is not complete
        self._in_string = False
        self._line: list[str] = []  # the part of the line that may be overwritten
        self._cursor = 0
        self._earlier = ""  # the same line before a carriage return
        self._returned = False  # a carriage return, which may be half of a line break
        self._released = False  # the beginning of the line has been returned
        self._limit = _CALM
        self._out: list[str] = []

    @property
    def held(self) -> str:
        """The beginning of a line, which may be overwritten."""
        return "".join(self._line)

    def feed(self, text: str) -> str:
        """Take more text; return what is certain."""
        if not text.isascii():
            text = text.translate(_WINDOWS)
        text, self._sequence = self._sequence + text, ""
        at = 0
        while at < len(text):
            if self._in_string:
                at = self._skip_string(text, at)
                continue
            control = _CONTROL.search(text, at)
            end = control.start() if control else len(text)
            self._write(text[at:end])
            at = end
            if control:
                after = self._take_control(text, at)
                if not after:
                    self._sequence = text[at:]
                    break
                at = after
        return self._take()

    def flush(self) -> str:
        """Return the text that was held back, because the writer has paused."""
        if self._line or self._earlier:
            self._release()
        return self._take()

    def finish(self) -> str:
        """Return the rest, because the text has ended."""
        self._release()
        return self._take()

    def _take(self) -> str:
        out, self._out = "".join(self._out), []
        return out

    def _write(self, text: str) -> None:
        for run in re.findall(r"[^\n]+|\n", text):
            if run == "\n":
                self._returned = False
                self._end_line()
                continue
            self._return_cursor()
            for at, char in enumerate(run):
                if self._released and self._limit == _CALM:
                    self._out.append(run[at:])
                    break
                self._line[self._cursor : self._cursor + 1] = [char]
                self._cursor += 1
                if self._cursor == len(self._line) and self._is_certain():
                    self._release()

    def _is_certain(self) -> bool:
        """Whether the line so far is text, now that a character was written at its end."""
        if len(self._line) >= self._limit:
            return True
        return not self._earlier and _SENTENCE_END.search("".join(self._line[-8:])) is not None

    def _end_line(self) -> None:
        self._release()
        self._out.append("\n")
        self._released = False

    def _release(self) -> None:
        line, earlier = "".join(self._line), self._earlier
        if earlier and not line:
            line = earlier  # the cursor has only moved
        elif earlier.strip() and not _overwrites(line, earlier):
            line = f"{earlier}\n{line}"
        elif earlier and not line.strip():
            line = ""
        self._out.append(line)
        self._line, self._cursor, self._earlier, self._released = [], 0, "", True

    def _return_cursor(self) -> None:
        """Move the cursor to the beginning of the line, if a carriage return has come that ends no line."""
        if not self._returned:
            return
        self._returned = False
        if self._released and not self._line:
            self._end_line()
        line, earlier = "".join(self._line), self._earlier
        if line:
            if earlier.strip() and not _overwrites(line, earlier):
                self._out.append(f"{earlier}\n")
            self._earlier = line if line.strip() else ""
        self._line, self._cursor, self._limit = [], 0, _TERMINAL

    def _take_control(self, text: str, at: int) -> int:
        """Obey the control character at an index; return the index after its sequence, or 0 if that is not complete."""
        char, start = text[at], at + 1
        if char == "\r":
            self._returned = True
        elif char == "\b":
            self._cursor = max(self._cursor - 1, 0)
        elif char == "\x1b":
            if start == len(text):
                return 0
            char = _INTRODUCERS.get(text[start], "")
            if not char:
                short = _SHORT_SEQUENCE.match(text, start)
                assert short is not None  # it may be empty
                return 0 if short["final"] is None and short.end() == len(text) else short.end()
            start += 1
        elif char in "\x90\x9d" and start == len(text):
            return 0
        elif char in "\x98\x9e\x9f" or (char in "\x90\x9d" and not text[start].isdigit()):
            return start  # more likely a letter in a wrong encoding
        if char == "\x9b":
            sequence = _SEQUENCE.match(text, start)
            assert sequence is not None  # it may be empty
            if sequence["final"] is None and sequence.end() == len(text) and len(text) - at < _MAX_SEQUENCE:
                return 0
            self._move(sequence["final"] or "", int(sequence["number"] or 0))
            return sequence.end()
        self._in_string = char in _INTRODUCERS.values()
        return start

    def _skip_string(self, text: str, at: int) -> int:
        if end := _STRING_END.search(text, at):
            self._in_string = False
            return end.end()
        self._sequence = "\x1b" if text[-1] == "\x1b" else ""
        return len(text)

    def _move(self, final: str, number: int) -> None:
        """Move the cursor, or erase a part of the line."""
        self._limit = _TERMINAL
        if final == "G" and number < 2:
            self._returned = True
        elif final in "KJ" and final:
            self._erase(number)
        elif final in "CDG" and final:
            self._return_cursor()
            step = {"C": self._cursor + max(number, 1), "D": self._cursor - max(number, 1), "G": number - 1}[final]
            self._cursor = min(max(step, 0), _TERMINAL)
            self._line += " " * (self._cursor - len(self._line))
        elif final in "ABEFHd" and final and (self._line or self._earlier or self._released):
            self._returned = False
            self._end_line()

    def _erase(self, number: int) -> None:
        if number >= 2 or self._returned or not self._cursor:
            if self._released and not self._line:
                self._end_line()
            self._line, self._cursor, self._earlier, self._returned = [], 0, "", False
        elif number == 1:
            self._line[: self._cursor] = " " * self._cursor
        else:
            del self._line[self._cursor :]


def _overwrites(line: str, earlier: str) -> bool:
    """Whether a line shows a later state of the same thing, and is not the next line of a text."""
    shared = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(line, earlier, strict=False))))
    return _PROGRESS.search(earlier) is not None or not line.strip() or 2 * shared >= min(len(line), len(earlier))


def without_terminal_codes(text: str) -> str:
    """Return the text of a whole terminal output."""
    reader = TerminalText()
    return reader.feed(text) + reader.finish()
