"""Inline Markdown: emphasis, code, links, addresses, HTML, entities and formulas inside a block."""

import re
from collections.abc import Callable, Container
from string import punctuation
from typing import TypeAlias

from voxcli.text.markdown import links, signs
from voxcli.text.markdown.delimiters import WINDOW, Item, LineBreak, Omission, Spans, delimiter
from voxcli.text.markdown.formulas import find_formula, spoken_formula
from voxcli.text.markdown.plain_text import PlainText
from voxcli.text.marks import is_mark

_SPECIAL = re.compile(
    r"[\\`*_~\[<&$\n]|==|\+\+|[=+]\Z|!(?=\[|\Z)|(?<![A-Za-z0-9:]):(?=[a-z+-]|\Z)|(?<=\s)\|(?=\s|\Z)|\((?=\[|\Z)"
    rf"|(?<![A-Za-z0-9]){links.ADDRESS_START}",
    re.IGNORECASE,
)
_SHORT_CODE = re.compile(r":[a-z0-9+-][a-z0-9_+-]{0,30}[a-z0-9]:(?![a-z0-9:])")
_SHORT_CODE_SO_FAR = re.compile(r":(?:[a-z0-9+-][a-z0-9_+-]{0,31}:?)?")

Rule: TypeAlias = Callable[[str, bool], int]
"""Takes the text from a special character on, and whether it is complete. Returns the number of characters that it
has consumed, or 0 if it needs more."""


class Inline:
    """Turns the inline content of one block after another into plain text.

    Each decision depends on a window of bounded length that begins at a special character, and is made as soon as no
    further text can change it. So the result does not depend on how the text was cut.
    """

    def __init__(self, definitions: Container[str] = ()) -> None:
        """definitions: the labels of link references that were defined so far."""
        self.has_link = False
        """Whether the text has a link."""
        self._definitions = definitions
        self._text = "\n"  # the last consumed character, then the pending ones
        self._before = "\n"  # the character before the window
        self._position = 0  # of the window in the block
        self._plain = PlainText()
        self._spans = Spans(self._plain)
        self._until = ""  # the end mark of the open comment or script
        self._path = links.AddressPath()
        self._rules: dict[str, Rule] = {
            "\\": self._escape,
            "`": self._literally(signs.read_code),
            **dict.fromkeys("*_~=+", self._delimiter),
            "[": self._bracket,
            "!": self._image,
            "<": self._angle,
            "&": self._literally(signs.read_entity),
            "$": self._literally(signs.read_formula),
            ":": self._short_code,
            "|": self._bar,
            "(": self._parenthesis,
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

    def read(self, text: str) -> str:
        """Return the plain text of a label, with the spaces around it."""
        before, after = (" " if end.isspace() else "" for end in (text[:1], text[-1:]))
        return before + self.feed(text) + self.end_block() + after

    def feed_literal(self, text: str) -> str:
        """Take text without marks, at the start of a block."""
        self._add(text)
        return self._plain.take()

    def end_block(self) -> str:
        """Return the rest of the block. The next call of `feed` begins a new one."""
        self._run(ended=True)
        self._text = "\n" + (self._text[1:] if self._until else "")
        self._path, self._position = links.AddressPath(), 0
        self._spans.end_block()
        self._plain.end_block()
        return self._plain.take()

    def flush(self) -> str:
        """Return the pending text, because the writer has paused: all but a mark that is still open."""
        held = self._text[1:]
        closes = held and not held.strip(held[0]) and self._spans.may_close(held[0])
        if held in ("!", "=", "+") or closes or signs.CLOSED_CODE.fullmatch(held) or links.WIKI.fullmatch(held):
            self._run(ended=True)
        self._spans.assume()
        self._plain.flush()
        return self._plain.take()

    def _run(self, *, ended: bool) -> None:
        text, at = self._text, 1
        while at < len(text):
            if self._until:
                used = self._skip(text, at)
            elif self._path.open:
                used = self._path.skip(text, at, ended=ended)
                if not self._path.open:
                    continue
            elif (special := _SPECIAL.search(text, at)) is None or special.start() > at:
                end = special.start() if special else len(text)
                used = end - at
                self._add(text[at:end])
            else:
                window = text[at : at + WINDOW]
                self._before = text[at - 1]
                rule = self._rules.get(text[at], self._address)
                used = rule(window, ended or len(window) == WINDOW)
            if not used:
                break
            at += used
            self._position += used
            self._spans.advance(self._position)
        self._text = text[at - 1 :]

    def _skip(self, text: str, at: int) -> int:
        end = text.find(self._until, at)
        if end < 0:
            return max(len(text) - at - len(self._until) + 1, 0)
        end += len(self._until)
        self._until = ""
        return end - at

    def _add(self, item: Item) -> None:
        self._spans.add(item)

    def _omit(self, length: int, *, blank: bool = False) -> int:
        self._add(Omission(blank))
        return length

    def _literal(self, text: str, length: int | None = None) -> int:
        """Write a text literally in place of the next `length` characters; by default of as many as it has."""
        self._add(text.replace("\n", " "))
        return len(text) if length is None else length

    def _literally(self, read: signs.Reader) -> Rule:
        return lambda window, complete: self._literal(*read(window, complete))

    def _line_break(self, window: str, complete: bool) -> int:
        self._add(LineBreak(hard=False))
        return 1

    def _escape(self, window: str, complete: bool) -> int:
        escaped = window[1:2]
        if escaped == "\n":
            self._add(LineBreak(hard=True))
            return 2
        end = find_formula(window, complete=complete)
        if end is not None:
            return self._literal(spoken_formula(window[:end]), end) if end else 0
        if not escaped and not complete:
            return 0
        return self._literal(escaped, 2) if escaped and escaped in punctuation else self._literal("\\")

    def _delimiter(self, window: str, complete: bool) -> int:
        length = signs.run_length(window)
        if length == len(window) and not complete:
            return 0
        run = delimiter(window[:length], self._before, window[length : length + 1] or "\n", self._position)
        if run is None:
            return self._literal(window[:length])
        self._add(run)
        return length

    def _bracket(self, window: str, complete: bool) -> int:
        wiki = links.WIKI.match(window)
        if wiki and wiki.end() == len(window) and not complete:
            return 0
        if wiki and window[wiki.end() : wiki.end() + 1] != "(":
            self.has_link = True
            label = wiki["label"] or wiki["page"].replace("#", " ").rpartition("/")[2]
            return self._literal(Inline(self._definitions).read(label), wiki.end())
        if not complete and links.WIKI_SO_FAR.fullmatch(window):
            return 0
        found = self._find_link(window, 0, complete=complete)
        if found is None:
            return self._literal("[")
        end, label = found
        if not end:
            return 0
        if links.FOOTNOTE.fullmatch(label):
            return self._omit(end)
        inner = Inline(self._definitions)
        text = inner.read(label)
        if (number := label.strip("[] ^")).isdigit():
            text = f"[{number}]"  # of a source, which a narrator may skip
        if inner.has_link:
            return self._literal("[")  # a link holds no link
        self.has_link = True
        self._path.open = end == links.CONTINUES
        return self._literal(text, len(window) if self._path.open else end)

    def _parenthesis(self, window: str, complete: bool) -> int:
        """Leave out a link in parentheses that only says where something stands."""
        if window == "(" and not complete:
            return 0
        end, label = (self._find_link(window, 1, complete=complete) if window[1:2] == "[" else None) or (-1, "")
        if not end or (end == len(window) and not complete):
            return 0
        names_source = links.NAME_OF_SOURCE.fullmatch(label.strip("[]")) and window[end : end + 1] == ")"
        return self._omit(end + 1) if names_source and end > 0 else self._literal("(")

    def _image(self, window: str, complete: bool) -> int:
        if window[1:2] != "[":
            return self._literal("!") if complete or len(window) > 1 else 0
        if wiki := links.WIKI.match(window, 1):
            return self._omit(wiki.end())
        if not complete and links.WIKI_SO_FAR.fullmatch(window, 1):
            return 0
        found = self._find_link(window, 1, complete=complete)
        if found is None or found[1].startswith("^"):
            return self._literal("!")
        if not found[0]:
            return 0
        self._path.open = found[0] == links.CONTINUES
        return self._omit(len(window) if self._path.open else found[0])

    def _find_link(self, window: str, start: int, *, complete: bool) -> tuple[int, str] | None:
        """Return the end of a link and its label, or (0, "") if more text is needed; None if it is no link."""
        label_end = links.find_label_end(window, start, complete=complete)
        if label_end is None:
            return None
        if label_end == links.MORE:
            return 0, ""
        label = window[start + 1 : label_end - 1]
        if links.FOOTNOTE.fullmatch(label):
            return label_end, label
        follows = window[label_end + 1 :].partition("]")[0]
        indexes = start == 0 and self._before.isascii() and (self._before.isalnum() or self._before in "_])")
        end = links.find_target(
            window,
            label,
            label_end,
            complete=complete,
            definitions=self._definitions,
            optional=not (indexes or is_mark(label) or is_mark(follows)),
        )
        if end is None:
            return None
        return (0, "") if end == links.MORE else (end, label)

    def _angle(self, window: str, complete: bool) -> int:
        if not complete and any(mark.startswith(window) for mark in ("<!--->", "<![CDATA[")):
            return 0
        if comment := re.match("<!---?>", window):
            return self._omit(comment.end())
        for opening, closing in (("<!--", "-->"), ("<![CDATA[", "]]>")):
            if window.startswith(opening):
                self._until = closing
                return self._omit(len(opening))
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

    def _short_code(self, window: str, complete: bool) -> int:
        code = _SHORT_CODE.match(window)
        if code and (complete or code.end() < len(window)):
            return self._omit(code.end())
        return 0 if not complete and _SHORT_CODE_SO_FAR.fullmatch(window) else self._literal(":")

    def _bar(self, window: str, complete: bool) -> int:
        """Read the bar between two cells, or two parts of a title, as a comma."""
        if len(window) == 1 or not window[1].isspace():
            return self._literal("|") if complete or len(window) > 1 else 0
        self._add(Omission(blank=False))
        return self._literal(",", 1)

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
        self._path.open = window[address.end() : address.end() + 1] in tuple("/?#")
        end = address.end() if self._path.open else start + len(host)
        return self._literal(links.host_of(window[:start] + host), end)
