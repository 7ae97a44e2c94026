"""Formulas in TeX: where they end, and how they are read."""

import re

from voxcli.text.markdown.links import MORE

_IN_BRACKETS = {
    "(": re.compile(r"\\\(.+?\\\)", re.DOTALL),
    "[": re.compile(r"\\\[.+?\\\]", re.DOTALL),
    "b": re.compile(r"\\begin\{(\w+\*?)\}.+?\\end\{\1\}", re.DOTALL),
}
_DISPLAYED = re.compile(r"\$\$.+?\$\$", re.DOTALL)
_IN_LINE = re.compile(r"\$(?:[^$\\\n]|\\.)+(?P<end>[$\n])")
_IN_LINE_SO_FAR = re.compile(r"\$(?:[^$\\\n]|\\.)*\\?")
# Prices and shell variables also begin with a dollar sign.
_OTHER_DOLLAR = re.compile(r"\$(?:[\s\d]|[A-Z_]{2})")
_LIKELY = re.compile(r"[\\^_={}+<>/]")

_ENVIRONMENT = re.compile(r"\\(?:begin|end)\{\w+\*?\}")
_COMMAND = re.compile(r"\\([A-Za-z]+|.)\s*", re.DOTALL)
_FRACTION = re.compile(r"\\[dt]?frac\s*(?:\{([^{}]*)\}|(\w))\s*(?:\{([^{}]*)\}|(\w))")
_ROOT = re.compile(r"\\sqrt\s*(?:\{([^{}]*)\}|(\w))")
_WORDS = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mathit|operatorname|mathbb|mathcal)\s*\{([^{}]*)\}")
_SUPERSCRIPT = re.compile(r"\^(?:\{([^{}]*)\}|(\w|\\[a-z]+))")
_SUBSCRIPT = re.compile(r"(?<!\\)_(?:\{([^{}]*)\}|(\w))")
_BRACES = str.maketrans("", "", "{}")
_POWERS = {"2": "²", "3": "³", r"\circ": "°", "'": "′"}
_SIGNS = {
    "times": "×", "cdot": "×", "div": "÷", "pm": "±", "approx": "≈", "neq": "≠", "ne": "≠", "leq": "≤", "le": "≤",
    "geq": "≥", "ge": "≥", "infty": "∞", "to": "→", "rightarrow": "→", "Rightarrow": "→", "degree": "°", "circ": "°",
    "ldots": "…", "dots": "…", "cdots": "…", "left": "", "right": "", "quad": " ", "qquad": " ", "displaystyle": "",
}  # fmt: skip
"""Commands that a voice reads by a sign. Others, such as Greek letters, are read by their name."""


def spoken_formula(formula: str) -> str:
    """Return the text to read for a formula with its delimiters: simple TeX as it would be written in a sentence."""
    text = formula.strip("$") if formula[0] == "$" else _ENVIRONMENT.sub("", formula)
    text = text[2:-2] if text[:2] in (r"\(", r"\[") else text.replace(r"\\", ", ").replace("&", "")
    text = _WORDS.sub(r"\1", text)
    text = _ROOT.sub(lambda root: f"√({root[1] or root[2]})", text)
    text = _FRACTION.sub(lambda of: f"{of[1] or of[2]} / {of[3] or of[4]}", text)
    text = _SUPERSCRIPT.sub(lambda power: _POWERS.get(power[1] or power[2], f" ^ {power[1] or power[2]}"), text)
    text = _SUBSCRIPT.sub(r" \1\2", re.sub(r"(?<=\w)_(\d)\b", r"\1", text))
    text = _COMMAND.sub(_name, text)
    return " ".join(text.translate(_BRACES).split())


def _name(command: re.Match[str]) -> str:
    name = command[1]
    if name.isalpha():
        return f" {_SIGNS.get(name, name)} "
    return name if name in "%$&#_{}" else " "


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
        if opening == "b" and not r"\begin{".startswith(window[:7]):
            return None
        if (formula := _IN_BRACKETS[opening].match(window)) is None:
            return more
        # "\[x\]" may also be an escaped bracket.
        return formula.end() if opening in "(b" or _LIKELY.search(formula[0][2:-2]) else None
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
