"""Chinese normalization: numbers, dates, money and units in words."""

import re
from collections.abc import Callable

from voxcli.text.normalization.chinese_readers import NUMBER, read
from voxcli.text.normalization.chinese_words import CURRENCY, CURRENCY_WORD, MEASURES, SPEEDS, UNIT, UNITS
from voxcli.text.normalization.numerals import (
    RAISED,
    TELEPHONE,
    han_cardinal,
    han_digits,
    plain_exponent,
    with_plain_digits,
)

HAN = "\u3400-\u4dbf\u4e00-\u9fff〇"
"""For use inside a character class."""

_TO = r"(?: [ ]?(?:[-–—~～]{1,2}|[至到])[ ]? )"
_SIGN = r"(?: (?<! [\w)\]%℃°.+] ) [-+±] (?=[\d.$¥￥€£]) | (?<= [" + HAN + r"] ) [-+±] (?=[\d.$¥￥€£]) )"
_SCALE = r"[百千万亿]{1,2}"
# The first alternative that matches is used. The name of a group selects its reader.
_EXPRESSIONS = re.compile(
    rf"""
      (?P<telephone> {TELEPHONE} )
  | (?P<plate> (?<=[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼])
        [A-Z][ ·]?(?=[A-Z]*\d)[A-Z0-9]{{5,6}}(?![A-Za-z0-9]) )
  | (?P<train> (?<![A-Za-z0-9]) [GDCKTZY][ ]?\d{{1,4}} (?=次|号?列车|号?高铁|号?动车) )
  | (?P<date> (?<![\d./-]) \d{{4}}(?P<dash>[-/.])(?:0?[1-9]|1[0-2])(?P=dash)(?:0?[1-9]|[12]\d|3[01]) (?![\d/-]|\.\d) )
  | (?P<season> (?<!\d) (?:19|20)\d\d[-/–]\d\d (?=赛季|学年|年度|财年|年) )
  | (?P<month> (?<![\d./-]) (?:19|20)\d\d[-/](?:0[1-9]|1[0-2]) (?![\d/.-]|年) )
  | (?P<money> {_SIGN}? (?: (?:(?<![A-Za-z])(?P<symbol>{CURRENCY})) [ ]? (?P<price>{NUMBER}) (?P<scale>{_SCALE})?
          (?: {_TO} (?:{CURRENCY})?[ ]? (?P<top>{NUMBER}) (?P<top_scale>{_SCALE})? )?
        | (?P<bare_price>{NUMBER}) (?P<bare_scale>{_SCALE})? [ ]? (?P<after>{CURRENCY}) (?![A-Za-z\d]) )
        (?: [ ]?(?P<word>{CURRENCY_WORD}) )? )
  | (?P<colons> (?<![\d.:]) \d{{1,5}}(?:[ ]?:[ ]?\d{{1,5}})+ (?![\d:]|\.\d) )
  | (?P<duration> (?<![A-Za-z\d.]) (?: \d+[hH][ ]?\d+(?:min|m)?(?:[ ]?\d+s)? | \d+m[ ]?\d+s ) (?![A-Za-z]) )
  | (?P<height> (?<![A-Za-z\d.]) \d'[ ]?\d{{1,2}}(?:"|''|”)? (?!\w) )
  | (?P<version> (?<![\d.]) \d{{1,9}}(?:\.\d{{1,9}}){{2,}} (?::\d{{2,5}}(?!\d))? )
  | (?P<chain> (?<![A-Za-z\d.-]) \d{{1,4}}(?:-\d{{1,4}}){{2,}} (?![A-Za-z\d-]) )
  | (?P<event> (?<![\d.·]) \d{{1,2}}·\d{{1,2}} (?![\d.·]) | 9/11 (?=[事恐袭]) | (?:985|211|996|618|911|315|404|502)
        (?= 高校|大学|院校|工程|工作制|大促|购物节|事件|晚会|错误|页面|胶 ) )
  | (?P<generation> (?<!\d) (?:[5-9][05]|[01][05]) (?=(?:[、和]\d0)?后(?![面来期续台备方门天年]|的[天年])) )
  | (?P<fraction> (?<![\d.,/A-Za-z]) (?: \d{{1,3}}[ ] )? \d{{1,4}}/\d{{1,4}} (?! [\d/A-Za-z] | [.,]\d ) )
  | (?P<power> (?<![A-Za-z\d.]) {NUMBER} (?: [eE][-+]?\d{{1,3}} (?!\w) | \^-?\d{{1,4}} ) )
  | (?P<percent> {_SIGN}? {NUMBER} (?: [%‰]? {_TO} {_SIGN}? {NUMBER} )? [ ]?[%‰] )
  | (?P<name> (?<=[A-Za-z]) [ -]?\d+(?:\.\d+)* (?: -\d+(?:\.\d+)*(?=[A-Za-z]) )? )
  | (?P<quantity> {_SIGN}? {NUMBER} (?: {_TO} (?: (?<=[~～至到])-(?=\d) )? {NUMBER} (?! [ ]?[-=*/] | \.\d ) )?
        (?: [ ]? (?: {UNIT} ) (?![A-Za-z\d]) )? )
    """,
    re.VERBOSE,
)
_HALF_WIDTH = str.maketrans("％＄＋－−＝＜＞", "%$+--=<>")


def _about(number: re.Match[str]) -> str:
    """Read 2、3个 as 两三个: neighbours are an estimate."""
    low, high = number.groups()
    if int(high) != int(low) + 1 or number.string.endswith("第", 0, number.start()):
        return number[0]
    return ("两" if low == "2" else han_digits(low)) + han_digits(high)


def _airliner(number: re.Match[str]) -> str:
    return han_digits(number[1]) + (han_cardinal(int(number[2])) if number[2] else "")


def _per(units: re.Match[str]) -> str:
    """Read mg/L as 毫克每升."""
    if units[0] in SPEEDS:
        return units[0]
    return f"{UNITS.get(units[1], units[1])}每{UNITS.get(units[2], units[2])}"


_SIGNS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile("(?<=[0-9])：(?=[0-9])"), ":"),
    (re.compile(r"(?<=:\d\d) ?[-–—~～] ?(?=\d\d?:\d\d)"), "到"),
    (re.compile(r"(?<![\w.)])\.(?=\d)"), "0."),
    (re.compile(f"(?<=[0-9])[{RAISED}]+"), lambda raised: f"^{plain_exponent(raised[0])}"),
    (re.compile(f"(?<=[a-z])[{RAISED}⁻]+(?<![²³])"), lambda raised: f"的{plain_exponent(raised[0])}次方"),
    (re.compile(r"(?<=[歼轰运直苏图风征格旗击浪舟娥宫问]) ?- ?(?=\d)"), ""),
    (re.compile(r"(?<=波音|空客)(\d{3})(?:-(\d{3}))?(?!\d)"), _airliner),
    (re.compile(r"(?<![\d.,])(\d+)(?:st|nd|rd|th)(?![A-Za-z])"), r"第\1"),
    (re.compile(r"(?<=[A-Za-z])\+(?=\d)|(?<=\d)/(?=\d{2,3} ?mmHg)"), lambda sign: "加" if sign[0] == "+" else "比"),
    (re.compile(rf"(?<=\d)({UNIT})/({UNIT}|[{HAN}])(?![A-Za-z])"), _per),
    (re.compile(r"(?<![A-Za-z])N[oO]\. ?(?=\d)|№ ?(?=\d)"), "第"),
    (re.compile(r"(?<=\d)#(?=[楼栋机])"), "号"),
    (re.compile(rf"(\d(?:{MEASURES}|{_SCALE}[元个]?)?)/(?=[{HAN}])"), r"\1每"),
    (re.compile(rf"(?<=[元块])/({UNIT})(?![A-Za-z])"), lambda per: f"每{UNITS.get(per[1], per[1])}"),
    (re.compile(rf"(?<!\d)([1-9])、([1-9])(?!\d)(?={MEASURES})"), _about),
    (re.compile(rf"(?<=\d) (?=[{HAN}])|(?<=[{HAN}]) (?=[\d$¥￥€£])"), ""),
    (re.compile(r"(?<=\d) ?[-–—~～] ?(?=(?:周|星期|第|[GDCK])\d)"), "到"),
    (re.compile(rf"(\d(?:{MEASURES}|[年月日号时楼级期]|公斤|{_SCALE}元?)) ?[-–—~～] ?(?=[\d$¥￥])"), r"\1到"),
    (re.compile(r"(?<=\d%) ?[-–—～] ?(?=-?\d)"), "~"),
    (re.compile(rf"(?<![A-Za-z\d.])(\d+(?:\.\d+)? ?(?:{UNIT})) ?[-–—~～] ?(?=-?\d|零下|负)"), r"\1到"),
    (re.compile(r"(?<=[\d%)）]) ?[*×] ?(?=[\d(（])|(?<=\d)[xX](?=\d)"), "乘"),
    (re.compile(r"(?<=[\d%)）])(?: ?÷ ?| / )(?=[\d(（])|(?<=\d)/(?=\d+(?:\.\d+)? ?=)"), "除以"),
    (re.compile(r"(?<=[\d%)）]) ?\+ ?(?=[\d(（])|(?<=\d)\+(?![\w+])"), "加"),
    (re.compile(r"(?<=[\d)）]) ?- ?(?=[\d.]{1,30} ?=)"), "减"),
    (re.compile(r" ?= ?"), "等于"),
    (re.compile(r" ?≠ ?"), "不等于"),
    (re.compile(r" ?≥ ?"), "大于等于"),
    (re.compile(r" ?≤ ?"), "小于等于"),
    (re.compile(r" ?> ?(?=-?\d)"), "大于"),
    (re.compile(r" ?< ?(?=-?\d)"), "小于"),
    (re.compile(r"(?<![\d%~℃])[~≈] ?(?=\d)"), "约"),
    (re.compile(r"(?<=\d),(?=\d(?!\d\d(?!\d)))|(?<=\d{4}),(?=\d)"), "、"),
)
_NAMED_SIGNS = {"=": "等于", "≈": "约等于", "√": "根号", "²": "平方", "³": "立方", "<": "小于"}
"""Signs in text without numbers."""
_DIGIT = re.compile(rf"[\d{RAISED}]")
_DIGITS = re.compile(r"\d+")


def spelled_in_chinese(text: str) -> str:
    """Return the text with all digits spelled out."""
    text = with_plain_digits(text)
    if not _DIGIT.search(text):
        return text
    text = text.translate(_HALF_WIDTH)
    for sign, words in _SIGNS:
        text = sign.sub(words, text)
    text = _EXPRESSIONS.sub(read, text)
    return _DIGITS.sub(lambda digits: han_digits(digits[0]), text)


def with_named_signs(text: str) -> str:
    """Return the text with its signs in words."""
    for sign, name in _NAMED_SIGNS.items():
        text = text.replace(sign, name)
    return text
