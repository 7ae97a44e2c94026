"""Chinese normalization: numbers, dates, money and units in words."""

import re
from collections.abc import Callable

from wetext import Normalizer

from voxcli.text.normalization.numerals import (
    MAX_DIGITS,
    TELEPHONE,
    digit_groups,
    han_cardinal,
    han_digits,
    han_telephone,
    with_plain_digits,
)

HAN = "\u3400-\u4dbf\u4e00-\u9fff〇"
"""For use inside a character class."""

_grammar = Normalizer(lang="zh", operator="tn")
_erhua_grammar = Normalizer(lang="zh", operator="tn", remove_erhua=True)

_CURRENCIES = {
    "US$": "美元",
    "HK$": "港元",
    "NT$": "新台币",
    "$": "美元",
    "¥": "元",
    "￥": "元",
    "€": "欧元",
    "£": "英镑",
    "₩": "韩元",
}
_CURRENCY = "|".join(map(re.escape, _CURRENCIES))
_AMOUNT = r"(\d[\d,]*(?:\.\d+)?) ?([百千万亿]{1,2})?"
_HALF_WIDTH = str.maketrans("％＄＋－−＝＜＞", "%$+--=<>")


def _telephone(number: re.Match[str]) -> str:
    plus = "加" if number[0].startswith("+") else ""
    return plus + "".join(map(han_telephone, digit_groups(number[0])))


def _number(number: re.Match[str]) -> str:
    whole, point, decimals = number[0].replace(",", "").partition(".")
    words = han_cardinal(int(whole)) if len(whole) <= MAX_DIGITS else han_digits(whole)
    return words + ("点" + han_digits(decimals) if point else "")


def _version(version: re.Match[str]) -> str:
    parts = version[0].split(".")
    return "点".join(han_digits(part) if len(part) > 2 or part[0] == "0" else han_cardinal(int(part)) for part in parts)


_REWRITES: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(TELEPHONE, re.VERBOSE), _telephone),
    (re.compile(rf"({_CURRENCY}) ?{_AMOUNT}"), lambda money: f"{money[2]}{money[3] or ''}{_CURRENCIES[money[1]]}"),
    (re.compile(rf"{_AMOUNT} ?([$¥￥€£₩])"), lambda money: f"{money[1]}{money[2] or ''}{_CURRENCIES[money[3]]}"),
    # With its commas removed, a number could be mistaken for a telephone number.
    (re.compile(r"(?<![\d,.])\d{1,3}(?:,\d{3})+(?![\d,])(?:\.\d+)?"), _number),
    (re.compile(r"(?<=\d),(?=\d)"), "、"),
    (re.compile(r"\d{12,}"), lambda code: han_digits(code[0])),
    (re.compile(r"(?<![\d.])(?!(?:19|20)\d\d\.\d\d?\.\d\d?(?![\d.]))\d{1,9}(?:\.\d{1,9}){2,}"), _version),
    # The grammar reads a hyphen before or between numbers as a minus.
    (re.compile(r"(?<=[A-Za-z])-(?=\d)"), " "),
    (re.compile(r"(?<![-=+*/\d.])(\d+(?:\.\d+)?%?) ?[-–—~～] ?(?=\d+(?:\.\d+)?(?! ?[-=+*/\d.]))"), r"\1~"),
    (re.compile(r"(?<=\d)：(?=\d)"), ":"),
    (re.compile(r"(?<![\d%~])[~≈] ?(?=\d)"), "约"),
    (re.compile(r"(?<=\d) ?[*×] ?(?=\d)"), "乘"),
    (re.compile(r"(?<=年)0(?=[1-9]月)|(?<=月)0(?=[1-9][日号])"), ""),
    (re.compile(r"(?<![A-Za-z])No\. ?(?=\d)"), "第"),
    (re.compile(r"(\d+(?:\.\d+)?)‰"), r"千分之\1"),
    (re.compile(r"(?<=\d) ?mAh(?![A-Za-z])"), "毫安时"),
    (re.compile("="), "等于"),
)
_SIGNS = {"=": "等于", "≈": "约等于", "√": "根号", "²": "平方", "³": "立方", "<": "小于"}
"""Signs that the grammar does not know, or only between digits."""
_DIGIT = re.compile(r"\d")

_UNIT = "km/h|km²|km|cm|mm|nm|m²|m³|m|kg|mg|g|ml|L|kW|min|s|h|°C"
_PIECE = re.compile(rf"(?:(?<=\d) ?(?:{_UNIT})(?![A-Za-z])|[{HAN}\d.:/%+\-~°℃℉²³×÷≥≤±<>]| (?=[{HAN}\d+\-×÷≥≤±<>]))+")
"""Text that the grammar handles: no words of other languages, no quotes."""
_KEPT = "健儿|男儿|育儿|侄儿|宠儿|弃儿|患儿|产儿|吾儿|我儿|麟儿|混血儿|幸运儿|宁馨儿|孙儿|儿茶|儿时|儿郎|儿臣"
"""Words in which 儿 is a syllable of its own, which the grammar does not know."""
_ERHUA = re.compile(rf"(?P<kept>{_KEPT}|儿{{2,}})|(?:(?!{_KEPT}|儿儿)[{HAN}])+")


def spelled_in_chinese(text: str) -> str:
    """Return the text with all digits spelled out."""
    text = with_plain_digits(text)
    if not _DIGIT.search(text):
        return text
    text = text.translate(_HALF_WIDTH)
    for pattern, words in _REWRITES:
        text = pattern.sub(words, text)
    text = _PIECE.sub(lambda piece: _by_grammar(piece[0]), text)
    return re.sub(r"\d+", lambda digits: han_digits(digits[0]), text)


def polished(text: str) -> str:
    """Return the text with its signs in words and without erhua, the suffix 儿."""
    for sign, name in _SIGNS.items():
        text = text.replace(sign, name)
    return _ERHUA.sub(_without_erhua, text) if "儿" in text else text


def _by_grammar(piece: str) -> str:
    """Return a piece of text as wetext reads it, if it has digits."""
    if not _DIGIT.search(piece):
        return piece
    margin = piece[: len(piece) - len(piece.lstrip())]
    try:
        return margin + str(_grammar.normalize(piece))
    except AssertionError:  # wetext's way of reporting that it has no reading
        return piece


def _without_erhua(run: re.Match[str]) -> str:
    if run["kept"] or "儿" not in run[0]:
        return run[0]
    words = str(_erhua_grammar.normalize(run[0]))
    # At the start of a run it is not a suffix.
    return f"儿{words}" if run[0][0] == "儿" != words[:1] else words
