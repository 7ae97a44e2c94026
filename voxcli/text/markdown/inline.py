"""The marks inside a block of Markdown: emphasis, code, links, addresses, HTML, entities, formulas."""

import html
import re
from collections.abc import Callable
from string import punctuation
from typing import TypeAlias

from voxcli.text.characters import properties_of
from voxcli.text.markdown import links
from voxcli.text.markdown.links import find_formula
from voxcli.text.markdown.plain_text import Prose

WINDOW = 300
"""A mark that has not closed after so many characters is none."""

_SPECIAL = re.compile(rf"[\\`*_~\[<&$\n]|!(?=\[|\Z)|(?<![A-Za-z0-9]){links.ADDRESS_START}", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_ENTITY_SO_FAR = re.compile(r"&#?[A-Za-z0-9]{0,32}")
_CLOSED_CODE = re.compile(r"(`+)[^`]+\1")

Handler: TypeAlias = Callable[[str, bool], int]
"""Takes the text from a special character on, and whether no more of it is to be waited for. Returns how
many characters it has dealt with, or 0 if it needs more."""


class Inline:
    """Turns the inside of one block after another into plain text.

    Every decision is about a window of bounded length that begins at a special character, and is made
    as soon as no further text could change it. So it does not depend on how the text was cut.
    """

    def __init__(self) -> None:
        self._text = "\n"  # the last character that was dealt with, then those that were not
        self._before = "\n"  # what stands before the window
        self._prose = Prose()
        self._open = {"*": 0, "_": 0}
        self._until = ""  # what ends the comment or script that is open
        self._in_path = False  # of an address
        self._parens = 0  # that are open in it
        self._handlers: dict[str, Handler] = {
            "\\": self._escape,
            "`": self._code,
            "*": self._emphasis,
            "_": self._emphasis,
            "~": self._strike,
            "[": self._bracket,
            "!": self._image,
            "<": self._angle,
            "&": self._entity,
            "$": self._dollar,
            "\n": self._line_break,
        }

    @property
    def skipping(self) -> bool:
        """Whether a comment or a script is open; a blank line does not end it."""
        return bool(self._until)

    def feed(self, text: str) -> str:
        """Take more of the block; return what can be said."""
        self._text += text
        self._run(ended=False)
        return self._prose.said()

    def feed_literal(self, text: str) -> str:
        """Take text in which nothing is special, at the start of a block."""
        self._prose.say(text)
        return self._prose.said()

    def end_block(self) -> str:
        """Return the rest of the block. What is fed next is a new one."""
        self._run(ended=True)
        self._text = "\n" + (self._text[1:] if self._until else "")
        self._open = {"*": 0, "_": 0}
        self._in_path, self._parens = False, 0
        self._prose.end_block()
        return self._prose.said()

    def flush(self) -> str:
        """Return what can be said now that the writer has paused: all but a mark that is still open."""
        held = self._text[1:]
        closes = self._open.get(held[:1], 0) and not held.strip(held[0])
        if held == "!" or closes or _CLOSED_CODE.fullmatch(held):
            self._run(ended=True)
        self._prose.pause()
        return self._prose.said()

    def _run(self, *, ended: bool) -> None:
        text, at = self._text, 1
        while at < len(text):
            if self._until:
                used = self._skip(text, at)
            elif self._in_path:
                used = self._pass_path(text, at, ended=ended)
                if not self._in_path:
                    continue
            elif (special := _SPECIAL.search(text, at)) is None or special.start() > at:
                end = special.start() if special else len(text)
                self._prose.say(text[at:end])
                used = end - at
            else:
                window = text[at : at + WINDOW]
                self._before = text[at - 1]
                handler = self._handlers.get(text[at], self._address)
                used = handler(window, ended or len(window) == WINDOW)
            if not used:
                break
            at += used
        self._text = text[at - 1 :]

    def _skip(self, text: str, at: int) -> int:
        end = text.find(self._until, at)
        if end < 0:
            return max(len(text) - at - len(self._until) + 1, 0)
        end += len(self._until)
        self._until = ""
        return end - at

    def _pass_path(self, text: str, at: int, *, ended: bool) -> int:
        """Pass over the path of an address, but not over the punctuation that follows it."""
        if run := links.PATH_RUN.match(text, at):
            self._parens += run[0].count("(")
            return run.end() - at
        if self._parens and text[at] == ")":
            self._parens -= 1
            return 1
        marks = links.PATH_PUNCTUATION.match(text, at)
        if marks is not None and len(marks[0]) < links.MOST_PUNCTUATION:
            if marks.end() == len(text) and not ended:
                return 0
            if links.PATH_RUN.match(text, marks.end()):
                return marks.end() - at
        self._in_path, self._parens = False, 0
        return 0

    def _leave_out(self, length: int, *, blank: bool = False) -> int:
        self._prose.leave_out(blank=blank)
        return length

    def _literal(self, text: str, length: int | None = None) -> int:
        """Say a text as it is for the next `length` characters; none at all if they are yet to come."""
        self._prose.say(text.replace("\n", " "))
        return len(text) if length is None else length

    def _line_break(self, window: str, complete: bool) -> int:
        self._prose.break_line()
        return 1

    def _escape(self, window: str, complete: bool) -> int:
        escaped = window[1:2]
        if escaped == "\n":
            self._prose.break_line(hard=True)
            return 2
        end = find_formula(window, complete=complete)
        if end is not None:
            return self._literal(window[:end], end)
        if not escaped and not complete:
            return 0
        return self._literal(escaped, 2) if escaped and escaped in punctuation else self._literal("\\")

    def _code(self, window: str, complete: bool) -> int:
        ticks = _run_length(window)
        for run in re.finditer("`+", window[ticks:]):
            end = ticks + run.end()
            if len(run[0]) == ticks and (complete or end < len(window)):
                code = window[ticks : ticks + run.start()]
                if code.strip() and code[0] + code[-1] == "  ":
                    code = code[1:-1]  # the blanks are there to keep backticks apart
                return self._literal(code, end)
        return self._literal(window[:ticks]) if complete else 0

    def _emphasis(self, window: str, complete: bool) -> int:
        length = _run_length(window)
        if length == len(window) and not complete:
            return 0
        mark, run = window[0], window[:length]
        before, after = self._before, window[length : length + 1] or "\n"
        if not before.isspace() and self._open[mark] and not (mark == "_" and after.isalnum() and before.isalnum()):
            self._open[mark] = max(self._open[mark] - length, 0)
            return length
        if after.isspace() or (before.isdigit() and after.isdigit()):
            return self._literal(run)
        if before.isalnum() and not properties_of(before).unspaced:
            # Inside a word, as in 2*3 or un*believ*able: a mark only if it closes again.
            closes = mark == "*" and re.match(r"[^\s*]+\*", window[length:])
            if mark == "*" and not closes and not complete and re.fullmatch(r"[^\s*]*", window[length:]):
                return 0
            if not closes:
                return self._literal(run)
        elif mark == "_" and before.isalnum():
            return self._literal(run)
        elif mark == "*" and after == ".":
            return self._literal(run)  # as in "all *.py files"
        self._open[mark] += length
        return length

    def _strike(self, window: str, complete: bool) -> int:
        length = _run_length(window)
        if length == len(window) and not complete:
            return 0
        alone = self._before.isspace() and (window[length : length + 1] or "\n").isspace()
        return length if length == 2 and not alone else self._literal(window[:length])

    def _bracket(self, window: str, complete: bool) -> int:
        bracket = links.BRACKET.match(window)
        if bracket is None:
            return self._literal("[") if complete else 0
        label = bracket[0][1:-1]
        if re.fullmatch(r"\^\S+", label):
            return self._leave_out(bracket.end())
        end = links.find_target(window, 0, bracket.end(), complete=complete)
        if end is None:
            return self._literal("[")
        if end == links.MORE:
            return 0
        if end == links.GOES_ON:
            self._in_path, end = True, len(window)
        inner = Inline()
        return self._literal(inner.feed(label) + inner.end_block(), end)

    def _image(self, window: str, complete: bool) -> int:
        bracket = links.BRACKET.match(window, 1)
        if bracket is None:
            return self._literal("!") if complete else 0
        end = links.find_target(window, 1, bracket.end(), complete=complete)
        if end is None:
            return self._literal("!")
        if end == links.MORE:
            return 0
        if end == links.GOES_ON:
            self._in_path, end = True, len(window)
        return self._leave_out(end)

    def _angle(self, window: str, complete: bool) -> int:
        if window.startswith("<!--"):
            self._until = "-->"
            return self._leave_out(4)
        if address := links.AUTOLINK.match(window):
            return self._literal(links.host_of(address["address"]), address.end())
        if address := links.MAIL.match(window):
            return self._literal(address["address"], address.end())
        if tag := links.HTML.match(window):
            name = tag["name"] or ""
            if name.lower() in ("script", "style") and window[1] != "/":
                self._until = f"</{name}>"
            return self._leave_out(tag.end(), blank=links.SPACED_HTML.fullmatch(name) is not None)
        return 0 if not complete and links.HTML_SO_FAR.fullmatch(window) else self._literal("<")

    def _entity(self, window: str, complete: bool) -> int:
        if entity := _ENTITY.match(window):
            return self._literal(html.unescape(entity[0]), entity.end())
        return 0 if not complete and _ENTITY_SO_FAR.fullmatch(window) else self._literal("&")

    def _dollar(self, window: str, complete: bool) -> int:
        end = find_formula(window, complete=complete)
        return self._literal("$") if end is None else self._literal(window[:end], end)

    def _address(self, window: str, complete: bool) -> int:
        address = links.ADDRESS.match(window)
        if address is None:
            waits = not complete and links.ADDRESS_SO_FAR.fullmatch(window)
            return 0 if waits else self._literal(window[0])
        if address.end() == len(window) and not complete:
            return 0
        host = address["host"].rstrip(links.PUNCTUATION)
        start = address.start("host")
        if not any(char.isalnum() for char in host):
            return self._literal(window[:start])
        self._in_path = window[address.end() : address.end() + 1] in tuple("/?#")
        end = address.end() if self._in_path else start + len(host)
        return self._literal(links.host_of(window[:start] + host), end)


def _run_length(window: str) -> int:
    """Count how often the first character is repeated."""
    return len(window) - len(window.lstrip(window[0]))
