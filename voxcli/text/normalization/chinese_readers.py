"""Readers of Chinese numbers: what each kind of expression sounds like."""

import re

from voxcli.text.normalization.chinese_words import CURRENCIES, MEASURES, SPEEDS, UNIT, UNITS
from voxcli.text.normalization.numerals import MAX_DIGITS, digit_groups, han_cardinal, han_digits, han_telephone

NUMBER = r"(?: \d{1,3}(?:,\d{3})+(?![\d,])(?:\.\d+)? | \d+(?:\.\d+)? )"
"""A verbose pattern."""

_CODE_WORD = (
    r"(?: 验证码|校验码|密码|口令|取件码|尾号|车次|航班号?|房间号?|房号|门牌号?|学号|工号|卡号|单号|编号|账号|帐号|"
    r"邮编|代码|编码|QQ群?号?|分机号?|转|身份证号?码?|号码|"
    r"电话|热线|客服|拨打|致电|呼叫|报警|火警|急救|打|拨 ) [是为：:号 ]{0,3}"
)
_FACES = r"比分|比例|配比|赔率|战绩|胜率|比率|稀释|比例尺"
_BEATS = (
    r"战胜|击败|打败|获胜|取胜|领先|落后|大胜|险胜|小胜|完胜|逆转|战平|打平|言和|不敌|负于|惜败|赢|输|横扫|淘汰|告负|"
    r"的?比[分例]|的优势|大比分|力克|拿下|胜出"
)

_BEFORE_CODE = re.compile(rf"(?: {_CODE_WORD} ) \Z", re.VERBOSE)
_BEFORE_SCORE = re.compile(rf"(?: {_FACES} ) [是为：:约按以 ]{{0,3}} \Z | [以按] \Z", re.VERBOSE)
_AFTER_SCORE = re.compile(rf"[ ]?(?: {_BEATS} )", re.VERBOSE)
_TWO_OF = re.compile(rf"[ ]?(?: {MEASURES} )", re.VERBOSE)
_COUNTED = re.compile(rf"[ ]?[多余来几]?(?: {MEASURES} | 米|年|月|日|号|楼|级|期|[百千万亿]|[%‰°℃] )", re.VERBOSE)
_NUMBERS = re.compile(NUMBER, re.VERBOSE)
_UNIT_AT_END = re.compile(rf"(?<=[\d ])(?:{UNIT})\Z")
_PLACES = (
    "室|号房|房间|房(?![子价屋])|路(?![人])|医院|中学|部队|厂|国道|省道|高地|寝室|宿舍|教室|包厢|包间|会议室|办公室"
)
_AGES = re.compile("年(?:的?历史|前|来|间|以上|左右|之久|文明|古)")
_SERVICE = re.compile(r"1(?:00[189]\d|23\d\d)|9[56]\d{3}")
"""Telephone numbers of services, such as 12306 of the railways."""

_SIGN_WORDS = {"-": "负", "+": "正", "±": "正负"}
_DIGITS = re.compile(r"\d+")
_YEAR = re.compile(r"(?:19|20)\d\d")


def read(match: re.Match[str]) -> str:
    """Return the words for a match; the name of its last group selects the reader."""
    return _READERS[match.lastgroup or "quantity"](match)


def _number(written: str, *, two: str = "二") -> str:
    """Return the words of a written number. Two before a measure word is 两."""
    whole, point, decimals = written.replace(",", "").partition(".")
    if not point and whole == "2":
        return two
    if len(whole) > MAX_DIGITS or (len(whole) > 1 and whole[0] == "0"):
        words = han_digits(whole)
    else:
        words = han_cardinal(int(whole))
    return words + ("点" + han_digits(decimals) if point else "")


def _cardinal(written: str) -> str:
    """Return the words of a number that counts on, such as a month: without a leading zero."""
    return han_cardinal(int(written))


def _telephone(match: re.Match[str]) -> str:
    plus = "加" if match[0].startswith("+") else ""
    return plus + "".join(map(han_telephone, digit_groups(match[0])))


def _plate(match: re.Match[str]) -> str:
    """Read a licence plate, or a train, with its digits one by one."""
    return _DIGITS.sub(lambda digits: han_telephone(digits[0]), match[0])


def _date(match: re.Match[str]) -> str:
    year, month, day = _DIGITS.findall(match[0])
    return f"{han_digits(year)}年{_cardinal(month)}月{_cardinal(day)}日"


def _month(match: re.Match[str]) -> str:
    year, month = _DIGITS.findall(match[0])
    return f"{han_digits(year)}年{_cardinal(month)}月"


def _season(match: re.Match[str]) -> str:
    return "到".join(map(han_digits, _DIGITS.findall(match[0])))


def _money(match: re.Match[str]) -> str:
    sign = match["symbol"] or match["after"]
    words = CURRENCIES[sign].split()
    word = match["word"] or ""
    foreign = bool(word) and word not in words
    # "$5元" is five dollars; "$5人民币" says something else.
    currency = word if word and not foreign else words[0]
    price = _number(match["price"] or match["bare_price"], two="两") + (match["scale"] or match["bare_scale"] or "")
    if match["top"]:
        price += "到" + _number(match["top"], two="两") + (match["top_scale"] or "")
    rest = word if foreign and word not in ("元", "块", "块钱") else ""
    return _sign_of(match) + price + currency + rest


def _colons(match: re.Match[str]) -> str:
    """Read a time of the day, unless the words around or the numbers tell that it is a score."""
    parts = _DIGITS.findall(match[0])
    clock = " " not in match[0] and len(parts) < 4 and int(parts[0]) <= 24
    clock = clock and all(len(part) == 2 and int(part) < 60 for part in parts[1:])
    if not clock or _is_score(match):
        return "比".join(map(_number, parts))
    hour, minute, *second = parts
    words = f"{_number(str(int(hour)), two='两')}点"
    if int(minute) or second:
        words += f"{_number(minute)}分"
    return words + (f"{_number(second[0])}秒" if second else "")


def _is_score(match: re.Match[str]) -> bool:
    before = match.string[max(match.start() - 8, 0) : match.start()]
    return bool(_BEFORE_SCORE.search(before) or _AFTER_SCORE.match(match.string, match.end()))


def _duration(match: re.Match[str]) -> str:
    names = {"h": "小时", "m": "分", "s": "秒"}
    found = re.findall(r"(\d+)(min|[hHms])?", match[0])
    return "".join(_number(number, two="两") + names[unit[:1].lower() or "m"] for number, unit in found)


def _height(match: re.Match[str]) -> str:
    feet, inches = _DIGITS.findall(match[0])
    return f"{_number(feet, two='两')}英尺{_number(inches, two='两')}英寸"


def _version(match: re.Match[str]) -> str:
    numbers, _, port = match[0].partition(":")
    parts = numbers.split(".")
    words = (han_digits(part) if len(part) > 2 or part[0] == "0" else han_cardinal(int(part)) for part in parts)
    return "点".join(words) + (f"冒号{han_digits(port)}" if port else "")


def _digits(match: re.Match[str]) -> str:
    return "".join(map(han_digits, _DIGITS.findall(match[0])))


def _fraction(match: re.Match[str]) -> str:
    *whole, numerator, denominator = _DIGITS.findall(match[0])
    if not 0 < int(numerator) < int(denominator):  # 24/7
        return "".join(map(_number, (*whole, numerator, denominator)))
    return "".join(f"{_number(number)}又" for number in whole) + f"{_number(denominator)}分之{_number(numerator)}"


def _power(match: re.Match[str]) -> str:
    base, exponent = re.split("[eE^]", match[0])
    times = "的" if "^" in match[0] else "乘以十的"
    sign = "负" if exponent.startswith("-") else ""
    return f"{_number(base)}{times}{sign}{_cardinal(exponent.lstrip('+-'))}次方"


def _percent(match: re.Match[str]) -> str:
    of = "千分之" if "‰" in match[0] else "百分之"
    return "到".join(
        ("负" if sign == "-" else "正负" if sign == "±" else "") + of + _number(number)
        for sign, number in re.findall(r"((?<!\d)[-+±]|(?<=[~到至])-)?(\d[\d,]*(?:\.\d+)?)", match[0])
    )


def _name(match: re.Match[str]) -> str:
    """Read the number of a name, such as GPT-4, H100 and A380."""
    before = " " if match[0][0] in " -" else ""
    return before + " ".join(map(_name_number, match[0].strip(" -").split("-")))


def _name_number(number: str) -> str:
    if number.count(".") > 1:
        return "点".join(map(_number, number.split(".")))
    digits = "." not in number and len(number) > 2 and not (len(number) == 3 and number.endswith("00"))
    return han_digits(number) if digits else _number(number)


def _quantity(match: re.Match[str]) -> str:
    """Read a number or a range of numbers, alone or before a unit or a measure word."""
    text, start, end = match.string, match.start(), match.end()
    unit_at = _UNIT_AT_END.search(match[0])
    unit = unit_at[0] if unit_at else ""
    written = match[0][: len(match[0]) - len(unit)]
    numbers = _NUMBERS.findall(written)
    after = text[end : end + 8]
    before = text[max(start - 12, 0) : start]
    if not unit and len(numbers) == 1 and (code := _as_code(numbers[0], before, after)):
        return code
    two = "两" if (unit or _TWO_OF.match(after)) and after[:1] != "两" and not _counts_on(match, after) else "二"
    if len(numbers) == 2 and _is_pair(written, unit, match):
        return "比".join(map(_number, numbers))
    pair = len(numbers) == 2 and not _COUNTED.match(after) and all(map(_YEAR.fullmatch, numbers))
    years = not unit and (pair or after.startswith("年"))
    read_one = _year if years else _plain
    words = "到".join(read_one(number, before, after, two) for number in numbers)
    if "至" in written:
        words = words.replace("到", "至")
    sign = _sign_of(match)
    if len(numbers) == 2 and re.search(r"[~～至到] ?-\d", written):
        words = words.replace("到", "到负")
    return sign + (SPEEDS[unit].format(words) if unit in SPEEDS else words + UNITS.get(unit, ""))


def _plain(number: str, before: str, after: str, two: str) -> str:
    date = after.startswith(("月", "日")) or (after.startswith("号") and before.endswith("月"))
    return _cardinal(number) if date and number.isdecimal() else _number(number, two=two)


def _year(number: str, before: str, after: str, two: str) -> str:
    """Read the number before 年, which is a year or a span of years."""
    ages = bool(_AGES.match(after)) or before.endswith(
        (*"了过有近约满共", "昭和", "平成", "民国", "光绪", "康熙", "乾隆")
    )
    if len(number) == 4 and "1000" <= number < "2200" and not (ages and number.endswith("00")):
        return han_digits(number)
    if len(number) == 2 and (number[0] == "0" or (number >= "50" and not ages and not after.startswith("年代"))):
        return han_digits(number)
    return _number(number, two=two)


def _as_code(number: str, before: str, after: str) -> str:
    """Return the digits of a number that is no quantity: a room, a code, a bare year; else nothing."""
    if not number.isdecimal() or len(number) < 3 or before.endswith(tuple("共约近达过超第")):
        return ""
    if len(number) <= 4 and re.match(_PLACES, after):
        return han_telephone(number)
    if re.match("[pP](?![A-Za-z])", after) and number in ("480", "720", "1080", "1440", "2160", "4320"):
        return han_digits(number)
    if _YEAR.fullmatch(number) and re.match("[届级款版春夏秋冬]|赛季|财年|奥运|世界杯", after):
        return han_digits(number)
    if _COUNTED.match(after) or len(number) > MAX_DIGITS:
        return ""
    if _BEFORE_CODE.search(before):
        return han_telephone(number) if len(number) < 12 else han_digits(number)
    if _SERVICE.fullmatch(number) and not number.endswith("000"):
        return han_telephone(number)
    return han_digits(number) if _YEAR.fullmatch(number) and not number.endswith("00") else ""


def _counts_on(match: re.Match[str], after: str) -> bool:
    """Whether a 2 before a measure word still is 二: 第2次, 12点2分, 2栋3单元, 负2层, 2分之1, 2点5."""
    before = match.string[max(match.start() - 12, 0) : match.start()]
    return bool(
        re.search(r"第[\d、,~～\-到至和]*\Z", before)
        or (re.search(r"[点时:]\Z", before) and re.match("分(?!钟)", after))
        or re.match(
            r"[栋幢单排座级]元?\d|分之|点\d(?![\d分])|人转|人世界|年\d{1,2}班|进制|次元|元[一二三1-3]?次", after
        )
        or (re.search(r"(?:单元|号楼|栋|座)\Z", before) and after.startswith("层"))
        or (re.search("[负-]", before[-1:] + match[0][:1]) and after.startswith("层"))
    )


def _is_pair(written: str, unit: str, match: re.Match[str]) -> bool:
    """Whether two numbers with a dash are a score: its words stand beside it, or it goes down."""
    if unit or not re.search(r"\d ?[-–—] ?\d", written) or _COUNTED.match(match.string, match.end()):
        return False
    low, high = _NUMBERS.findall(written)
    return _is_score(match) or (len(low) <= 3 and low.isdecimal() and high.isdecimal() and int(low) > int(high))


def _sign_of(match: re.Match[str]) -> str:
    return _SIGN_WORDS.get(match[0][0], "")


_READERS = {
    "telephone": _telephone,
    "plate": _plate,
    "train": _plate,
    "date": _date,
    "season": _season,
    "month": _month,
    "money": _money,
    "colons": _colons,
    "duration": _duration,
    "height": _height,
    "version": _version,
    "chain": _digits,
    "event": _digits,
    "generation": _digits,
    "fraction": _fraction,
    "power": _power,
    "percent": _percent,
    "name": _name,
    "quantity": _quantity,
}
