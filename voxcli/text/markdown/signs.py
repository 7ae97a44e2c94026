"""Signs of inline Markdown that are read by themselves: code, entities and formulas."""

import html
import re
from collections.abc import Callable
from typing import TypeAlias

from voxcli.text.markdown.formulas import find_formula, spoken_formula

Reader: TypeAlias = Callable[[str, bool], tuple[str, int]]
"""Takes the text from the sign on, and whether it is complete. Returns what is read, and the number of characters that
this stands for; 0 if more text is needed."""

CLOSED_CODE = re.compile(r"(`+)[^`]+\1")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_ENTITY_SO_FAR = re.compile(r"&#?[A-Za-z0-9]{0,32}")
_MORE = ("", 0)


def read_code(window: str, complete: bool) -> tuple[str, int]:
    """Read a code span without its backticks."""
    ticks = run_length(window)
    for run in re.finditer("`+", window[ticks:]):
        end = ticks + run.end()
        if len(run[0]) == ticks and (complete or end < len(window)):
            code = window[ticks : ticks + run.start()]
            if code.strip() and code[0] in " \n" and code[-1] in " \n":
                code = code[1:-1]  # the spaces only separate the backticks
            return code, end
    return (window[:ticks], ticks) if complete else _MORE


def read_entity(window: str, complete: bool) -> tuple[str, int]:
    if entity := _ENTITY.match(window):
        return html.unescape(entity[0]), entity.end()
    return _MORE if not complete and _ENTITY_SO_FAR.fullmatch(window) else ("&", 1)


def read_formula(window: str, complete: bool) -> tuple[str, int]:
    """Read a formula between dollar signs."""
    end = find_formula(window, complete=complete)
    if end is None:
        return "$", 1
    return (spoken_formula(window[:end]), end) if end else _MORE


def run_length(window: str) -> int:
    """Return the length of the run of the first character."""
    return len(window) - len(window.lstrip(window[0]))
