"""Readings that a writer asks for: a text as a number, a date or an amount, letter by letter, and so on.

The names are those of W3C's note "SSML 1.0 say-as attribute values" (2005) and of the services that most voices come
from.
"""

import re
from collections.abc import Callable

from voxcli.text.language import CHINESE, ENGLISH
from voxcli.text.normalization.bilingual import in_words
from voxcli.text.normalization.english_words import MONTHS
from voxcli.text.normalization.numerals import (
    MAX_DIGITS,
    cardinal,
    digit_names,
    han_cardinal,
    han_digits,
    han_telephone,
    ordinal,
)

_SIGNS = {".": "dot", "-": "dash", "_": "underscore", "@": "at", "/": "slash", "+": "plus", "#": "hash", "&": "and"}
_HAN_SIGNS = {".": "点", "-": "杠", "_": "下划线", "@": "艾特", "/": "斜杠", "+": "加", "#": "井号", "&": "和"}
_CURRENCIES = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "CNY": "¥", "INR": "₹", "KRW": "₩"}
_NUMBER = re.compile(r"[-+]?\d{1,3}(?:[, ]?\d{3})*|[-+]?\d+")
_DATE_ORDERS = ("mdy", "dmy", "ymd", "md", "dm", "ym", "my", "y", "m", "d", "ydm")
_DAYS, _MONTHS_OF_YEAR = 31, 12


class Unreadable(ValueError):
    """A text cannot be read in the way that is asked for; the message says why."""


def read_as(text: str, kind: str, form: str, language: str | None) -> str:
    """Return a text in the words of a reading. Languages other than Chinese and English keep their figures.

    Args:
        kind: the value of `interpret-as`.
        form: the value of `format`; empty if there is none.
        language: base code; None is English.

    Raises:
        Unreadable: the kind is unknown, or the text is not of that kind.
    """
    reader = _READERS.get(kind.lower())
    if reader is None:
        raise Unreadable(f"the reading {kind!r} is not known. Known are: {', '.join(sorted(_READERS))}")
    return reader(" ".join(text.split()), form.lower(), language or ENGLISH)


def _number(text: str, form: str, language: str) -> str:
    if not _NUMBER.fullmatch(text):
        spelled = in_words(text, language=language)
        if any(char.isdecimal() for char in text):
            return spelled
        raise Unreadable(f"{text!r} is no number")
    figures = re.sub(r"[, ]", "", text)
    number = int(figures)
    if len(figures) > MAX_DIGITS:
        return _digits(text, form, language)
    if language == CHINESE:
        return han_cardinal(number) if number >= 0 else f"负{han_cardinal(-number)}"
    return (cardinal(number) if number >= 0 else f"minus {cardinal(-number)}") if language == ENGLISH else text


def _ordinal(text: str, form: str, language: str) -> str:
    figures = re.fullmatch(r"(\d+)(?:st|nd|rd|th|\.)?", text.lower())
    if not figures:
        raise Unreadable(f"{text!r} is no number")
    number = int(figures[1])
    if language == CHINESE:
        return f"第{han_cardinal(number)}"
    return ordinal(number) if language == ENGLISH else f"{number}."


def _characters(text: str, form: str, language: str) -> str:
    """Spell a text: letters by their names, which are capitals, and figures one by one."""
    spelled = []
    for char in text:
        if char.isdecimal():
            spelled.append(_figures(char, language))
        elif char.isalpha():
            spelled.append(char.upper())
        else:
            spelled.append((_HAN_SIGNS if language == CHINESE else _SIGNS).get(char, ""))
    return " ".join(filter(None, spelled))


def _digits(text: str, form: str, language: str) -> str:
    if not any(map(str.isdecimal, text)):
        raise Unreadable(f"there is no figure in {text!r}")
    return ("" if language == CHINESE else " ").join(_figures(char, language) for char in text if char.isdecimal())


def _telephone(text: str, form: str, language: str) -> str:
    groups = re.findall(r"\d+", text)
    if not groups or re.search(r"[^\d\s()+./x-]", text.lower()):
        raise Unreadable(f"{text!r} is no telephone number")
    if language == CHINESE:
        return "，".join(map(han_telephone, groups))
    plus = "plus " if text.startswith("+") and language == ENGLISH else ""
    return plus + ", ".join(" ".join(_figures(char, language) for char in group) for group in groups)


def _figures(figures: str, language: str) -> str:
    if language == CHINESE:
        return han_digits(figures)
    return digit_names(figures) if language == ENGLISH else figures


def _date(text: str, form: str, language: str) -> str:
    numbers = re.findall(r"\d+", text)
    order = re.sub(r"[^dmy]", "", "".join(dict.fromkeys(form))) or _guessed_order(numbers)
    if order not in _DATE_ORDERS:
        raise Unreadable(f"the format {form!r} is none of {', '.join(_DATE_ORDERS)}")
    if len(numbers) == 1 and len(order) > 1 and len(numbers[0]) in (6, 8):
        numbers = _cut_date(numbers[0], order)
    if len(numbers) != len(order):
        raise Unreadable(f"{text!r} is no date in the order {order!r}")
    parts = dict(zip(order, map(int, numbers), strict=True))
    year, month, day = (parts.get(unit) for unit in "ymd")
    if not 1 <= (month or 1) <= _MONTHS_OF_YEAR or not 1 <= (day or 1) <= _DAYS:
        raise Unreadable(f"{text!r} is no date in the order {order!r}")
    if language == CHINESE:
        written = "".join(f"{value}{unit}" for value, unit in ((year, "年"), (month, "月"), (day, "日")) if value)
    elif language == ENGLISH:
        written = _english_date(year, month, day)
    else:
        return text
    return in_words(written, language=language)


def _english_date(year: int | None, month: int | None, day: int | None) -> str:
    name = MONTHS[month - 1] if month else ""
    if day and not month:
        return ordinal(day)
    first = f"{name} {day}" if day else name
    return ", ".join(filter(None, [first, str(year) if year else ""])) if day else f"{first} {year or ''}".strip()


def _guessed_order(numbers: list[str]) -> str:
    if len(numbers) == 3:
        return "ymd" if len(numbers[0]) == 4 else "dmy" if int(numbers[0]) > _MONTHS_OF_YEAR else "mdy"
    if len(numbers) == 2:
        return "ym" if len(numbers[0]) == 4 else "my" if len(numbers[1]) == 4 else "md"
    return "ymd" if numbers and len(numbers[0]) == 8 else "y"


def _cut_date(figures: str, order: str) -> list[str]:
    cut, place = [], 0
    for unit in order:
        length = 4 if unit == "y" and len(figures) == 8 else 2
        cut.append(figures[place : place + length])
        place += length
    return cut


def _currency(text: str, form: str, language: str) -> str:
    for code, sign in _CURRENCIES.items():
        text = re.sub(rf"\b{code}\s?(?=\d)|(?<=\d)\s?{code}\b", sign, text)
    amount = re.fullmatch(r"(\d[\d.,]*)([$€£¥₹₩])", text)
    return _worded(f"{amount[2]}{amount[1]}" if amount else text, form, language)


def _worded(text: str, form: str, language: str) -> str:
    """Spell out a text as the rules for sentences do."""
    return in_words(text, language=language) if language in (CHINESE, ENGLISH) else text


def _as_it_is(text: str, form: str, language: str) -> str:
    return text


_READERS: dict[str, Callable[[str, str, str], str]] = {
    **dict.fromkeys(("cardinal", "number"), _number),
    "ordinal": _ordinal,
    **dict.fromkeys(("characters", "spell-out", "verbatim", "letters"), _characters),
    "digits": _digits,
    "telephone": _telephone,
    "date": _date,
    "currency": _currency,
    **dict.fromkeys(("time", "fraction", "unit", "measure"), _worded),
    **dict.fromkeys(("address", "name"), _as_it_is),
}
