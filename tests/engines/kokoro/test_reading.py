"""Reading: the text of the passages is the text, every letter is spoken by some voice, digits have words."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxcli.engines.espeak.library import load_espeak
from voxcli.engines.kokoro.alphabet import tokens_of
from voxcli.engines.kokoro.english import EnglishDictionary
from voxcli.engines.kokoro.european import ESPEAK_VOICES, european_phonemes
from voxcli.engines.kokoro.mandarin import BREAK
from voxcli.engines.kokoro.reading import Context, Passage, Readers, passages_of

ESPEAK = load_espeak()
DICTIONARY = EnglishDictionary(british=False)
READERS = Readers(ESPEAK, lambda text, language: DICTIONARY.phonemes(text))
CHINESE = Context(latin="en-us", whole="zh", spoken=None)
ENGLISH = Context(latin="en-us", whole="en", spoken=None)
WORDS = st.sampled_from(
    [
        "你好",
        "世界",
        "hello",
        "Python",
        "3.5",
        "25%",
        "2024-05-06",
        "，",
        "。",
        "!",
        "Привет",
        "한국",
        "😀",
        "<",
        "嗯",
        "(",
        "“",
        "花儿",
    ]
)


def passages(text: str, context: Context = CHINESE) -> list[Passage]:
    return list(passages_of(text, context, READERS))


def phonemes(text: str, context: Context = CHINESE) -> str:
    return " ".join(passage.phonemes for passage in passages(text, context))


@settings(max_examples=50)
@given(st.lists(WORDS, min_size=1, max_size=8).map(" ".join), st.sampled_from([CHINESE, ENGLISH]))
def test_every_letter_is_in_a_passage_and_every_phoneme_in_the_alphabet(text: str, context: Context) -> None:
    found = passages(text, context)
    letters = re.sub(r"[\W\d_]", "", text)
    spoken = iter("".join(passage.text for passage in found))
    assert all(letter in spoken for letter in letters), "in their order"
    for passage in found:
        tokens_of(passage.phonemes.replace(BREAK, ""))


@pytest.mark.parametrize(
    "text", ["我买了2斤苹果", "价格$3.50", "(今天5点) 你好", "{5} 个", "①②", "१२३", "１２３", "50%", "½杯"]
)
def test_digits_beside_chinese_are_spoken(text: str) -> None:
    assert not re.search(
        r"\d", "".join(passage.text for passage in passages(text)).replace("今天5点", "").replace("{5}", "")
    )
    digits = re.sub(r"[^\d①②½]", "", text)
    assert len(phonemes(text)) > len(phonemes(re.sub(r"[\d①②½.]", "", text) or "。")) + len(digits)


def test_chinese_keeps_the_suffix_that_other_models_cannot_read() -> None:
    assert phonemes("3朵花儿") == "sa→n|two↓|xwa→ɚ"


@pytest.mark.parametrize("sign", [*"%‰&+@<>±×÷√∞≠≤≥°©®™№℃℉§µ$€£¥￥₹₩₿¢#="])
def test_every_sign_has_a_name_in_both_languages(sign: str) -> None:
    assert len(phonemes(f"你{sign}好")) > len(phonemes("你好"))
    assert len(phonemes(f"a {sign} b", ENGLISH)) > len(phonemes("a b", ENGLISH))


def test_a_number_alone_is_read_in_the_language_that_is_asked_for_or_else_of_the_text() -> None:
    chinese, english = phonemes("五", CHINESE), phonemes("five", ENGLISH)
    for spoken, whole, expected in (
        ("zh", None, chinese),
        ("zh", "en", chinese),
        (None, "zh", chinese),
        ("en", "zh", english),
        (None, None, english),
    ):
        assert phonemes("5", Context(latin="en-us", whole=whole, spoken=spoken)) == expected


def test_one_speaker_reads_mixed_text() -> None:
    (passage,) = passages("今天用 Python 写了一个 demo。")
    assert passage.phonemes == "ʨi→n|tʰjɛ→n|jʊ↘ŋ pˈIθˌɑn ɕje↓|lɤ i↗|kɤ↘ dˈɛmO."
    assert passage.language is None


def test_what_kokoro_cannot_read_is_left_to_espeak_in_its_place() -> None:
    assert [(passage.text, passage.language) for passage in passages("你好 Привет 世界")] == [
        ("你好 ", "zh"),
        ("Привет ", "ru"),
        ("世界", "zh"),
    ]
    japanese = Context(latin="en-us", whole="ja", spoken=None)
    assert [(passage.phonemes, passage.language) for passage in passages("東京です。", japanese)] == [("", "ja")]


@pytest.mark.parametrize(
    "text", ["😀", "...", "—", "兙", "ㄅㄆ", "\u202e", "\u0301", "ʃ", "/həˈloʊ/", "Ⅳ", "<b>", "a" * 3000, "[[x]]"]
)
@pytest.mark.parametrize("context", [CHINESE, ENGLISH])
def test_odd_text_is_read_or_left_to_espeak(text: str, context: Context) -> None:
    found = passages(text, context)
    assert found
    assert all(passage.text for passage in found)
    tokens_of("".join(passage.phonemes for passage in found).replace(BREAK, ""))


@pytest.mark.parametrize("language", ESPEAK_VOICES)
@settings(max_examples=25)
@given(text=st.text(st.characters(codec="utf-8", categories=["L", "P", "N", "S"]), max_size=30))
def test_phonemes_of_any_text_are_of_the_alphabet(language: str, text: str) -> None:
    tokens_of(european_phonemes(text, language, ESPEAK))


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en-us", "Hello, world!", "həlˈO, wˈɜɹld!"),
        ("en-us", "Dr. Smith — well?", "dˈɑktəɹ smˈɪθ— wˈɛl?"),
        ("en-gb", "Go home, bird.", "ɡˌQ hˈQm, bˈɜːd."),
        ("fr", "« Bonjour », le weekend !", "bɔ̃ʒˈuʁ, lə wiːkˈɛnd!"),
        ("it", "Ciao, pizza", "ʧˈao, pˈiʦːa"),
        ("es", "¿Qué?", "kˈe?"),
        ("pt-br", "Olá", "olˈa"),
        ("hi", "नमस्ते।", "nəmˈʌsteː."),
    ],
)
def test_phonemes_are_written_as_the_model_learned_them(language: str, text: str, expected: str) -> None:
    assert european_phonemes(text, language, ESPEAK) == expected


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=60))
def test_clauses_are_the_text(text: str) -> None:
    assert "".join(clause.text for clause in ESPEAK.phonemes(text, "gmw/en-US")) == text


def test_a_character_that_nobody_reads_is_named_where_the_rest_is_spoken(caplog: pytest.LogCaptureFixture) -> None:
    assert phonemes("天兙天") == "tʰjɛ→n|tʰjɛ→n"
    assert [record.getMessage() for record in caplog.records] == ["Kokoro cannot read 兙, and leaves it out."]
    caplog.clear()
    assert phonemes("兙") == ""
    assert caplog.records == []


def test_phonemes_in_braces_are_said_as_they_are() -> None:
    assert phonemes("I say {/təˈmeɪtoʊ/}.", ENGLISH) == phonemes("I say {T AH0 M EY1 T OW0}.", ENGLISH)
    assert "təmˈAtO." in phonemes("I say {/təˈmeɪtoʊ/}.", ENGLISH)
    assert phonemes("{/ˈt͡ʃiːz/}", ENGLISH) == phonemes("{CH IY1 Z}", ENGLISH) == "ʧˈiz"
    assert phonemes("我在{chong2}{qing4}。").replace(" ", BREAK) == phonemes("我在重庆。").replace(" ", BREAK)
    assert phonemes("{zhong4}") != phonemes("{chong2}")


def test_braces_that_are_no_phonemes_are_text() -> None:
    assert "lO" in phonemes("A {hello} b.", ENGLISH)


SPOKEN = st.sampled_from(["{ni3}", "{/ˈɪt/}", "{HH AH0}", "one ", "3 ", ". ", ", ", "你"])


@given(st.lists(SPOKEN, min_size=1, max_size=7))
@settings(max_examples=30)
def test_phonemes_anywhere_are_in_the_alphabet(pieces: list[str]) -> None:
    for passage in passages("".join(pieces), ENGLISH):
        tokens_of(passage.phonemes.replace(BREAK, ""))
