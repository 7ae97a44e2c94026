"""English normalization: numbers, dates, money and units in words."""

import re

from voxcli.text.normalization.english_readers import NUMBER, read
from voxcli.text.normalization.english_rewrites import rewritten
from voxcli.text.normalization.english_words import CURRENCIES, CURRENCY_WORDS, MONTHS, SCALES, UNITS
from voxcli.text.normalization.numerals import RAISED, TELEPHONE, digit_names, with_plain_digits

_SIGN = r"(?: (?<! [\w)\]%.+] ) (?: [-+±~≈] [ ]? | (?<![^\s(]) –(?=\d) ) (?=[\d.$£€¥₹₩]|[A-Z]{1,2}\$) )?"
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
        (?: \d{{4}}(?P<dash>[-/.])\d\d?(?P=dash)\d\d? | \d\d?(?P<slash>[-/.])\d\d?(?P=slash)\d{{4}}
        | \d\d?/\d\d?/\d\d ) (?![\d/-]) )
  | (?P<groups> (?<![\w.-]) (?: \d{{1,5}}(?:-\d{{1,7}}){{2,}} | \d{{4}}(?:[ ]\d{{4}}){{2,}} ) (?![\w-]) )
  | (?P<month_day> \b {_MONTH} \.? [ ] {_DAY} (?! [\d:%/-] | [.,]\d | \w ) (?: ,?[ ] {_YEAR} )? )
  | (?P<day_month> \b {_DAY} [ ] (?:of[ ])? {_MONTH} \b (?: \.?,?[ ] {_YEAR} )? )
  | (?P<money> {_SIGN} (?: (?<![A-Za-z]) (?P<currency>{_CURRENCY}) [ ]? {_RANGE}
        | {_RANGE} [ ]? (?P<after>[$€£¥₹₩¢]|USD|EUR|GBP|JPY|CNY|RMB|INR|CHF|CAD|AUD) (?!\d) )
        (?: [ ]? (?P<scale> {_ANY_SCALE} ) (?!\w) )? (?: [ ](?:{CURRENCY_WORDS})\b )? )
  | (?P<feet> (?<![\w.]) (?P<foot>\d{{1,2}}) [ ]? ['’′] (?: [ ]? (?P<inch>\d{{1,2}}(?:\.\d)?) (?:["”″]|''|(?!\w)) )
        | (?<![\w.]) {NUMBER} (?: ′ | ['’](?=[ ](?:tall|long|wide|high|deep|by|x)\b) ) )
  | (?P<inches> (?<![\w.]) {NUMBER} (?: ″ | (?<=\d)in\b | "(?=[ ](?:screen|monitor|display|pipe|wheels?|x\b|by\b)) ) )
  | (?P<duration> (?<![\w.]) (?: \d+h[ ]?\d+(?:min|m)? (?:[ ]?\d+s)? | \d+m(?:in)?[ ]?\d+s ) \b )
  | (?P<power> {_SIGN} (?<![\w.]) {NUMBER} (?: [eE][-+]?\d{{1,3}} | \^[-+]?\d{{1,4}} ) (?!\w|\.\d) )
  | (?P<clock> (?<![\d:])
        (?: \d\d?:[0-5]\d(?::[0-5]\d)? (?: [ ]? {_HALF_DAY} )? | \d\d?[ ]? {_HALF_DAY} ) (?![\d:]|\.\d) )
  | (?P<decade> (?<![\w.]) (?: '?[2-9]0 | (?: 1\d | 20 )\d0 ) '?s \b )
  | (?P<place> {NUMBER} (?: st | nd | rd | th ) \b )
  | (?P<version> \d{{1,9}}(?:\.\d{{1,9}}){{2,}} (?::\d{{2,5}}(?!\d))? )
  | (?P<seasons> (?<![\d.,/]) (?:19|20)\d\d/\d\d (?![\d/]) )
  | (?P<fraction> {_SIGN} (?<![\d.,/]) (?: \d{{1,3}}[ ] )? \d{{1,4}}/\d{{1,4}} (?! [\d/] | [.,]\d ) )
  | (?P<ratio> (?<![\d:.]) \d{{1,4}}:\d{{1,4}} (?! [\d:] | [.,]\d ) )
  | (?P<measure> {_RANGE} [ ]? (?P<unit> {_ANY_UNIT} ) (?! \w | [./]\w ) )
  | (?P<amount> {_RANGE} )
    """,
    re.VERBOSE,
)

_DIGITS = re.compile(r"\d+")
_DIGIT = re.compile(rf"[\d{RAISED}]")


def spelled_in_english(text: str) -> str:
    """Return the text with all digits spelled out. Spaces may be doubled."""
    text = with_plain_digits(text)
    if not _DIGIT.search(text):
        return text
    return _DIGITS.sub(lambda digits: digit_names(digits[0]), _EXPRESSIONS.sub(read, rewritten(text)))
