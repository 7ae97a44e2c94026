"""Links, addresses and HTML tags, complete or still arriving."""

import re
from collections.abc import Container

from voxcli.text.markdown.delimiters import WINDOW

# A bare address ends at white space, an angle bracket, a quote or a wide character.
_ADDRESS_CHAR = r"[^\s<>\"`{}|\\^\u2018-\u201f\u2e80-\ud7ff\uf900-\uffff\U00020000-\U0003ffff]"
_NO_HOST = r"\s/?#<>\"'`{}|\\^()\[\]\u2018-\u201f\u2e80-\ud7ff\uf900-\uffff\U00020000-\U0003ffff"
PUNCTUATION = ".,;:!?'*_~)]"
MAX_PUNCTUATION = 200

CONTINUES = -1
MORE = 0

ADDRESS = re.compile(rf"(?:https?://|www\.)(?P<host>[^{_NO_HOST}]*)", re.IGNORECASE)
ADDRESS_SO_FAR = re.compile(r"h|ht|htt|https?|https?:|https?:/|w|ww|www", re.IGNORECASE)
ADDRESS_START = rf"(?:https?://|www\.|(?:{ADDRESS_SO_FAR.pattern})\Z)"
PATH_RUN = re.compile(rf"(?:(?![{re.escape(PUNCTUATION)}]){_ADDRESS_CHAR})+")
PATH_PUNCTUATION = re.compile(rf"[{re.escape(PUNCTUATION)}]{{1,{MAX_PUNCTUATION}}}")

AUTOLINK = re.compile(r"<(?P<address>[A-Za-z][A-Za-z0-9+.-]{1,31}:[^\s<>]*)>")
MAIL = re.compile(r"<(?P<address>[^\s<>@:]+@[^\s<>@]+)>")

_FLAGS = "open|hidden|async|defer|disabled|checked|selected|required|readonly|controls|autoplay|loop|muted"
_VALUE = r"\"[^\"]*\"|'[^']*'|[^\s\"'=<>`]+"
_ATTRIBUTES = rf"(?:\s+(?:[A-Za-z_:@][\w:.@-]*\s*=\s*(?:{_VALUE})|(?:{_FLAGS})(?=[\s/>])))*+"
_NAME = r"[A-Za-z][A-Za-z0-9-]*"
HTML = re.compile(rf"</?(?P<name>{_NAME}){_ATTRIBUTES}\s*/?>|<[!?][A-Za-z][^<>]*>")
# A bare word after the name must become an attribute: "if a <b then" is not a tag.
HTML_SO_FAR = re.compile(
    rf"<(?:[A-Za-z/!?][^\s<>]*)?|<[!?][A-Za-z][^<>]*"
    rf"|</?{_NAME}{_ATTRIBUTES}(?:\s*/?|\s+[A-Za-z_:@][\w:.@-]*(?:=(?:\"[^\"]*|'[^']*|[^\s\"'=<>`]*))?)"
)
SPACED_HTML = re.compile(r"(?:br|hr|p|div|li|[uod]l|d[dt]|table|t[rdh]|h[1-6]|blockquote|pre|section)", re.IGNORECASE)
"""Tags that separate the text before and after them."""

NAME_OF_SOURCE = re.compile(
    r"(?:https?://)?(?:[\w-]+\.)+[a-z]{2,}(?:/\S*)?|\d{1,3}|sources?|link|ref|quelle|来源", re.IGNORECASE
)
"""Labels of links that only say where something stands, as in "([source](address))"."""
FOOTNOTE = re.compile(r"\^\S+")
WIKI = re.compile(r"\[\[#?(?P<page>[^\[\]\n|]{1,150})(?:\|(?P<label>[^\[\]\n]{1,150}))?\]\]")
"""A link of Obsidian, MediaWiki and others: [[page]], [[page#heading]] or [[page|label]]."""
WIKI_SO_FAR = re.compile(r"\[\[[^\[\]\n]{0,300}\]?")
_MAX_DEPTH = 8
_IN_LABEL = re.compile(r"\\.?|`+|[<\[\]]", re.DOTALL)
_SPACES = re.compile(r"\s*")
_BRACKETED = re.compile(r"<(?:[^<>\\\n]|\\.)*+>")
_BRACKETED_SO_FAR = re.compile(r"<(?:[^<>\\\n]|\\.)*+\\?")
_BARE = re.compile(r"(?:[^\s()\\]|\\[^\s]?)*+")
_TITLE = re.compile(r"\"(?:[^\"\\]|\\.)*+\"|'(?:[^'\\]|\\.)*+'|\((?:[^()\\]|\\.)*+\)", re.DOTALL)
_TITLE_SO_FAR = re.compile(r"\"(?:[^\"\\]|\\.)*+\\?|'(?:[^'\\]|\\.)*+\\?|\((?:[^()\\]|\\.)*+\\?", re.DOTALL)
_LONG_ADDRESS = re.compile(r"\(\S*[/:]\S*")
_REFERENCE = re.compile(r"\[(?!\^)(?P<label>(?:[^\[\]\\]|\\.)*+)\]", re.DOTALL)
_REFERENCE_SO_FAR = re.compile(r"\[(?!\^)(?:[^\[\]\\]|\\.)*+\\?", re.DOTALL)


def host_of(address: str) -> str:
    """Return the text to read for an address: its host, or the address of a mail or phone link."""
    if "//" not in address and not address.lower().startswith("www."):
        return address.removeprefix("mailto:").removeprefix("tel:")
    rest = address.split("//", 1)[-1]
    host = re.split(r"[/?#]", rest, maxsplit=1)[0].rsplit("@", 1)[-1]
    return re.sub(r":\d*$", "", host).removeprefix("www.")


def normalized_label(label: str) -> str:
    """Return the form in which labels of references are compared."""
    return " ".join(label.split()).casefold()


def find_label_end(window: str, start: int, *, complete: bool) -> int | None:
    """Return the index after the bracket that closes the one at `start`; MORE, or None if none does.

    Code and HTML bind tighter than brackets.
    """
    depth, at = 0, start
    while found := _IN_LABEL.search(window, at):
        at, mark = found.end(), found[0]
        if mark == "[":
            depth += 1
            if depth > _MAX_DEPTH:
                return None
        elif mark == "]":
            depth -= 1
            if not depth:
                return at
        elif mark[0] == "`":
            closing = next((run for run in re.finditer("`+", window[at:]) if len(run[0]) == len(mark)), None)
            if closing:
                at += closing.end()
            elif not complete:
                return MORE
        elif mark == "<":
            tag = AUTOLINK.match(window, found.start()) or HTML.match(window, found.start())
            if tag:
                at = tag.end()
            elif not complete and HTML_SO_FAR.fullmatch(window, found.start()):
                return MORE
    return None if complete else MORE


def find_target(
    window: str, label: str, end: int, *, complete: bool, definitions: Container[str], optional: bool
) -> int | None:
    """Return the end of the link whose label in brackets ends at `end`.

    Args:
        window: text that contains the label and what follows.
        label: without its brackets.
        end: index where the label ends.
        complete: whether no more text will follow.
        definitions: the labels that were defined so far.
        optional: whether `[label][reference]` is a link even if the reference is not defined yet.

    Returns:
        An index; MORE if more text is needed; CONTINUES if the address goes on beyond the window;
        None if the label has no target.
    """
    after = window[end : end + 1]
    if not after and not complete:
        return MORE
    if after == "(":
        found = _inline_target_end(window, end)
        if found == MORE:
            if not complete:
                return MORE
            if len(window) >= WINDOW and _LONG_ADDRESS.fullmatch(window, end):
                return CONTINUES
        elif found is not None:
            return found
    elif after == "[":
        if reference := _REFERENCE.match(window, end):
            name = reference["label"].strip() or label
            if optional or normalized_label(name) in definitions:
                return reference.end()
        elif not complete and _REFERENCE_SO_FAR.fullmatch(window, end):
            return MORE
    return end if normalized_label(label) in definitions else None


def _inline_target_end(window: str, start: int) -> int | None:
    """Return the end of `(address "title")` at `start`; MORE if it may still become one; None if it is none."""
    at = _skip_spaces(window, start + 1)
    if at == len(window):
        return MORE
    if window[at] == "<":
        if (address := _BRACKETED.match(window, at)) is None:
            return MORE if _BRACKETED_SO_FAR.fullmatch(window, at) else None
        at = address.end()
    else:
        at = _bare_address_end(window, at)
        if at == len(window):
            return MORE
    after = _skip_spaces(window, at)
    if after > at and window[after : after + 1] in ('"', "'", "("):
        if (title := _TITLE.match(window, after)) is None:
            return MORE if _TITLE_SO_FAR.fullmatch(window, after) else None
        after = _skip_spaces(window, title.end())
    if after == len(window):
        return MORE
    return after + 1 if window[after] == ")" else None


def _bare_address_end(window: str, at: int) -> int:
    depth = 0
    while at < len(window):
        run = _BARE.match(window, at)
        at = run.end() if run else at
        char = window[at : at + 1]
        depth += {"(": 1, ")": -1}.get(char, 0)
        if not 0 <= depth <= _MAX_DEPTH or char not in ("(", ")"):
            break
        at += 1
    return at


def _skip_spaces(window: str, at: int) -> int:
    spaces = _SPACES.match(window, at)
    return spaces.end() if spaces else at


class AddressPath:
    """The path of a bare address, which is skipped, but not the punctuation after it."""

    def __init__(self) -> None:
        self.open = False
        self._parens = 0

    def skip(self, text: str, at: int, *, ended: bool) -> int:
        """Return the length of the next part of the path; 0 if more text is needed, or if the path is over."""
        if run := PATH_RUN.match(text, at):
            self._parens += run[0].count("(")
            return run.end() - at
        if self._parens and text[at] == ")":
            self._parens -= 1
            return 1
        marks = PATH_PUNCTUATION.match(text, at)
        if marks is not None and len(marks[0]) < MAX_PUNCTUATION:
            if marks.end() == len(text) and not ended:
                return 0
            if PATH_RUN.match(text, marks.end()):
                return marks.end() - at
        self.open, self._parens = False, 0
        return 0
