"""Inline Markdown: emphasis, code, links, addresses, HTML, entities and formulas inside a block."""

import html
import re
from collections.abc import Callable
from string import punctuation
from typing import TypeAlias

from voxcli.text.characters import properties_of
from voxcli.text.markdown import links
from voxcli.text.markdown.links import find_formula
from voxcli.text.markdown.plain_text import PlainText

WINDOW = 300
"""Characters within which a mark must close to be one."""

_SPECIAL = re.compile(rf"[\\`*_~\[<&$\n]|!(?=\[|\Z)|(?<![A-Za-z0-9]){links.ADDRESS_START}", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_ENTITY_SO_FAR = re.compile(r"&#?[A-Za-z0-9]{0,32}")
_CLOSED_CODE = re.compile(r"(`+)[^`]+\1")

Rule: TypeAlias = Callable[[str, bool], int]
"""Takes the text from a special character on, and whether it is complete. Returns the number of characters that it
has consumed, or 0 if it needs more."""


class Inline:
    """Turns the inline content of one block after another into plain text.

    Each decision depends on a window of bounded length that begins at a special character, and is made as soon as no
    further text can change it. So the result does not depend on how the text was cut.
    """

    def __init__(self) -> None:
        self._text = "\n"  # the last consumed character, then the pending ones
        self._before = "\n"  # the character before the window
        self._plain = PlainText()
        self._open = {"*": 0, "_": 0}
        self._until = ""  # the end mark of the open comment or script
        self._in_path = False  # inside the path of an address
        self._parens = 0  # open ones in the path
        self._rules: dict[str, Rule] = {
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
        """Whether a comment or a script is open, which a blank line does not end."""
        return bool(self._until)

    def feed(self, text: str) -> str:
        """Take more of the block; return the plain text that is certain."""
        self._text += text
        self._run(ended=False)
        return self._plain.take()

    def feed_literal(self, text: str) -> str:
        """Take text without marks, at the start of a block."""
        self._plain.write(text)
        return self._plain.take()

    def end_block(self) -> str:
        """Return the rest of the block. The next call of `feed` begins a new one."""
        self._run(ended=True)
        self._text = "\n" + (self._text[1:] if self._until else "")
        self._open = {"*": 0, "_": 0}
        self._in_path, self._parens = False, 0
        self._plain.end_block()
        return self._plain.take()

    def flush(self) -> str:
        """Return the pending text, because the writer has paused: all but a mark that is still open."""
        held = self._text[1:]
        closes = self._open.get(held[:1], 0) and not held.strip(held[0])
        if held == "!" or closes or _CLOSED_CODE.fullmatch(held):
            self._run(ended=True)
        self._plain.flush()
        return self._plain.take()

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
                self._plain.write(text[at:end])
                used = end - at
            else:
                window = text[at : at + WINDOW]
                self._before = text[at - 1]
                rule = self._rules.get(text[at], self._address)
                used = rule(window, ended or len(window) == WINDOW)
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
        """Skip the path of an address, but not the punctuation after it."""
        if run := links.PATH_RUN.match(text, at):
            self._parens += run[0].count("(")
            return run.end() - at
        if self._parens and text[at] == ")":
            self._parens -= 1
            return 1
        marks = links.PATH_PUNCTUATION.match(text, at)
        if marks is not None and len(marks[0]) < links.MAX_PUNCTUATION:
            if marks.end() == len(text) and not ended:
                return 0
            if links.PATH_RUN.match(text, marks.end()):
                return marks.end() - at
        self._in_path, self._parens = False, 0
        return 0

    def _omit(self, length: int, *, blank: bool = False) -> int:
        self._plain.omit(blank=blank)
        return length

    def _literal(self, text: str, length: int | None = None) -> int:
        """Write a text literally in place of the next `length` characters; by default of as many as it has."""
        self._plain.write(text.replace("\n", " "))
        return len(text) if length is None else length

    def _line_break(self, window: str, complete: bool) -> int:
        self._plain.break_line()
        return 1

    def _escape(self, window: str, complete: bool) -> int:
        escaped = window[1:2]
        if escaped == "\n":
            self._plain.break_line(hard=True)
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
                    code = code[1:-1]  # the spaces only separate the backticks
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
            # Inside a word, as in 2*3 or un*believ*able: emphasis only if it closes again.
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
            return self._omit(bracket.end())
        end = links.find_target(window, 0, bracket.end(), complete=complete)
        if end is None:
            return self._literal("[")
        if end == links.MORE:
            return 0
        if end == links.CONTINUES:
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
        if end == links.CONTINUES:
            self._in_path, end = True, len(window)
        return self._omit(end)

    def _angle(self, window: str, complete: bool) -> int:
        if window.startswith("<!--"):
            self._until = "-->"
            return self._omit(4)
        if address := links.AUTOLINK.match(window):
            return self._literal(links.host_of(address["address"]), address.end())
        if address := links.MAIL.match(window):
            return self._literal(address["address"], address.end())
        if tag := links.HTML.match(window):
            name = tag["name"] or ""
            if name.lower() in ("script", "style") and window[1] != "/":
                self._until = f"</{name}>"
            return self._omit(tag.end(), blank=links.SPACED_HTML.fullmatch(name) is not None)
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
    """Return the length of the run of the first character."""
    return len(window) - len(window.lstrip(window[0]))
