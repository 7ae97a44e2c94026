"""English normalization: numbers, dates, money and units in words."""

import re

from wetext import Normalizer

from voxcli.text.normalization.english_words import CURRENCIES, MONTHS, SCALES, SHORT_FORMS, UNITS, full_month
from voxcli.text.normalization.numerals import (
    TELEPHONE,
    cardinal,
    digit_groups,
    digit_names,
    number_words,
    ordinal,
    with_plain_digits,
    year,
)

_grammar = Normalizer(lang="en", operator="tn")

_NUMBER = r"(?: \d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)? | \d+(?:\.\d+)? | (?<![\w.])\.\d+ )"
_SIGN = r"(?: (?<! [\w)\]%.] ) [-+±~≈] [ ]? (?=[\d.$£€¥]|US) )?"
_RANGE = rf"{_SIGN} {_NUMBER} (?: [ ]?[-–—~][ ]? {_NUMBER} (?! [\w-]*\d ) )?"
_MONTH = rf"(?: {'|'.join(MONTHS)} )"
_DAY = r"(?: 0?[1-9] | [12]\d | 3[01] ) (?: st | nd | rd | th )?"
_YEAR = r"[12]\d{3} (?! [\d.,]*\d | [-–]\d )"
_HALF_DAY = r"(?: [AaPp]\.?[Mm]\b\.? )"
_HOST = r"(?: [A-Za-z0-9-]{1,60} (?: \.[A-Za-z0-9-]{1,60} ){1,9} )"
_ANY_UNIT = "|".join(re.escape(unit) for unit in sorted(UNITS, key=len, reverse=True))
_ANY_SCALE = "|".join(SCALES)

# The first alternative that matches is used. The name of a group selects its reader.
_EXPRESSIONS = re.compile(
    rf"""
      (?P<telephone> {TELEPHONE} )
  | (?P<date> (?<![\d./-])
        (?: \d{{4}}(?P<dash>[-/.])\d\d?(?P=dash)\d\d? | \d\d?(?P<slash>[-/.])\d\d?(?P=slash)\d{{4}} ) (?![\d/-]) )
  | (?P<month_day> \b {_MONTH} \.? [ ] {_DAY} (?! [\d:%/-] | [.,]\d | \w ) (?: ,?[ ] {_YEAR} )? )
  | (?P<day_month> \b {_DAY} [ ] (?:of[ ])? {_MONTH} \b (?: \.?,?[ ] {_YEAR} )? )
  | (?P<money> {_SIGN} (?: (?:US)?[$£€¥] [ ]? {_RANGE} | {_RANGE} [ ]? [$€£¥] (?!\d) )
        (?: [ ]? (?P<scale> {_ANY_SCALE} ) (?!\w) )? )
  | (?P<clock> (?<![\d:]) (?: \d\d?:[0-5]\d(?::[0-5]\d)? (?: [ ]? {_HALF_DAY} )? | \d\d?[ ]? {_HALF_DAY} ) (?![\d:]) )
  | (?P<decade> (?<!\d) (?: '?[2-9]0 | (?: 1\d | 20 )\d0 ) '?s \b )
  | (?P<place> {_NUMBER} (?: st | nd | rd | th ) \b )
  | (?P<version> \d{{1,9}}(?:\.\d{{1,9}}){{2,}} )
  | (?P<fraction> (?<![\d.,/]) (?: \d{{1,3}}[ ] )? \d{{1,4}}/\d{{1,4}} (?! [\d/] | [.,]\d ) )
  | (?P<ratio> (?<![\d:.]) \d{{1,4}}:\d{{1,4}} (?! [\d:] | [.,]\d ) )
  | (?P<measure> {_RANGE} [ ]? (?P<unit> {_ANY_UNIT} ) (?! \w | [./]\w ) )
  | (?P<amount> {_RANGE} )
    """,
    re.VERBOSE,
)
_SIGNS = (
    (re.compile(r"−"), "-"),
    (re.compile(r"(?<=[A-Za-z])-(?=\d)"), " "),
    (re.compile(r"(?<=[\d)]) ?- ?(?=[\d.]{1,30} ?=)"), " minus "),
    (re.compile(r"(?<=:\d\d) ?[-–] ?(?=\d\d?:\d)|(?<=\d[%kKMB]) ?[-–] ?(?=[$£€¥]?\d)"), " to "),
    (re.compile(r"(?<=\d) ?[-–] ?(?=[$£€¥])"), " to "),
    (re.compile(r"(?<=[\dkKMB])/(?=[a-z]{3})"), " per "),
    (re.compile(r"(?<=[\d%)]) ?[*×] ?(?=[\d(])"), " times "),
    (re.compile(r"(?<=[\d%)])(?: ?÷ ?| / )(?=[\d(])"), " divided by "),
    (re.compile(r"(?<=[\d%]) ?= ?| ?= ?(?=-?\d)"), " equals "),
    (re.compile(r"(?<=[\d%)]) ?\+ ?(?=[\d(])|(?<=\d)\+(?!\w)"), " plus "),
    (re.compile(r" ?< ?(?=\d)"), " less than "),
    (re.compile(r" ?> ?(?=\d)"), " more than "),
    (re.compile(r" ?≤ ?(?=\d)"), " at most "),
    (re.compile(r" ?≥ ?(?=\d)"), " at least "),
    (re.compile(r" ?≠ ?(?=\d)"), " is not "),
    (re.compile(r"(?<!\w)(?:#|№|Nos?\.) ?(?=\d)"), "number "),
)
_SIGN_WORDS = {"-": "minus", "+": "plus", "±": "plus or minus", "~": "about", "≈": "about"}

_TOP_DOMAIN = "com|org|net|edu|gov|io|ai|cn|co|uk|de|fr|jp|dev|app|info|tv|xyz|eu|ru|gg|tech|cloud|hk|tw|nl|ch|ca|au"
_SUFFIX = (
    "pdf|txt|docx?|xlsx?|pptx?|csv|json|ya?ml|toml|py|js|ts|md|html?|css|png|jpe?g|gif|svg|mp[34]|wav|flac|ogg|opus|zip|"
    "tar|gz|exe|log|conf|cfg|ini|sh|bat|xml|sql|ipynb|epub|safetensors|gguf|pth|so|dll|cpp|rs|go|java"
)
_PATH = r"[A-Za-z0-9./?=&%\#~_:+-]{0,200}"
_ADDRESS = re.compile(
    rf"""
    (?<![A-Za-z0-9.@/\\_-])
    (?: (?: https?:// | ftp:// | www\. ) {_HOST} (?: :\d{{2,5}} )? (?: /{_PATH} )?
      | [A-Za-z0-9.+_-]{{1,60}}@{_HOST}
      | (?: [A-Za-z0-9-]{{1,60}}\. ){{1,6}}(?:{_TOP_DOMAIN})(?![A-Za-z0-9]) (?: :\d{{2,5}} )? (?: /{_PATH} )?
      | localhost:\d{{2,5}} (?: /{_PATH} )?
      | ~?(?: /[A-Za-z0-9_.+-]{{1,60}} ){{2,12}}/?
      | [A-Za-z]:\\[A-Za-z0-9_.\\-]{{1,200}}
      | (?: \.{{0,2}}/ )? (?: [A-Za-z0-9_-]{{1,60}}[/.] ){{1,12}}(?:{_SUFFIX})(?![A-Za-z0-9])
    )
    (?<! [.?:] ) (?! [@A-Za-z0-9_] )
    """,
    re.VERBOSE,
)
_ADDRESS_SIGNS = {
    ".": "dot",
    "@": "at",
    "/": "slash",
    "\\": "backslash",
    ":": "colon",
    "-": "dash",
    "_": "underscore",
    "?": "question mark",
    "=": "equals",
    "&": "and",
    "%": "percent",
    "#": "hash",
    "~": "tilde",
    "+": "plus",
}
_ADDRESS_PIECE = re.compile(r"[A-Za-z]+|\d+|.")
_DIGITS = re.compile(r"\d+")
_DIGIT = re.compile(r"\d")
_SHORT_FORM = re.compile(rf"\b(?:{'|'.join(map(re.escape, SHORT_FORMS))})")
_A_RANGE = re.compile(rf"({_NUMBER}) (?: [ ]?[-–—~][ ]? ({_NUMBER}) )?", re.VERBOSE)
_MONTH_NAME = re.compile("|".join(MONTHS))
_SENTENCE_END = re.compile(r"""["'”’)]*(?:\s+["'“‘(]*[A-Z]|\s*\Z)""")

_LIKE_YEARS = range(1100, 2100)
_PARTS = frozenset((2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16, 20, 100))
"""Denominators of true fractions, such as 3/4, unlike 24/7 and 50/50."""
_TELEPHONE_DIGITS = 10
"""A number of this length without commas is not a quantity, unless it is round."""


def expanded(text: str) -> str:
    """Return the text with short forms such as "Dr." and web and mail addresses in words."""
    text = _SHORT_FORM.sub(lambda short: SHORT_FORMS[short[0]], text)
    return _ADDRESS.sub(_spelled_address, text)


def _spelled_address(address: re.Match[str]) -> str:
    """Read the letters of an address as words, its digits one by one, and its signs by their names."""
    written = address[0].split("://")[-1].rstrip("/")
    words = [
        digit_names(piece) if piece.isdecimal() else _ADDRESS_SIGNS.get(piece, piece)
        for piece in _ADDRESS_PIECE.findall(written)
    ]
    return " ".join("WWW" if word == "www" else word for word in words)


def spelled_in_english(text: str) -> str:
    """Return the text with all digits spelled out. Spaces may be doubled."""
    text = with_plain_digits(text)
    if not _DIGIT.search(text):
        return text
    for sign, words in _SIGNS:
        text = sign.sub(words, text)
    return _DIGITS.sub(lambda digits: digit_names(digits[0]), _EXPRESSIONS.sub(_read, text))


def _read(match: re.Match[str]) -> str:
    """Return the words for a match, separated from adjacent letters."""
    words = _READERS[match.lastgroup or ""](match)
    before = match.string[max(match.start() - 1, 0) : match.start()]
    after = match.string[match.end() : match.end() + 1]
    return (" " if before.isalpha() else "") + words + (" " if after.isalpha() else "")


def _by_grammar(written: str) -> str:
    try:
        return str(_grammar.normalize(written))
    except AssertionError:  # wetext's way of reporting that it has no reading
        return written


def _telephone(match: re.Match[str]) -> str:
    plus = "plus " if match[0].startswith("+") else ""
    return plus + ", ".join(map(digit_names, digit_groups(match[0])))


def _date(match: re.Match[str]) -> str:
    """Read 2024-05-06; read 05/06/2024 in the American order, unless that is not a date."""
    first, second, third = _DIGITS.findall(match[0])
    written_year, month, day = (first, second, third) if len(first) == 4 else (third, first, second)
    if int(month) > 12 and written_year is third:
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
    symbol = next(char for char in match[0] if char in CURRENCIES)
    one, many, cent, cents = CURRENCIES[symbol]
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


def _clock(match: re.Match[str]) -> str:
    hour, *rest = _DIGITS.findall(match[0])
    words = [cardinal(int(hour))]
    words += [f"oh {cardinal(int(part))}" if part[0] == "0" else cardinal(int(part)) for part in rest if int(part)]
    letters = re.sub(r"[^a-z]", "", match[0].lower()).upper()
    if not letters:
        return " ".join(words if len(words) > 1 else [*words, "o'clock"])
    stop = match[0].endswith(".") and _SENTENCE_END.match(match.string, match.end())
    return " ".join([*words, letters]) + ("." if stop else "")


def _decade(match: re.Match[str]) -> str:
    digits = _DIGITS.findall(match[0])[0]
    words = year(int(digits)) if len(digits) == 4 else cardinal(int(digits))
    return f"{words[:-1]}ies" if words.endswith("y") else f"{words}s"


def _place(match: re.Match[str]) -> str:
    return ordinal(int(match[0][:-2].replace(",", "").partition(".")[0] or 0))


def _version(match: re.Match[str]) -> str:
    return " point ".join(digit_names(part) if len(part) > 2 else number_words(part) for part in match[0].split("."))


def _fraction(match: re.Match[str]) -> str:
    *whole, numerator, denominator = _DIGITS.findall(match[0])
    if int(denominator) in _PARTS and (0 < int(numerator) < int(denominator)):
        return _by_grammar(match[0])
    return " ".join(map(number_words, (*whole, numerator, denominator)))


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
    "month_day": _month_day,
    "day_month": _day_month,
    "money": _money,
    "clock": _clock,
    "decade": _decade,
    "place": _place,
    "version": _version,
    "fraction": _fraction,
    "ratio": _ratio,
    "measure": _measure,
    "amount": _amount,
}
