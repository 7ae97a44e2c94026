"""Readers of English numbers: what each kind of expression sounds like."""

import re

from voxcli.text.normalization.english_words import (
    CURRENCIES,
    DECADE_WORDS,
    MONTHS,
    SCALES,
    UNITS,
    full_month,
)
from voxcli.text.normalization.numerals import cardinal, digit_groups, digit_names, number_words, ordinal, year

NUMBER = r"(?: \d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)? | \d+(?:\.\d+)? | (?<![\w.])\.\d+ )"
"""A verbose pattern."""
_DIGITS = re.compile(r"\d+")
_A_RANGE = re.compile(rf"({NUMBER}) (?: [ ]?[-–—~][ ]? ({NUMBER}) )?", re.VERBOSE)
_MONTH_NAME = re.compile("|".join(MONTHS))
_SENTENCE_END = re.compile(r"""["'”’)]*(?:\s+["'“‘(]*[A-Z]|\s*\Z)""")
_SIGN_WORDS = {"-": "minus", "–": "minus", "+": "plus", "±": "plus or minus", "~": "about", "≈": "about"}
_LIKE_YEARS = range(1100, 2100)
_PARTS = frozenset((2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16, 20, 100))
"""Denominators of true fractions, such as 3/4, unlike 24/7 and 50/50."""
_TELEPHONE_DIGITS = 10
"""A number of this length without commas is not a quantity, unless it is round."""


def read(match: re.Match[str]) -> str:
    """Return the words for a match, separated from adjacent letters."""
    words = _READERS[match.lastgroup or ""](match)
    before = match.string[max(match.start() - 1, 0) : match.start()]
    after = match.string[match.end() : match.end() + 1]
    return (" " if before.isalpha() else "") + words + (" " if after.isalpha() else "")


def _telephone(match: re.Match[str]) -> str:
    plus = "plus " if match[0].startswith("+") else ""
    return plus + ", ".join(map(digit_names, digit_groups(match[0])))


def _groups(match: re.Match[str]) -> str:
    """Read a number of several groups, such as that of a card, by its digits."""
    return ", ".join(map(digit_names, digit_groups(match[0])))


def _date(match: re.Match[str]) -> str:
    """Read 2024-05-06; read 05/06/2024 in the American order, unless that is not a date."""
    first, second, third = _DIGITS.findall(match[0])
    written_year, month, day = (first, second, third) if len(first) == 4 else (third, first, second)
    if len(written_year) == 2:
        written_year = f"{19 if written_year >= '50' else 20}{written_year}"
    if int(month) > 12 and len(first) < 4:
        month, day = day, month
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        return " ".join(map(number_words, (first, second, third)))
    return f"{MONTHS[int(month) - 1]} {ordinal(int(day))}, {_quantity(written_year)}"


def _month_day(match: re.Match[str]) -> str:
    day, *years = _DIGITS.findall(match[0])
    return ", ".join([f"{_month_in(match)} {ordinal(int(day))}", *map(_quantity, years)])


def _day_month(match: re.Match[str]) -> str:
    day, *years = _DIGITS.findall(match[0])
    article = "" if match.string.lower().endswith("the ", 0, match.start()) else "the "
    return ", ".join([f"{article}{ordinal(int(day))} of {_month_in(match)}", *map(_quantity, years)])


def _month_in(match: re.Match[str]) -> str:
    return full_month(_MONTH_NAME.findall(match[0])[0])


def _money(match: re.Match[str]) -> str:
    one, many, cent, cents = CURRENCIES[match["currency"] or match["after"]]
    amount, top, scale = *_bounds(match), SCALES.get(match["scale"] or "")
    if scale:
        return f"{_sign(match)}{_span(amount, top)} {scale} {many}"
    whole, _, hundredths = amount.replace(",", "").partition(".")
    if top or not cent or len(hundredths) != 2:
        return f"{_sign(match)}{_span(amount, top)} {one if amount == '1' else many}"
    parts = [f"{number_words(whole)} {one if whole == '1' else many}"] if whole.strip("0") else []
    if hundredths != "00":
        parts.append(f"{cardinal(int(hundredths))} {cent if hundredths == '01' else cents}")
    return _sign(match) + (" and ".join(parts) or f"zero {many}")


def _feet(match: re.Match[str]) -> str:
    """Read 6'2" as a height: "six foot two"."""
    if match["foot"]:
        return f"{number_words(match['foot'])} foot {number_words(match['inch'])}"
    feet = _bounds(match)[0]
    return f"{number_words(feet)} {'foot' if feet == '1' else 'feet'}"


def _inches(match: re.Match[str]) -> str:
    inches = _bounds(match)[0]
    return f"{number_words(inches)} {'inch' if inches == '1' else 'inches'}"


def _duration(match: re.Match[str]) -> str:
    names = {"h": "hour", "m": "minute", "s": "second"}
    found = re.findall(r"(\d+)([hms]?)", match[0])
    return " ".join(
        f"{number_words(number)} {names[unit or 'm']}{'' if int(number) == 1 else 's'}" for number, unit in found
    )


def _power(match: re.Match[str]) -> str:
    base, exponent = re.split("[eE^]", match[0].lstrip("-–+±~≈ "))
    if "^" in match[0]:
        return f"{_sign(match)}{number_words(base)} {raised_to(exponent)}"
    return f"{_sign(match)}{number_words(base)} e {_signed(exponent)}"


def raised_to(exponent: str) -> str:
    if exponent in ("2", "3"):
        return "squared" if exponent == "2" else "cubed"
    return f"to the power of {_signed(exponent)}"


def _signed(number: str) -> str:
    return "minus " * number.startswith("-") + number_words(number.lstrip("+-"))


def _seasons(match: re.Match[str]) -> str:
    first, second = match[0].split("/")
    return f"{year(int(first))} {number_words(second)}"


def _clock(match: re.Match[str]) -> str:
    hour, *rest = _DIGITS.findall(match[0])
    words = [cardinal(int(hour))]
    words += [f"oh {cardinal(int(part))}" if part[0] == "0" else cardinal(int(part)) for part in rest if int(part)]
    letters = re.sub(r"[^a-z]", "", match[0].lower()).upper()
    if not letters:
        whole = "hundred" if int(hour) > 12 else "o'clock"
        return " ".join(words if len(words) > 1 else [*words, whole])
    stop = match[0].endswith(".") and _SENTENCE_END.match(match.string, match.end())
    return " ".join([*words, letters]) + ("." if stop else "")


def _decade(match: re.Match[str]) -> str:
    digits = _DIGITS.findall(match[0])[0]
    before = match.string[max(match.start() - 8, 0) : match.start()].lower().split()
    decade = not before or before[-1] in DECADE_WORDS or (digits >= "60" and before[-1] not in ("in", "for", "after"))
    if len(digits) == 2 and "'" not in match[0] and not decade:
        return f"{cardinal(int(digits))} seconds"
    words = year(int(digits)) if len(digits) == 4 else cardinal(int(digits))
    return f"{words[:-1]}ies" if words.endswith("y") else f"{words}s"


def _place(match: re.Match[str]) -> str:
    return ordinal(int(match[0][:-2].replace(",", "").partition(".")[0] or 0))


def _version(match: re.Match[str]) -> str:
    numbers, _, port = match[0].partition(":")
    return _dotted(numbers) + (f" colon {digit_names(port)}" if port else "")


def _dotted(numbers: str) -> str:
    parts = numbers.split(".")
    return " point ".join(digit_names(part) if len(part) > 2 else number_words(part) for part in parts)


def spelled_name(match: re.Match[str]) -> str:
    """Read a name with digits in it, such as GPT-4o-mini."""
    words: list[str] = []
    for piece in re.findall(r"\d+(?:\.\d+)*|[A-Za-z]+|-", match[0]):
        if piece[0].isdecimal():
            words += [" ", name_number(piece), " "]
        elif piece == "s" and words[-1:] == [" "]:
            words[-1] = "s "
        else:
            words.append(piece)
    return re.sub(r"-? +-?", " ", "".join(words)).strip()


def name_number(number: str) -> str:
    """Return the words for the number of a name: three digits as in A380, four as a year is read."""
    if "." in number:
        return number_words(number) if number.count(".") == 1 else _dotted(number)
    if len(number) == 3 and number[0] != "0" and not number.endswith("00"):
        tens = digit_names(number[1:]).replace("zero", "oh") if number[1] == "0" else cardinal(int(number[1:]))
        return f"{cardinal(int(number[0]))} {tens}"
    if len(number) == 4 and number[0] != "0":
        return year(int(number))
    return number_words(number) if len(number) < 5 else digit_names(number)


def _fraction(match: re.Match[str]) -> str:
    *whole, numerator, denominator = _DIGITS.findall(match[0])
    if int(denominator) in _PARTS and (0 < int(numerator) < int(denominator)):
        words = _true_fraction(int(numerator), int(denominator))
        half = "a half" if words == "one half" else words
        return _sign(match) + (f"{cardinal(int(whole[0]))} and {half}" if whole else words)
    return _sign(match) + " ".join(map(number_words, (*whole, numerator, denominator)))


def _true_fraction(numerator: int, denominator: int) -> str:
    part = {2: "half", 4: "quarter", 100: "one hundredth"}.get(denominator) or ordinal(denominator)
    return f"{cardinal(numerator)} {part}{'s' if numerator > 1 else ''}"


def _ratio(match: re.Match[str]) -> str:
    return " to ".join(map(number_words, match[0].split(":")))


def _measure(match: re.Match[str]) -> str:
    low, high = _bounds(match)
    one, many = UNITS[match["unit"]]
    return f"{_sign(match)}{_span(low, high)} {one if low == '1' and not high else many}"


def _amount(match: re.Match[str]) -> str:
    return _sign(match) + " to ".join(_quantity(bound) for bound in _bounds(match) if bound)


def _sign(match: re.Match[str]) -> str:
    return f"{_SIGN_WORDS[match[0][0]]} " if match[0][0] in _SIGN_WORDS else ""


def _bounds(match: re.Match[str]) -> tuple[str, str | None]:
    """Return the number of an expression, or the lower and the upper bound of a range."""
    bounds = _A_RANGE.search(match[0])
    assert bounds is not None
    return bounds[1], bounds[2]


def _span(low: str, high: str | None) -> str:
    return f"{number_words(low)} to {number_words(high)}" if high else number_words(low)


def _quantity(written: str) -> str:
    """Read a bare number: as a year if it may be one, by its digits if it is too long to be counted."""
    if len(written) == 4 and written.isdecimal() and int(written) in _LIKE_YEARS:
        return year(int(written))
    if len(written) >= _TELEPHONE_DIGITS and written.isdecimal() and not written.endswith("000"):
        return digit_names(written)
    return number_words(written)


_READERS = {
    "telephone": _telephone,
    "date": _date,
    "groups": _groups,
    "month_day": _month_day,
    "day_month": _day_month,
    "money": _money,
    "feet": _feet,
    "inches": _inches,
    "duration": _duration,
    "power": _power,
    "seasons": _seasons,
    "clock": _clock,
    "decade": _decade,
    "place": _place,
    "version": _version,
    "fraction": _fraction,
    "ratio": _ratio,
    "measure": _measure,
    "amount": _amount,
}
