"""Where sentences end, by example."""

import pytest

from voxcli.text.characters import is_speakable
from voxcli.text.sentences.splitter import SentenceSplitter, split_sentences

# A bar stands where a piece ends.
ENGLISH = [
    "One. |Two! |Three? |Four",
    "Well... maybe. |Well... |Maybe.",
    "Great! 😀 |Next one.",
    "He left.👋🏽 |She stayed.",
    "Mr. Smith met Dr. Jones and Mrs. O'Neil vs. Prof. X. |They talked.",
    "J. R. R. Tolkien wrote it. |J. A. Smith did not.",
    "He lives in the U.S. |He likes it. |The U.S. Army is large.",
    "At 5 p.m. |We left at 6 p.m. sharp.",
    "Apples, pears, etc. |Then more, etc. and so on.",
    "Take fruit, e.g. Apples, i.e. Golden ones.",
    "He works for Acme Inc. |They pay. |Acme Inc. Holdings does not.",
    "Sammy Davis Jr. sang. |See Sammy Davis Jr. |He sings.",
    "No. 5 is alive. |See fig. 3 and vol. 2 on p. 7. |No. |I say no. |Never.",
    "Plan B. |Then plan C.",
    "Pi is 3.14, not 3,000.5. |Version 1.2.3 is out. |It cost $5. |Cheap!",
    "See example.com. |Mail a.b@example.co.uk. |Run main.py. |Done.",
    "Go to https://example.com/a.b?c=d! |Go now.",
    "I write .NET code. |.NET is fine. |Use .NET. |It works.",
    '"Stop!" he said. |"Why?" she asked.',
    '"Stop." |"Why?" |(He left.) |[She too.] |Then nothing.',
    "He left.[1] |She stayed.[2][13] |End.",
    "Yahoo! is a company? |It was.",
    "so this writer! never uses? capitals. ever",
    "What?! |No!!! |Really...? |Yes.",
    "Wait . . . what? |I said . . . Nothing. |I said. . . . |Nothing.",
]
LINES = [
    "1. First\n|2. Second thing. |And more.\n|3) Third. |II. no",
    "1. First |2. Second thing. |3. Third thing |4. Fourth",
    "1) First |2) Second\n|thing 3) third",
    "1. It is 1.\n|It was 2. |3",
    "Take 1. |Take 2. |Then 3. |Stop.",
    "Title\n|Text begins here.\n\n|New paragraph",
    "This line is long enough to look like wrapped prose\nand goes on here. |It\n|ends.",
    "This line is long enough to look like wrapped prose\n|- but this is an item\n|* and this",
    "This line is long enough to look like wrapped prose\n|1. but this is an item",
    "This line is long enough to look like wrapped prose.\n|- the item begins with a small letter",
    "This line is long enough to look like wrapped prose\n\n|and still a blank line ends it.",
    "This line looks like wrapped prose of Acme Co.\nbut goes on.",
    "A rule sticks to what it follows.\n\n---\n\n|Next.",
    "  \n\nBlanks before the text. |Stay with it.  \n",
    "-----\nA rule before the text.\n***\n",
    "One.\r\n|Two.\r\n\r\n|Three.\u2029|Four.\f|Five.",
]
OTHER_LANGUAGES = [
    "你好。|世界！|真的吗？！|是的……好",
    "他说：“你好。”|然后走了。|“再见！”|她说。",
    '他说："你好。"|"再见。"|完',
    "「行く。」と言った。|(はい。)|次",
    "今天是2024.5.1。|价格3.14元。|看https://example.com/a?b=你好。|Fine. |好的。",
    "你好.|我是.|真的!|是吗?|是",
    "你好。😀|再见。",
    "这是 Mr. Wang 写的。|He agreed. |好。",
    "मैं ठीक हूँ। |आप कैसे हैं? |अच्छा।|और",
    "هل أنت بخير؟ |نعم. |شكرا.",
    "안녕하세요. |반갑습니다! |네.",
    "Das gilt z.B. Sonntags bzw. Montags. |Am 3. Oktober war es so. |Im 2. Weltkrieg auch.",
    "Z. B. Hr. Müller, Nr. 5 usw. |Dann war Schluss.",
    "„Hallo.“ |Danach kam er. |»Gut.« |Er ging.",
    "« Bonjour ! » dit M. Dupont. |« Oui. » |Puis il part.",
    "¿Qué? |¡No! |La Sra. García y el Sr. López. |¿Sí?",
    "Привет. |Это А. С. Пушкин. |Да!",
]


def pieces(marked: str) -> list[str]:
    return marked.split("|")


@pytest.mark.parametrize("marked", ENGLISH + LINES + OTHER_LANGUAGES)
def test_a_sentence_ends_where_a_reader_would_end_it(marked: str) -> None:
    assert split_sentences(marked.replace("|", "")) == pieces(marked)


def test_a_long_first_piece_is_cut_at_a_clause_so_that_sound_starts_early() -> None:
    sentence = "This is how the story begins, with a sentence that goes on and on, and has no end, it seems. Yes."
    assert split_sentences(sentence) == [
        "This is how the story begins, ",
        "with a sentence that goes on and on, and has no end, it seems. ",
        "Yes.",
    ]


def test_a_first_piece_without_a_clause_is_not_cut_in_the_middle_of_a_phrase() -> None:
    sentence = "This is a sentence without a single comma that goes on and on for quite some time"
    assert split_sentences(sentence + ", and then some.") == [sentence + ", ", "and then some."]


def test_a_first_piece_is_not_cut_after_a_word_or_two() -> None:
    sentence = "Well, this is a sentence with a comma in a place too early to be of any use."
    assert split_sentences(sentence) == [sentence]


def test_a_mark_that_turned_out_not_to_end_the_sentence_serves_as_a_clause() -> None:
    sentence = "this is a writer without capital letters! but with a lot of words all the same"
    assert split_sentences(sentence) == [sentence[:42], sentence[42:]]


def test_wide_characters_count_twice() -> None:
    clause = "一二三四五六七八九十一二三四五六七八九十，"
    assert split_sentences(clause * 2 + "完。") == [clause, clause + "完。"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one two, three four five six", ["one two, ", "three four five six"]),
        ("one two three four five six", ["one two three four ", "five six"]),
        ("abcdefghijklmnopqrstuvwxyz", ["abcdefghijklmnopqrst", "uvwxyz"]),
        ("一二三四五六七八九十甲乙丙", ["一二三四五六七八九十", "甲乙丙"]),
        ("一二三四五六七，八九十甲乙丙", ["一二三四五六七，", "八九十甲乙丙"]),
        ("at 10:30 and at 11:45, or so", ["at 10:30 and at ", "11:45, or so"]),
        ("the word [music: dub jazz] is", ["the word ", "[music: dub jazz] is"]),
        ("see https://example.com/a,b;c/d ok", ["see ", "https://example.com/a,b;c/d ", "ok"]),
        ("123456789012345678901234567890 x", ["123456789012345678901234567890 ", "x"]),
        ("abcdefghijklmnopqrse\u0301fgh", ["abcdefghijklmnopqrse\u0301", "fgh"]),
        ("abcdefghijklmnopqrs👩\u200d👩\u200d👧x", ["abcdefghijklmnopqrs", "👩\u200d👩\u200d👧x"]),
        ("chapter five, page\u00a0100 and", ["chapter five, ", "page\u00a0100 and"]),
    ],
)
def test_a_long_piece_is_cut_where_it_hurts_least(text: str, expected: list[str]) -> None:
    splitter = SentenceSplitter(first_columns=20, columns=20)
    assert splitter.feed(text) + splitter.finish() == expected


def test_even_an_endless_address_is_cut_some_time() -> None:
    address = "https://example.com/" + "a" * 2000
    assert max(map(len, split_sentences(address))) <= 500


def test_limits_without_room_for_a_word_are_refused() -> None:
    with pytest.raises(ValueError, match="room"):
        SentenceSplitter(first_columns=2)


@pytest.mark.parametrize("text", ["a", "5", "你", "।ह", "%", "a b", "$", "€", "①", "&", "...x"])
def test_a_letter_a_digit_or_a_spoken_symbol_makes_text_speakable(text: str) -> None:
    assert is_speakable(text)


@pytest.mark.parametrize("text", ["", " \n", "---", "...", "😀👍🏽", "“”", "。", "***", "—", "[ ]", "_"])
def test_marks_blanks_and_emoji_are_not_speakable(text: str) -> None:
    assert not is_speakable(text)
