"""LaTeX in Markdown, which is left as it is: `$x_1$`, `$$…$$`, `\\(…\\)` and `\\[…\\]`."""

import re

_IN_BRACKETS = {
    "(": re.compile(r"\\\(.+?\\\)", re.DOTALL),
    "[": re.compile(r"\\\[.+?\\\]", re.DOTALL),
}
_DISPLAYED = re.compile(r"\$\$.+?\$\$", re.DOTALL)
_IN_LINE = re.compile(r"\$(?:[^$\\\n]|\\.)+(?P<end>[$\n])")
_IN_LINE_SO_FAR = re.compile(r"\$(?:[^$\\\n]|\\.)*\\?")
# Prices and the variables of a shell have a dollar sign as well.
_OTHER_DOLLAR = re.compile(r"\$(?:[\s\d]|[A-Z_]{2})")
_LIKELY = re.compile(r"[\\^_={}+<>/]")


def find_formula(window: str, *, complete: bool) -> int | None:
    """Find where the formula ends that may begin at the `$` or backslash that the window begins with.

    Returns:
        An index; 0 if more text is needed; None if this is no formula.
    """
    more = None if complete else 0
    if window[0] == "\\":
        opening = window[1:2]
        if opening not in _IN_BRACKETS:
            return None
        if (formula := _IN_BRACKETS[opening].match(window)) is None:
            return more
        # "\[x\]" may as well be a bracket that is meant to be one.
        return formula.end() if opening == "(" or _LIKELY.search(formula[0][2:-2]) else None
    if window.startswith("$$"):
        return formula.end() if (formula := _DISPLAYED.match(window)) else more
    if _OTHER_DOLLAR.match(window):
        return None
    if formula := _IN_LINE.match(window):
        end = formula.end()
        if formula["end"] == "\n" or window[end - 2].isspace() or window[end : end + 1].isdigit():
            return None
        return end if complete or end < len(window) else 0
    return more if _IN_LINE_SO_FAR.fullmatch(window) else None
