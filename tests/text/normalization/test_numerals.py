import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxcli.text.normalization.numerals import cardinal, han_cardinal, number_words, ordinal, with_plain_digits, year

NUMBERS = st.integers(0, 10**15 - 1) | st.integers(0, 12).map(lambda zeros: 10**zeros) | st.integers(0, 20000)
ENGLISH = {
    word: value
    for words, values in (
        ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen", range(16)),
        ("sixteen seventeen eighteen nineteen", range(16, 20)),
        ("twenty thirty forty fifty sixty seventy eighty ninety", range(20, 100, 10)),
        ("hundred thousand million billion trillion", (100, 10**3, 10**6, 10**9, 10**12)),
    )
    for word, value in zip(words.split(), values, strict=True)
}
HAN = dict(zip("零一二三四五六七八九", range(10), strict=True)) | {"两": 2}
HAN_UNITS = {"十": 10, "百": 100, "千": 1000}


def understood(words: str) -> int:
    """Read an English number the way a listener adds it up."""
    total = part = 0
    for word in words.replace("-", " ").replace(" and ", " ").split():
        value = ENGLISH[word]
        if value < 100:
            part += value
        elif value == 100:
            part *= value
        else:
            total, part = total + part * value, 0
    return total + part


def understood_in_chinese(words: str) -> int:
    for scale, size in (("万亿", 10**12), ("亿", 10**8), ("万", 10**4)):
        high, found, low = words.partition(scale)
        if found:
            return understood_in_chinese(high) * size + understood_in_chinese(low)
    total = digit = 0
    for char in words:
        if char in HAN_UNITS:
            total, digit = total + (digit or 1) * HAN_UNITS[char], 0
        else:
            digit = HAN[char]
    return total + digit


@given(NUMBERS)
def test_a_number_is_understood(number: int) -> None:
    assert understood(cardinal(number)) == number


@given(NUMBERS)
def test_a_number_is_understood_in_chinese(number: int) -> None:
    words = han_cardinal(number)
    assert understood_in_chinese(words) == number
    assert "零零" not in words


@given(NUMBERS, st.integers(0, 99))
def test_commas_and_decimals_make_no_other_number(number: int, hundredths: int) -> None:
    whole, _, decimals = number_words(f"{number:,}.{hundredths:02}").partition(" point ")
    assert understood(whole) == number
    assert [ENGLISH[word] for word in decimals.split()] == [hundredths // 10, hundredths % 10]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1, "first"),
        (12, "twelfth"),
        (20, "twentieth"),
        (21, "twenty-first"),
        (100, "one hundredth"),
        (103, "one hundred and third"),
    ],
)
def test_ordinals(number: int, words: str) -> None:
    assert ordinal(number) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1905, "nineteen oh five"),
        (1900, "nineteen hundred"),
        (1999, "nineteen ninety-nine"),
        (2000, "two thousand"),
        (2005, "two thousand and five"),
        (2024, "twenty twenty-four"),
    ],
)
def test_years(number: int, words: str) -> None:
    assert year(number) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "零"),
        (10, "十"),
        (16, "十六"),
        (110, "一百一十"),
        (1005, "一千零五"),
        (2000, "两千"),
        (60016, "六万零一十六"),
    ],
)
def test_chinese_numbers(number: int, words: str) -> None:
    assert han_cardinal(number) == words


@pytest.mark.parametrize(
    ("text", "plain"),
    [("２０２４", "2024"), ("٣٥", "35"), ("①和⑳", "1和20"), ("½ 5½", "1/2 5 1/2"), ("m² 三 Ⅳ", "m² 三 Ⅳ")],
)
def test_digits_of_all_scripts_are_read(text: str, plain: str) -> None:
    assert with_plain_digits(text) == plain
