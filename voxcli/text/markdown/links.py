"""Patterns for addresses, link targets, HTML tags and formulas, complete or still arriving."""

import re

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
_ATTRIBUTES = rf"(?:\s+(?:[A-Za-z_:@][\w:.@-]*=(?:{_VALUE})|(?:{_FLAGS})(?=[\s/>])))*+"
_NAME = r"[A-Za-z][A-Za-z0-9-]*"
HTML = re.compile(rf"</?(?P<name>{_NAME}){_ATTRIBUTES}\s*/?>|<[!?][A-Za-z][^<>]*>")
# A bare word after the name must become an attribute: "if a <b then" is not a tag.
HTML_SO_FAR = re.compile(
    rf"<(?:[A-Za-z/!?][^\s<>]*)?|<[!?][A-Za-z][^<>]*"
    rf"|</?{_NAME}{_ATTRIBUTES}(?:\s*/?|\s+[A-Za-z_:@][\w:.@-]*(?:=(?:\"[^\"]*|'[^']*|[^\s\"'=<>`]*))?)"
)
SPACED_HTML = re.compile(r"(?:br|hr|p|div|li|[uod]l|d[dt]|table|t[rdh]|h[1-6]|blockquote|pre|section)", re.IGNORECASE)
"""Tags that separate the text before and after them."""

BRACKET = re.compile(r"\[(?:[^\[\]\\]++|\\.|\[(?:[^\[\]\\]++|\\.)*+\])*+\]", re.DOTALL)
_IN_PARENS = r"\((?:[^()\\\n]++|\\.|\((?:[^()\\\n]++|\\.)*+\))*+"
_PARENS = re.compile(_IN_PARENS + r"\)")
_PARENS_SO_FAR = re.compile(_IN_PARENS + r"(?:\((?:[^()\\\n]++|\\.)*+)?\\?")
_TARGET = re.compile(r"\(\s*(?:<[^<>]*>|[^\s<>]*)(?:\s+(?:\"[^\"]*\"|'[^']*'|\([^()]*\)))?\s*\)")
_LONG_ADDRESS = re.compile(r"\(\S*[/:]\S*")
_REFERENCE = re.compile(r"\[(?!\^)[^\[\]\\\n]*\]")
_REFERENCE_SO_FAR = re.compile(r"\[(?!\^)[^\[\]\\\n]*")
_PAUSE = re.compile(r"\[\s*pause\b", re.IGNORECASE)

_IN_BRACKETS = {
    "(": re.compile(r"\\\(.+?\\\)", re.DOTALL),
    "[": re.compile(r"\\\[.+?\\\]", re.DOTALL),
}
_DISPLAYED = re.compile(r"\$\$.+?\$\$", re.DOTALL)
_IN_LINE = re.compile(r"\$(?:[^$\\\n]|\\.)+(?P<end>[$\n])")
_IN_LINE_SO_FAR = re.compile(r"\$(?:[^$\\\n]|\\.)*\\?")
# Prices and shell variables also begin with a dollar sign.
_OTHER_DOLLAR = re.compile(r"\$(?:[\s\d]|[A-Z_]{2})")
_LIKELY = re.compile(r"[\\^_={}+<>/]")


def host_of(address: str) -> str:
    """Return the text to read for an address: its host, or the address of a mail or phone link."""
    if "//" not in address and not address.lower().startswith("www."):
        return address.removeprefix("mailto:").removeprefix("tel:")
    rest = address.split("//", 1)[-1]
    host = re.split(r"[/?#]", rest, maxsplit=1)[0].rsplit("@", 1)[-1]
    return re.sub(r":\d*$", "", host).removeprefix("www.")


def find_target(window: str, label: int, end: int, *, complete: bool) -> int | None:
    """Return the end of the target after a label in brackets: `(address "title")` or `[reference]`.

    Args:
        window: text that begins with the link or the image.
        label: index where the label begins.
        end: index where the label ends.
        complete: whether no more text will follow.

    Returns:
        An index; MORE if more text is needed; CONTINUES if the address goes on beyond the window;
        None if the label has no target.
    """
    after = window[end : end + 1]
    if not after:
        return None if complete else MORE
    if after == "(":
        if parens := _PARENS.match(window, end):
            return parens.end() if _TARGET.fullmatch(parens[0]) else None
        if not _PARENS_SO_FAR.fullmatch(window, end):
            return None
        if not complete:
            return MORE
        return CONTINUES if _LONG_ADDRESS.fullmatch(window, end) else None
    if after == "[" and not _PAUSE.match(window, label) and not _PAUSE.match(window, end):
        if reference := _REFERENCE.match(window, end):
            return reference.end()
        return MORE if not complete and _REFERENCE_SO_FAR.fullmatch(window, end) else None
    return None


def find_formula(window: str, *, complete: bool) -> int | None:
    """Return the end of the formula at the start of the window, which begins with `$` or a backslash.

    Returns:
        An index; MORE if more text is needed; None if it is not a formula.
    """
    more = None if complete else MORE
    if window[0] == "\\":
        opening = window[1:2]
        if opening not in _IN_BRACKETS:
            return None
        if (formula := _IN_BRACKETS[opening].match(window)) is None:
            return more
        # "\[x\]" may also be an escaped bracket.
        return formula.end() if opening == "(" or _LIKELY.search(formula[0][2:-2]) else None
    if window.startswith("$$"):
        return formula.end() if (formula := _DISPLAYED.match(window)) else more
    if _OTHER_DOLLAR.match(window):
        return None
    if formula := _IN_LINE.match(window):
        end = formula.end()
        if formula["end"] == "\n" or window[end - 2].isspace() or window[end : end + 1].isdigit():
            return None
        return end if complete or end < len(window) else MORE
    return more if _IN_LINE_SO_FAR.fullmatch(window) else None
