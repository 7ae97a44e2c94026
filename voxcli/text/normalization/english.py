"""English normalization: numbers, dates, money and units in words."""

import re
import unicodedata
from collections.abc import Callable

from voxcli.text.normalization.english_readers import NUMBER, name_number, read, spelled_name
from voxcli.text.normalization.english_words import CURRENCIES, CURRENCY_WORDS, MONTHS, PLURALS, SCALES, UNITS
from voxcli.text.normalization.numerals import TELEPHONE, digit_names, ordinal, with_plain_digits

_SIGN = r"(?: (?<! [\w)\]%.] ) [-+±~≈] [ ]? (?=[\d.$£€¥₹₩]|[A-Z]{1,2}\$) )?"
_RANGE = rf"{_SIGN} {NUMBER} (?: [ ]?[-–—~][ ]? {NUMBER} (?! [\w-]*\d ) )?"
_MONTH = rf"(?: {'|'.join(MONTHS)} )"
_DAY = r"(?: 0?[1-9] | [12]\d | 3[01] ) (?: st | nd | rd | th )?"
_YEAR = r"[12]\d{3} (?! [\d.,]*\d | [-–]\d )"
_HALF_DAY = r"(?: [AaPp]\.?[Mm]\b\.? )"
_ANY_UNIT = "|".join(re.escape(unit) for unit in sorted(UNITS, key=len, reverse=True))
_ANY_SCALE = "|".join(SCALES)
_CURRENCY = "|".join(re.escape(sign) for sign in sorted(CURRENCIES, key=len, reverse=True))

# The first alternative that matches is used. The name of a group selects its reader.
_EXPRESSIONS = re.compile(
    rf"""
      (?P<telephone> {TELEPHONE} )
  | (?P<date> (?<![\d./-])
        (?: \d{{4}}(?P<dash>[-/.])\d\d?(?P=dash)\d\d? | \d\d?(?P<slash>[-/.])\d\d?(?P=slash)\d{{4}} ) (?![\d/-]) )
  | (?P<month_day> \b {_MONTH} \.? [ ] {_DAY} (?! [\d:%/-] | [.,]\d | \w ) (?: ,?[ ] {_YEAR} )? )
  | (?P<day_month> \b {_DAY} [ ] (?:of[ ])? {_MONTH} \b (?: \.?,?[ ] {_YEAR} )? )
  | (?P<money> {_SIGN} (?: (?<![A-Za-z]) (?P<currency>{_CURRENCY}) [ ]? {_RANGE}
        | {_RANGE} [ ]? (?P<after>[$€£¥₹₩¢]) (?!\d) )
        (?: [ ]? (?P<scale> {_ANY_SCALE} ) (?!\w) )? (?: [ ](?:{CURRENCY_WORDS})\b )? )
  | (?P<feet> (?<![\w.]) (?P<foot>\d{{1,2}}) [ ]? ['’′] (?: [ ]? (?P<inch>\d{{1,2}}(?:\.\d)?) (?:["”″]|''|(?!\w)) )
        | (?<![\w.]) {NUMBER} (?: ′ | ['’](?=[ ](?:tall|long|wide|high|deep|by|x)\b) ) )
  | (?P<inches> (?<![\w.]) {NUMBER} (?: ″ | (?<=\d)in\b | "(?=[ ](?:screen|monitor|display|pipe|wheels?|x\b|by\b)) ) )
  | (?P<duration> (?<![\w.]) (?: \d+h[ ]?\d+(?:min|m)? (?:[ ]?\d+s)? | \d+m(?:in)?[ ]?\d+s ) \b )
  | (?P<power> (?<![\w.]) {NUMBER} (?: [eE][-+]?\d{{1,3}} | \^[-+]?\d{{1,4}} ) (?!\w|\.\d) )
  | (?P<clock> (?<![\d:]) (?: \d\d?:[0-5]\d(?::[0-5]\d)? (?: [ ]? {_HALF_DAY} )? | \d\d?[ ]? {_HALF_DAY} ) (?![\d:]) )
  | (?P<decade> (?<![\w.]) (?: '?[2-9]0 | (?: 1\d | 20 )\d0 ) '?s \b )
  | (?P<place> {NUMBER} (?: st | nd | rd | th ) \b )
  | (?P<version> \d{{1,9}}(?:\.\d{{1,9}}){{2,}} (?::\d{{2,5}}(?!\d))? )
  | (?P<seasons> (?<![\d.,/]) (?:19|20)\d\d/\d\d (?![\d/]) )
  | (?P<fraction> (?<![\d.,/]) (?: \d{{1,3}}[ ] )? \d{{1,4}}/\d{{1,4}} (?! [\d/] | [.,]\d ) )
  | (?P<ratio> (?<![\d:.]) \d{{1,4}}:\d{{1,4}} (?! [\d:] | [.,]\d ) )
  | (?P<measure> {_RANGE} [ ]? (?P<unit> {_ANY_UNIT} ) (?! \w | [./]\w ) )
  | (?P<amount> {_RANGE} )
    """,
    re.VERBOSE,
)


def _short_date(match: re.Match[str]) -> str:
    """Read "on 5/6" as a date, in the American order; 13/5 can only be the other."""
    month, day = int(match[2]), int(match[3])
    if month > 12:
        month, day = day, month
    return f"{match[1]} {MONTHS[month - 1]} {ordinal(day)}" if 1 <= month <= 12 and 1 <= day <= 31 else match[0]


_HALF_WIDTH = str.maketrans("％＄＋－＝＜＞", "%$+-=<>")
_NAME = re.compile(
    r"(?<![\w'’.-])(?!(?i:mid|early|late|pre|post)-(?:\d\d)?\d0s\b)(?=[A-Za-z0-9.-]{0,30}[A-Z]|[A-Za-z]+\d|[a-z]+-[\d.]+-)"
    r"[A-Za-z]{1,20}-?\d+(?:\.\d+)*[A-Za-z]{0,12}(?:-[A-Za-z0-9]+(?:\.\d+)*){0,4}(?![\w%°$€£]|[.:]\d|-\d)"
)
"""A name with digits in it: GPT-4o-mini, H100, COVID-19, Qwen2.5-7B. What follows its digits is no unit."""
_NUMBERED = re.compile(
    r"\b(Boeing|Airbus|Flight|flight|Room|room|Route|Highway|Interstate|Suite|RTX|GTX|Ryzen|Porsche|Xbox|PlayStation) "
    r"(\d{3,4})(?![\w,.-]*\d| ?[%°])"
)
_CODE = re.compile(
    r"\b((?:[Cc]ode|PIN|[Pp]asscode|[Pp]assword|ZIP|[Zz]ip|OTP|[Ee]xtension|ID)(?: (?:is|number))?:? )"
    r"(\d{3,11})(?![\w,.:-]*\d|%)"
    r"|\b((?:[Cc]all|[Dd]ial)(?:ed|ing|s|led|ling)? )(911|999|988|112|110|119|120|411|311|211)(?![\w,.:-]*\d)"
)
_RAISED = re.compile("(?<=[0-9])[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+")
_SIGNS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile("−"), "-"),
    (_NAME, spelled_name),
    (_NUMBERED, lambda name: f"{name[1]} {name_number(name[2])}"),
    (_CODE, lambda code: (code[1] or code[3]) + digit_names(code[2] or code[4])),
    (re.compile(r"\b(\d{3,4})p\b"), lambda lines: f"{name_number(lines[1])} p"),
    (re.compile(r"(?<=\d\d-\d\d)T(?=\d\d:\d\d)"), " at "),
    (_RAISED, lambda raised: "^" + unicodedata.normalize("NFKC", raised[0]).replace("−", "-")),
    (re.compile(rf"(?<=\d)m(?= (?:{PLURALS})\b)"), " million"),
    (re.compile(r"(?<=[\d])-(to|in|by|on|of)-(?=\d|[a-z])"), r" \1 "),
    (re.compile(r"\b(on|by|since|until|till|due|dated) (\d\d?)/(\d\d?)(?![\d/]|,?\d)"), _short_date),
    (re.compile(r"(?<=\d)[xX](?=\d)"), " by "),
    (re.compile(r"(?<=\d),(?=\d(?!\d\d(?!\d)))"), ", "),
    (re.compile(r"(?<=[A-Za-z])(?<!\d[eE])-(?=\d)"), " "),
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

_DIGITS = re.compile(r"\d+")
_DIGIT = re.compile(r"\d")


def spelled_in_english(text: str) -> str:
    """Return the text with all digits spelled out. Spaces may be doubled."""
    text = with_plain_digits(text)
    if not _DIGIT.search(text):
        return text
    text = text.translate(_HALF_WIDTH)
    for sign, words in _SIGNS:
        text = sign.sub(words, text)
    return _DIGITS.sub(lambda digits: digit_names(digits[0]), _EXPRESSIONS.sub(read, text))
