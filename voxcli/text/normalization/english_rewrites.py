"""Rewrites of English text before its numbers are read: names with digits, codes, and signs between numbers."""

import re
from collections.abc import Callable

from voxcli.text.normalization.english_readers import name_number, raised_to, spelled_name
from voxcli.text.normalization.english_words import MONTHS, PER, PLURALS
from voxcli.text.normalization.numerals import RAISED, digit_names, ordinal, plain_exponent


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
    r"\b((?:[Cc]ode|PIN|[Pp]asscode|[Pp]assword|ZIP|[Zz]ip|OTP|[Ee]xtension|ID|[Tt]el\.?|[Pp]hone|[Ff]ax)"
    r"(?: (?:is|number))?:? )(\d{3,11})(?![\w,.:-]*\d|%)"
    r"|\b((?:[Cc]all|[Dd]ial)(?:ed|ing|s|led|ling)? )(911|999|988|112|110|119|120|411|311|211)(?![\w,.:-]*\d)"
)
_RAISED = re.compile(f"(?<=[0-9])[{RAISED}⁻]+")
_RAISED_LETTER = re.compile(rf"(?<![\dA-Za-z])(?<!\d )([A-Za-z]{{1,2}})([{RAISED}⁻]+)")
_MONTH = "|".join(MONTHS)
_PARTICLES = "to|in|by|on|of|for|a|and|or"
_LENGTHS = "thick|wide|tall|long|deep|high|diagonal|screen|monitor|display|tablet|laptop|TV|pipe|wheels?"

_MULTIPLIERS = {"k": " thousand", "m": " million", "b": " billion"}
_REWRITES: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile("−"), "-"),
    (re.compile(r"\b24/7/365\b"), "24 7 365"),
    (re.compile(r"\b1-(8\d\d)-(?=[A-Z]{3})"), lambda prefix: f"one, {digit_names(prefix[1])}, "),
    (re.compile(r"(?<=\+\+|[CF]#)(?=\d)"), " "),
    (re.compile(r"(?<=\b[A-Z])\.(?=\d{3}\b)"), " "),
    (_NAME, spelled_name),
    (_NUMBERED, lambda name: f"{name[1]} {name_number(name[2])}"),
    (_CODE, lambda code: (code[1] or code[3]) + digit_names(code[2] or code[4])),
    (re.compile(r"\b(\d{3,4})p\b"), lambda lines: f"{name_number(lines[1])} p"),
    (re.compile(rf"\b({_MONTH}) '(\d\d)\b"), lambda date: f"{date[1]} {'19' if date[2] >= '50' else '20'}{date[2]}"),
    (re.compile(r"\b(of|in) '(?=\d\d\b)"), r"\1 "),
    # Dates and times.
    (re.compile(r"(?<=\d\d-\d\d)T(?=\d\d:\d\d)"), " at "),
    (re.compile(r"\b00:00\b(?!:)"), "midnight"),
    (re.compile(r"\b(on|by|since|until|till|due|dated) (\d\d?)/(\d\d?)(?![\d/]|,?\d)"), _short_date),
    # Thousands and decimals as other countries write them.
    (re.compile(r"(?<![\d,.])\d{1,2}(?:,\d\d)+,\d{3}(?![\d,])"), lambda number: number[0].replace(",", "")),
    (re.compile(r"(?<=[€£])( ?\d+),(?=\d\d(?!\d))|(?<![\d.,])(\d+),(?=\d\d ?€)"), lambda n: (n[1] or n[2]) + "."),
    (re.compile(r"(?<=\d),(?=\d(?!\d\d(?!\d)))"), ", "),
    # Powers, multipliers, lengths.
    (_RAISED_LETTER, lambda power: f"{power[1]} {raised_to(plain_exponent(power[2]))}"),
    (_RAISED, lambda raised: f"^{plain_exponent(raised[0])}"),
    (re.compile(rf"(?<=\d)([kKmMbB])(?= (?:{PLURALS})\b)"), lambda scale: _MULTIPLIERS[scale[1].lower()]),
    (re.compile(r"(\d/\d)(?:rds?|ths?|nds?)\b"), r"\1"),
    (re.compile(r"(?<=\d)' ?[x×] ?(\d+)'"), r" feet by \1 feet"),
    (re.compile(r"(?<=\d)[\"″] ?[x×] ?(\d+)[\"″]"), r" inches by \1 inches"),
    (re.compile(rf"(?<=\d)(?<!['’]\d)(?<!['’] \d)(?<!['’]\d\d)\"(?=[ -](?:{_LENGTHS})\b)"), " inches"),
    (re.compile(r"(?<=\d)x(?= ?[-+=^])"), " X"),
    (re.compile(r"(?<=\d)[xX](?=\d)"), " by "),
    # Ranges, then other hyphens.
    (
        re.compile(rf"(?<=\d)-({_PARTICLES})-(?=\w)|(?<=\w)-({_PARTICLES})-(?=\d)"),
        lambda word: f" {word[1] or word[2]} ",
    ),
    (re.compile(r"(?<=:\d\d) ?[-–] ?(?=\d\d?:\d)|(?<=\d[%kKMB]) ?[-–] ?(?=[$£€¥]?\d)"), " to "),
    (re.compile(r"(\d ?(?:[AaPp]\.?[Mm]\.?)) ?[-–] ?(?=\d)"), r"\1 to "),
    (re.compile(r"(?<=\d) ?[-–] ?(?=[$£€¥])"), " to "),
    (re.compile(r"(?<=[A-Za-z])(?<!\d[eE])-(?=\d)"), " "),
    # Sums, and signs before numbers.
    (re.compile(r"(?<=[\d)]) ?- ?(?=[\d.]{1,30} ?=)"), " minus "),
    (re.compile(rf"(?<=\d)/({'|'.join(PER)})\b"), lambda unit: f" per {PER[unit[1]]}"),
    (re.compile(r"(?<=[\dkKMB])/(?=[a-z]{3})"), " per "),
    (re.compile(r"(?<=[\d%)]) ?[*×] ?(?=[\d(])"), " times "),
    (re.compile(r"(?<=[\d%)])(?: ?÷ ?| / )(?=[\d(])"), " divided by "),
    (re.compile(r" ?(?:<=|≤) ?(?=\d)"), " at most "),
    (re.compile(r" ?(?:>=|≥) ?(?=\d)"), " at least "),
    (re.compile(r" ?(?:!=|≠) ?(?=\d)"), " is not "),
    (re.compile(r"(?<=[\d%]) ?= ?| ?= ?(?=-?\d)"), " equals "),
    (re.compile(r"(?<=[\d%)]) ?\+ ?(?=[\d(])|(?<=\d)\+(?!\w)"), " plus "),
    (re.compile(r" ?< ?(?=\d)"), " less than "),
    (re.compile(r" ?> ?(?=\d)"), " more than "),
    (re.compile(r"(?<!\w)(?:#|№|[Nn]os?\.) ?(?=\d)"), "number "),
    (re.compile(r"§§? ?(?=\d)"), "section "),
    (re.compile(r"√ ?(?=\d)"), "the square root of "),
)


def rewritten(text: str) -> str:
    """Return the text with what surrounds its numbers in words, or as the reader of numbers expects it."""
    text = text.translate(_HALF_WIDTH)
    for pattern, words in _REWRITES:
        text = pattern.sub(words, text)
    return text
