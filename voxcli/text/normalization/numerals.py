"""Numerals: numbers and telephone numbers in words, in English and in Chinese."""

import re
import unicodedata

MAX_DIGITS = 15
"""A longer number is taken for a code, and read digit by digit."""


def _words(text: str) -> list[str]:
    return text.split()


_ONES = _words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
_TENS = _words("- - twenty thirty forty fifty sixty seventy eighty ninety")
_SCALES = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (10**3, "thousand"))
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}

_HAN_DIGITS = "零一二三四五六七八九"
_HAN_TENS = ((1000, "千"), (100, "百"), (10, "十"))
_HAN_SCALES = ((10**12, "万亿"), (10**8, "亿"), (10**4, "万"))

# With a plus, a country code and at least eight digits; American; Chinese mobile, landline and service numbers; and
# local ones of seven digits, unless both halves end in zero, which is rather a range.
TELEPHONE = r"""
    (?<! [A-Za-z0-9+$£€¥-] ) (?<! \d[.,:] )
    (?:
        \+ (?= (?: [ .()-]{0,2} \d ){8} ) \d{1,3} (?: [ .-]? \(?\d{1,5}\)? ){2,6}
      | (?: 1[ .-] )? (?: \(\d{3}\)[ ]? | \d{3}[.-] ) \d{3}[ .-]\d{4}
      | 1[3-9]\d (?P<gap>[ -]) \d{4} (?P=gap) \d{4}
      | 1[3-9]\d{9}
      | (?: \(0\d{2,3}\)[ ]? | 0\d{2,3}- ) \d{7,8}
      | [48]00-\d{3,4}-\d{3,4}
      | (?! \d\d0-\d{3}0 ) \d{3}-\d{4}
    )
    (?! [A-Za-z0-9-] | [.,:]\d | [ ]?[%‰°℃℉€£¥=] | [年月日天小分秒个元块米克斤公千百万亿人次度岁名家条件只台字页倍] )
"""
"""A verbose pattern with a group named `gap`."""

RAISED = "²³¹⁰⁴⁵⁶⁷⁸⁹"
"""Exponents, for use inside a character class."""
_OTHER_NUMERAL = re.compile(r"[^\W0-9_]")
_DIGITS = re.compile(r"\d+")


def with_plain_digits(text: str) -> str:
    """Rewrite the digits of all scripts, circled numbers and fractions such as ½ with the digits 0 to 9."""
    return text if text.isascii() else _OTHER_NUMERAL.sub(_plain, text)


def _plain(numeral: re.Match[str]) -> str:
    char, before = numeral[0], numeral.string[max(numeral.start() - 1, 0) : numeral.start()]
    if char.isdecimal():
        return str(unicodedata.decimal(char))
    written = "" if char.isalpha() or char in RAISED else unicodedata.normalize("NFKC", char).replace("⁄", "/")
    if not (written.isascii() and written[-1:].isdecimal()):
        return char
    return f" {written}" if before.isnumeric() else written


def plain_exponent(raised: str) -> str:
    """Return the number that raised digits stand for, such as "-3"."""
    return unicodedata.normalize("NFKC", raised).replace("−", "-")


def digit_groups(number: str) -> list[str]:
    """Return the digits of a telephone number in its written groups."""
    return _DIGITS.findall(number)


def digit_names(digits: str) -> str:
    return " ".join(_ONES[int(digit)] for digit in digits)


def cardinal(number: int) -> str:
    """Return for instance "one thousand two hundred and thirty-four" for a number of up to MAX_DIGITS digits."""
    for size, scale in _SCALES:
        if number >= size:
            high, low = divmod(number, size)
            joint = " and " if 0 < low < 100 and size == 1000 else " "
            return f"{cardinal(high)} {scale}" + (f"{joint}{cardinal(low)}" if low else "")
    if number >= 100:
        high, low = divmod(number, 100)
        return f"{_ONES[high]} hundred" + (f" and {cardinal(low)}" if low else "")
    if number >= 20:
        high, low = divmod(number, 10)
        return _TENS[high] + (f"-{_ONES[low]}" if low else "")
    return _ONES[number]


def ordinal(number: int) -> str:
    """Return for instance "twenty-first"."""
    words = cardinal(number)
    start = max(words.rfind(" "), words.rfind("-")) + 1
    last = words[start:]
    if last not in _ORDINALS:
        last = f"{last[:-1]}ie" if last.endswith("y") else last
        return f"{words[:start]}{last}th"
    return words[:start] + _ORDINALS[last]


def year(number: int) -> str:
    """Return a number of four digits as a year is read: "nineteen oh five", "twenty twenty-four"."""
    high, low = divmod(number, 100)
    if high % 10 == 0 and low < 10:
        return cardinal(number)
    if low == 0:
        return f"{cardinal(high)} hundred"
    return f"{cardinal(high)} {f'oh {cardinal(low)}' if low < 10 else cardinal(low)}"


def number_words(written: str) -> str:
    """Return the words of a written number, with or without commas and decimals."""
    whole, point, decimals = written.replace(",", "").partition(".")
    if len(whole) > MAX_DIGITS or (len(whole) > 1 and whole[0] == "0"):
        words = digit_names(whole)
    else:
        words = cardinal(int(whole)) if whole else ""
    return f"{words} point {digit_names(decimals)}".lstrip() if point else words


def han_digits(digits: str) -> str:
    return "".join(_HAN_DIGITS[int(digit)] for digit in digits)


def han_telephone(digits: str) -> str:
    """Return the digits with 幺 for one, which on the telephone is not mistaken for seven."""
    return han_digits(digits).replace("一", "幺")


def han_cardinal(number: int) -> str:
    """Return for instance 一千二百三十四 for a number of up to MAX_DIGITS digits."""
    for size, scale in _HAN_SCALES:
        if number >= size:
            high, low = divmod(number, size)
            words = "两" if high == 2 else han_cardinal(high)
            gap = ("零" if low < size // 10 else "") + ("一" if 10 <= low < 20 else "")
            return words + scale + (gap + han_cardinal(low) if low else "")
    words, skipped, rest = "", False, number
    for size, scale in _HAN_TENS:
        high, rest = divmod(rest, size)
        if high:
            digit = "两" if high == 2 and scale == "千" else _HAN_DIGITS[high]
            words += ("零" if skipped and words else "") + ("" if 10 <= number < 20 else digit) + scale
        skipped = not high
    if rest or not number:
        words += ("零" if skipped and words else "") + _HAN_DIGITS[rest]
    return words
