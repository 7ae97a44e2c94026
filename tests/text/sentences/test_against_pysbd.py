"""Sentence splitting against pysbd, on each of its golden rules, with sentences of our own."""

import warnings

import pytest

from voxcli.text.sentences.splitter import split_sentences

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its patterns have invalid escapes
    import pysbd

# One or more sentences for each rule, in the order of the rules.
ENGLISH = [
    ("simple period", "The train left at noon. It was full."),
    ("question mark", "Where did you put it? I need it now."),
    ("exclamation mark", "There it goes! Did you see it?"),
    ("one-letter upper-case abbreviation", "My name is Tobias K. Lindner and I paint."),
    ("one-letter upper-case abbreviation", "J. R. Hartwell wrote it. She read it."),
    ("one-letter lower-case abbreviation", "The rule (see p. 55 and pp. 88-9). Next it says more."),
    ("two-letter lower-case abbreviation in a sentence", "Is Col. Brand in the room? He is not."),
    ("two-letter upper-case abbreviation in a sentence", "I met Mr. Harlow yesterday. He waved."),
    ("two-letter upper-case abbreviation in a sentence", "They stopped in front of St. Agnes Church. It was locked."),
    ("two-letter lower-case abbreviation at the end", "They closed the deal with Pitt, Briggs & Co. It fell through."),
    ("two-letter upper-case abbreviation at the end", "We sold it to Harper & Co. Then we went home."),
    ("two-letter prepositive abbreviation", "The hike to Mt. Ararat took a day. We slept well."),
    ("two-letter prepositive and postpositive abbreviations", "Dr. Lee met Mr. Barlow at Norton & Co. and left."),
    ("possessive two-letter abbreviation", "I liked Norton & Co.'s bread. I bought two."),
    ("several periods in an abbreviation in a sentence", "He called it a day, i.e. he left. Nobody minded."),
    ("several periods in an abbreviation at the end", "He lives in the U.S. Maria lives in Peru."),
    ("U.S. as the end of a sentence", "I have been to the U.S. How about you?"),
    ("U.S. not as the end, with an upper-case word after it", "The U.S. Army sent a letter."),
    ("U.S. not as the end, with an upper-case word after it", "The U.S. Government replied. It took a year."),
    ("U.S. in a sentence", "She moved to the U.S. in spring."),
    ("a.m. and p.m. in a sentence", "At 9 p.m. we lock the doors. Nobody stays."),
    ("a.m. before a title", "The bus leaves at 7 a.m. Mr. Ito takes it every day."),
    ("number as something other than an end", "The bill came to $34.50. We paid it."),
    ("number at the start of a sentence", "$9.75. That is what it cost."),
    ("parentheses in a sentence", "He went (as he often did.) to the shop. It was shut."),
    ("email address", "Write to anna.b@mail.example.org please. She answers fast."),
    ("web address", "The page is www.example.org/a.b.html for now. Go there."),
    ("single quotation marks in a sentence", "She said, 'That was close.' Then she laughed."),
    ("double quotation marks in a sentence", '"That was close," she said. Then she left.'),
    ("double quotation marks at the end", 'She turned and said, "Look at that." He looked.'),
    ("double exclamation mark", "Hello!! How long has it been?"),
    ("double question mark", "Hello?? Is this on?"),
    ("exclamation and question mark", "Hello!? Is that you?"),
    ("question and exclamation mark", "Hello?! Is that you?"),
    ("list with a period and a parenthesis, without end marks", "1.) Wash the rice 2.) Boil the water"),
    ("list with a period and a parenthesis, with end marks", "1.) Wash the rice. 2.) Boil the water."),
    ("list with a parenthesis, without end marks", "1) Wash the rice 2) Boil the water"),
    ("list with a parenthesis, with end marks", "1) Wash the rice. 2) Boil the water."),
    ("list with a period, without end marks", "1. Wash the rice 2. Boil the water"),
    ("list with a period, with end marks", "1. Wash the rice. 2. Boil the water."),
    ("numbered list with bullets", "• 7. First thing • 8. Second thing"),
    ("numbered list with bullets that touch their numbers", "⁃7. First thing ⁃8. Second thing"),
    ("lettered list", "a. First thing b. Second thing c. Third thing"),
    ("errant newline in a sentence", "This is a sentence\ncut in the middle."),
    ("errant newline after a space", "It was cold \nin the house."),
    ("lines without end marks", "features\ncontact us\n"),
    ("geographic coordinates", "You can find it at N°. 10. 26.253.553. That is where it lies."),
    ("named entity with an exclamation mark", "She visited Yahoo! after lunch."),
    (
        "I as an upper-case abbreviation and as a pronoun",
        "We make a good team, you and I. Did you see Albert I. Jones?",
    ),
    ("number abbreviation", "You can find it at No. 7. That is the blue house."),
    ("ellipsis at the end of a quotation", "He read, “the laws will seem simple. . . .”"),
    ("ellipsis with square brackets", 'They wrote, "Walls [...] may be rebuilt." He agreed.'),
    ("ellipsis as the end of a sentence, four dots", "If words are left out . . . . The next sentence begins."),
    ("ellipsis in a sentence, with spaces", "It was odd . . . very odd."),
    ("ellipsis in a sentence, before I", "I was ... well... you see . . . it is . . . I left."),
    ("ellipsis inside a quotation", "“It is here . . . I think.” He paused."),
    ("question in parentheses", "They asked (Was it late?) and left. Nobody replied."),
]
CHINESE = [
    ("end marks", "天气很好。我们出去走走吧。"),
    ("question mark", "你吃了吗？我还没吃。"),
    ("exclamation mark", "真漂亮！你在哪里买的？"),
    ("title with an exclamation mark in it", "我们去看《摔跤吧！爸爸》好吗？好！"),
    ("several in a row", "今天是星期一，我们开会。明天休息！后天呢？"),
]
DIFFERENCES = [
    (
        "title in quotes with an exclamation mark: a closing quote may be far off or missing, so it is not waited for",
        "en",
        'We read "Oh! The Places" twice.',
        ['We read "Oh!', 'The Places" twice.'],
    ),
    (
        "four dots: they stay with the sentence they end",
        "en",
        "I wasn't sure. . . . He wasn't either.",
        ["I wasn't sure. . . .", "He wasn't either."],
    ),
    (
        "lower case after a period: rather an unknown abbreviation than a new sentence",
        "en",
        "Dogs bark. cats sleep.",
        ["Dogs bark. cats sleep."],
    ),
    (
        "web address with a question mark: it stays whole",
        "en",
        "See https://example.org/a.b?x=1 now. Go there.",
        ["See https://example.org/a.b?x=1 now.", "Go there."],
    ),
    (
        "Chinese quotation: the closing quote belongs to the sentence that it closes",
        "zh",
        "“我不去。”他说。",
        ["“我不去。”", "他说。"],
    ),
]


def split_by_pysbd(text: str, language: str) -> list[str]:
    return stripped(pysbd.Segmenter(language=language, clean=False).segment(text))


def stripped(pieces: list[str]) -> list[str]:
    return [piece for piece in map(str.strip, pieces) if piece]


@pytest.mark.parametrize(
    ("language", "text"),
    [*(("en", text) for _, text in ENGLISH), *(("zh", text) for _, text in CHINESE)],
    ids=[rule for rule, _ in ENGLISH + CHINESE],
)
def test_sentences_end_where_pysbd_ends_them(language: str, text: str) -> None:
    assert stripped(split_sentences(text)) == split_by_pysbd(text, language)


@pytest.mark.parametrize(
    ("language", "text", "ours"),
    [(language, text, ours) for _, language, text, ours in DIFFERENCES],
    ids=[reason.partition(":")[0] for reason, *_ in DIFFERENCES],
)
def test_a_difference_from_pysbd_is_on_purpose(language: str, text: str, ours: list[str]) -> None:
    assert stripped(split_sentences(text)) == ours
    assert split_by_pysbd(text, language) != ours, "no difference any more: move it to the list above"
