"""Telephone numbers, which are read digit by digit."""

import re

# With a plus, a country code and at least eight digits; American; Chinese mobile, landline and service numbers; and
# the seven digits that only a neighbour needs. Of these, two numbers that end in nought are rather a range.
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
"""A verbose pattern. It has a group of its own, `gap`."""

_DIGITS = re.compile(r"\d+")


def digit_groups(number: str) -> list[str]:
    """Return the digits of a telephone number, in the groups they were written in."""
    return _DIGITS.findall(number)
