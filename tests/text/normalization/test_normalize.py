import threading
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxcli.text.characters import is_speakable
from voxcli.text.normalization.normalize import normalized

MARKS = [*"0123456789.,:;/-+%$€£¥=<>~×÷*#@()[]{}\"'\\ 　\n\0\ud800", *"，。！–—～‰²½①㎡"]
LETTERS = [*"儿花健男一年月日元个小孩子女", *"üéяのカ한5٣", "儿", "一会", "iPhone", "apple", "A"]
PIECES = [
    *[
        "1,234",
        "2024",
        "138-1234-5678",
        "+86",
        "http://",
        "www.",
        "a@b.c",
        "Dr.",
        "etc.",
        " p.m.",
        " May ",
        " kg",
        "km/h",
    ],
    *["°C", "US$", "HK$", "No.", "th", "st", "k", "million", "{ni3}", "(a style)", "😀", "\ufe0f", "\u20e3", "\u200d"],
]
TEXTS = st.lists(st.sampled_from([*MARKS, *LETTERS, *PIECES]), max_size=30).map("".join) | st.text(max_size=40)


@settings(deadline=None, max_examples=400)
@given(TEXTS)
def test_whatever_is_written_is_read(text: str) -> None:
    read = normalized(text)
    assert bool(read) == bool(text.strip())
    assert is_speakable(read) or not is_speakable(text)


@settings(deadline=None, max_examples=400)
@given(TEXTS)
def test_once_is_enough_where_there_are_no_digits(text: str) -> None:
    without_digits = "".join(char for char in text if not char.isnumeric())
    read = normalized(without_digits)
    assert normalized(read) == read


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.sampled_from([*"0123456789.,:;/-+%$=~ 年月日元个，。", "价格", "GB", " kg", "A"]), max_size=30).map(
        "".join
    )
)
def test_no_digit_is_left_in_chinese(text: str) -> None:
    assert not any(map(str.isdigit, normalized(f"共有{text}")))


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.sampled_from([*"0123456789.,:;/-+%$=~ ", "costs", "GB", " kg", "A", " May ", " p.m."]), max_size=30
    ).map("".join)
)
def test_no_digit_is_left_in_english(text: str) -> None:
    assert not any(map(str.isdigit, normalized(f"This is {text}")))


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=40))
def test_phonemes_survive_byte_for_byte(text: str) -> None:
    text = text.replace("{", "").replace("}", "").replace("(", "")
    read = normalized(f"{text}{{HH  AH0 L OW1}}{text}{{ni3}}{{hao3}}")
    assert read.count("{HH  AH0 L OW1}") == read.count("{ni3}{hao3}") == 1


@pytest.mark.parametrize(
    "style", ["(a warm old man, slow)", "(a woman of 30,  😀)", "(一位 20 岁的女生)", "(a (very) old man of 90)"]
)
def test_a_style_before_the_text_survives_byte_for_byte(style: str) -> None:
    assert normalized(f"{style}Hello 5") == f"{style}Hello five"
    assert normalized(f"  {style} 5个人 ") == f"{style} 五个人"


def test_a_text_that_is_all_in_parentheses_is_no_style() -> None:
    assert normalized("(5 people)") == "(five people)"


def test_white_space_becomes_single_blanks() -> None:
    assert normalized(" one\n\n two\t three\u3000four \r\n") == "one two three four"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("Hello 👍 world 😀.", "Hello world."),
        ("Hello👍world", "Hello world"),
        ("你好👍🏽世界👨\u200d👩\u200d👧！", "你好世界！"),
        ("I ❤️ it", "I it"),
        ("1️⃣ and 5°", "one and five degrees"),
        ("😀", "😀"),
    ],
)
def test_emoji_are_left_out(text: str, read: str) -> None:
    assert normalized(text) == read


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("1,234.50", "one thousand two hundred and thirty-four point five zero"),
        ("It is $1,234.50.", "It is one thousand two hundred and thirty-four dollars and fifty cents."),
        (
            "$0.99, $1, £3-5 and €5.5 million",
            "ninety-nine cents, one dollar, three to five pounds and five point five million euros",
        ),
        ("10,000,000 people", "ten million people"),
        ("call 555-1234 now", "call five five five, one two three four now"),
        ("+1 (555) 010-9999", "plus one, five five five, zero one zero, nine nine nine nine"),
        ("500-1000 people", "five hundred to one thousand people"),
        ("at 3 p.m., Dr. Who", "at three PM, Doctor Who"),
        ("It closes at 3:45 p.m. He left.", "It closes at three forty-five PM. He left."),
        ("10:00-12:30", "ten o'clock to twelve thirty"),
        ("in 1999 and the mid-1990s", "in nineteen ninety-nine and the mid nineteen nineties"),
        ("May 5, 2024", "May fifth, twenty twenty-four"),
        ("the 5th of May", "the fifth of May"),
        ("on 2024-05-06", "on May sixth, twenty twenty-four"),
        ("31/12/2024", "December thirty-first, twenty twenty-four"),
        ("the 21st century", "the twenty-first century"),
        (
            "-3.5°C, 25%, 100km/h and 3-5 kg",
            "minus three point five degrees Celsius, twenty-five percent, "
            "one hundred kilometers per hour and three to five kilograms",
        ),
        ("1 1/2 cups 24/7", "one and a half cups twenty-four seven"),
        ("iPhone15, GPT-4, A4", "iPhone fifteen, GPT four, A four"),
        ("v2.0.1 of 192.168.1.1", "v two point zero point one of one nine two point one six eight point one point one"),
        ("x=5 and 2+3=5", "x equals five and two plus three equals five"),
        ("a 5-year-old, #1, 18+", "a five-year-old, number one, eighteen plus"),
        ("naïve café 5", "naïve café five"),
        (
            "see https://x.com/5, e.g. by j.doe5@a.org",
            "see x dot com slash five, for example by j dot doe five at a dot org",
        ),
        ("12345678901234567", "one two three four five six seven eight nine zero one two three four five six seven"),
        ('"5" \\ [6]', '"five" \\ [six]'),
        ("Sat on 5 chairs", "Sat on five chairs"),
    ],
)
def test_english(text: str, read: str) -> None:
    assert normalized(text) == read


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("一共1,234.50元", "一共一千二百三十四点五零元"),
        ("一共$1,234.50，US$5，￥1.2万", "一共一千二百三十四点五零美元，五美元，一点二万元"),
        (
            "第1,000名，10,086个，13,812,345,678元",
            "第一千名，一万零八十六个，一百三十八亿一千二百三十四万五千六百七十八元",
        ),
        ("打电话138-1234-5678", "打电话幺三八幺二三四五六七八"),
        ("打13812345678或+86 138 1234 5678", "打幺三八幺二三四五六七八或加八六幺三八幺二三四五六七八"),
        ("拨打555-1234、010-12345678", "拨打五五五幺二三四、零幺零幺二三四五六七八"),
        ("500-1000元，3-5天，5~10个", "五百到一千元，三到五天，五到十个"),
        ("2024年05月06日下午3:45", "二零二四年五月六日下午三点四十五分"),
        ("温度-3.5℃，约20°C", "温度负三点五摄氏度，约二十摄氏度"),
        ("3.5kg，5㎡，时速100km/h，涨了25%", "三点五千克，五平方米，时速每小时一百公里，涨了百分之二十五"),
        ("我买了iPhone15，iPhone 15手机", "我买了iPhone fifteen，iPhone fifteen手机"),
        ("A4纸，5G网络，用GPT-4写，得了COVID-19", "A四纸，五G网络，用GPT 四写，得了COVID 十九"),
        ("550 + 320=870千卡，x=y吗", "五百五十加三百二十等于八百七十千卡，x等于y吗"),
        ("我有3个apple和5个orange", "我有三个apple和五个orange"),
        ("他说his age is 15 now吧", "他说his age is fifteen now吧"),
        ("I paid 5 dollars for 饺子 in 2024.", "I paid five dollars for 饺子 in twenty twenty-four."),
        ("IP是192.168.1.1，版本2.0.1", "IP是一九二点一六八点一点一，版本二点零点一"),
        ('他说"5"个\\，{5}', '他说"五"个\\，{五}'),
        ("花儿真好，健儿5人，儿童，女儿", "花真好，健儿五人，儿童，女儿"),
        ("儿", "儿"),
        ("２０２４年①", "二零二四年一"),
        ("编号12345678901234567890", "编号一二三四五六七八九零一二三四五六七八九零"),
        ("电话：我有5。6～", "电话：我有五。六～"),
        ("5～10个，15：30", "五到十个，十五点三十分"),
    ],
)
def test_chinese(text: str, read: str) -> None:
    assert normalized(text) == read


@pytest.mark.parametrize(
    "text",
    [
        "3つのりんごを買いました。2024年。",
        "한국어 문장 3개, 1,234원.",
        "Привет, 5 яблок",
        "مرحبا 5",
        "α = 5",
    ],
)
def test_other_languages_are_left_alone(text: str) -> None:
    assert normalized(text) == text


def test_a_chinese_sentence_beside_a_japanese_one_is_read() -> None:
    text = "今天是星期三，天气很好，我们一共买了3个苹果，花了15元钱。りんごを3つ。"
    assert normalized(text) == "今天是星期三，天气很好，我们一共买了三个苹果，花了十五元钱。りんごを3つ。"


@pytest.mark.parametrize(
    "text", ["我有3个苹果和5个梨，", "I have 3 apples and $5.50 for 2 kg. ", "1", "儿花", "1,", "{a", "("]
)
def test_time_grows_with_the_text_and_not_faster(text: str) -> None:
    def seconds(count: int) -> float:
        start = time.process_time()
        normalized((text * count)[:count])
        return time.process_time() - start

    seconds(100)
    assert min(seconds(4000) for _ in range(2)) < 30 * min(seconds(500) for _ in range(2)) + 0.05


def test_threads_do_not_disturb_each_other() -> None:
    texts = [f"我有{n}个，{n}%。 At {n % 12 + 1}:{n % 60:02} p.m. {n}/7" for n in range(60)]
    alone = [normalized(text) for text in texts]
    together: list[list[str]] = []
    threads = [threading.Thread(target=lambda: together.append([normalized(text) for text in texts])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == [alone] * 4


def test_composed_and_decomposed_letters_are_read_alike() -> None:
    assert normalized(unicodedata.normalize("NFD", "café 5")) == unicodedata.normalize("NFD", "café five")


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("[laughing] I have 5.", "[laughing] I have five."),
        ("我有[Dissatisfaction-hnn]5个。", "我有[Dissatisfaction-hnn]五个。"),
        ("12[Uhm]月", "十二[Uhm]月"),
    ],
)
def test_tags_are_not_spelled(text: str, spelled: str) -> None:
    assert normalized(text) == spelled
