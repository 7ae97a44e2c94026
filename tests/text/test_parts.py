"""Sentences and pauses out of text that is still arriving."""

import itertools
import logging

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voxcli.text.marks import VOXCPM2_TAGS, MannerChange, Pause, Sentence, SpeakingManner
from voxcli.text.parts import PartReader, read_parts, read_whole


def parts(text: str, *, markdown: bool = False) -> list[object]:
    return [part.strip() if isinstance(part, str) else part for part in read_parts([text], markdown=markdown)]


def test_sentences_come_one_by_one() -> None:
    assert parts("One. Two! 三。四？") == ["One.", "Two!", "三。", "四？"]


def test_pauses_stand_between_words() -> None:
    assert parts("One [pause 0.5s] two. [pause 1s] Three.") == ["One", Pause(0.5), "two.", Pause(1.0), "Three."]


def test_what_cannot_be_spoken_is_no_part() -> None:
    assert parts("*** — 😀 …\n\n") == []


def test_markdown_is_read_only_where_it_is_wanted() -> None:
    assert parts("# Title\n\n**Bold** [link](http://x.y)", markdown=True) == ["Title", "Bold link"]
    assert parts("**Bold**") == ["**Bold**"]


def test_unknown_tags_are_warned_about_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert parts("Ha [laugh]. Ha [laugh]. Ho [cough].") == ["Ha.", "Ha.", "Ho."]
    assert [record.getMessage().split()[2] for record in caplog.records] == ["[laugh]", "[cough]"]


def test_a_pause_that_makes_no_sense_is_named_with_what_to_write(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert parts("One [pause abc] two [pause 30min] three.") == ["One two three."]
    assert [record.getMessage() for record in caplog.records] == [
        f"The mark {mark} is left out. Write [pause 0.5s] or [pause 500ms], up to 60 s."
        for mark in ("[pause abc]", "[pause 30min]")
    ]


@pytest.mark.parametrize("markdown", [False, True])
@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("[laughing] You did it!", ["[laughing] You did it!"]),
        ("You did it! [laughing]", ["You did it! [laughing]"]),
        ("You did it! [laughing] [sigh] That was fun.", ["You did it!", "[laughing] [sigh] That was fun."]),
        ("太好了！[Surprise-wa]真的吗？[question-AH]", ["太好了！", "[Surprise-wa]真的吗？[Question-ah]"]),
        ("[Uhm]\n\nWell. [Shh] [pause 1s] Yes.", ["[Uhm] Well.", "[Shh]", Pause(1), "Yes."]),
        ("One.\n\n[sigh] Two [sigh]", ["One.", "[sigh] Two [sigh]"]),
        ("[laughing]", ["[laughing]"]),
    ],
)
def test_tags_that_the_voice_performs_stay_in_their_sentences(
    text: str, sentences: list[object], markdown: bool, caplog: pytest.LogCaptureFixture
) -> None:
    assert list(read_parts([text], markdown=markdown, tags=VOXCPM2_TAGS)) == sentences
    assert list(read_parts(text, markdown=markdown, tags=VOXCPM2_TAGS)) == sentences
    assert not caplog.records


def test_a_pause_of_the_writer_brings_what_is_there() -> None:
    reader = PartReader(markdown=True)
    assert reader.feed("第一句。") == []
    assert reader.flush() == ["第一句。"]
    assert reader.feed("第二句。") == []
    assert reader.finish() == ["第二句。"]


def test_a_sentence_does_not_wait_for_the_code_below_it() -> None:
    reader = PartReader(markdown=True)
    said = [part for line in ("Look at this\n", "```python\n", "x = 1\n", "y = 2\n") for part in reader.feed(line)]
    assert [str(part).strip() for part in said] == ["Look at this"]
    assert reader.feed("```\nDone.") == []
    assert [str(part).strip() for part in reader.finish()] == ["Done."]


@pytest.mark.parametrize("markdown", [False, True])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\x1b[1mHello\x1b[0m world. \x1b[?25lBye.\n", ["Hello world.", "Bye."]),
        ("⠋ pulling 3%\r⠙ pulling 99%\r\x1b[K\x1b[32mDone.\x1b[0m\n", ["Done."]),
        ("<think>\nThe user wants a greeting.\n</think>\n\nHello there.\n", ["Hello there."]),
        ("<thinking>Plan: greet.</thinking>Hi.\n", ["Hi."]),
        ("\x1b[2mThinking...\n\x1b[0mI should greet.\n...done thinking.\n\nHi.", ["Hi."]),
        ("Yes. \x1b]8;;https://a.b/c\x1b\\Here\x1b]8;;\x1b\\ it is.", ["Yes.", "Here it is."]),
    ],
)
def test_neither_terminal_codes_nor_reasoning_are_said(text: str, said: list[object], markdown: bool) -> None:
    assert parts(text, markdown=markdown) == said
    assert list(read_parts(text, markdown=markdown)) == said
    assert read_whole([text], markdown=markdown).split() == " ".join(map(str, said)).split()


MORSELS = [
    "One. ",
    "two ",
    "三。",
    "[pause 1s]",
    "[laugh]",
    "[sigh]",
    "[1]",
    "[Enter] ",
    "\n\n",
    "**",
    "`x`",
    "- a\n",
    "3.14 ",
    "# T\n",
    "，",
]
TEXTS = st.lists(st.sampled_from(MORSELS)).map("".join)


@example("三。\n\n，", [4], True, frozenset())
@example("三。三。`x`\n\n，- a\n", [9], True, frozenset())
@given(TEXTS, st.lists(st.integers(0, 200)), st.booleans(), st.sampled_from([frozenset[str](), VOXCPM2_TAGS]))
def test_cutting_the_input_changes_nothing_that_is_heard(
    text: str, cuts: list[int], markdown: bool, tags: frozenset[str]
) -> None:
    places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    cut = [text[start:end] for start, end in itertools.pairwise(places)]

    def heard(pieces: list[str]) -> str:
        parts = read_parts(pieces, markdown=markdown, tags=tags)
        return "|".join(part.strip() if isinstance(part, str) else f"<{part.seconds}>" for part in parts)

    assert heard(cut) == heard([text])


def test_a_change_of_manner_ends_a_sentence_and_holds_for_what_follows() -> None:
    anna, ben = SpeakingManner(speaker="ANNA"), SpeakingManner(speaker="BEN")
    text = [MannerChange(anna, "ANNA: "), "One two. Three", MannerChange(ben, "\nBEN: "), "four", Pause(1.0), "five."]
    parts = list(read_parts(text, markdown=False))
    assert [str(part) if isinstance(part, str) else part for part in parts] == [
        *("One two.", "Three", "four", Pause(1.0), "five.")
    ]
    sentences = [part for part in parts if isinstance(part, Sentence)]
    assert [sentence.manner for sentence in sentences] == [anna, anna, ben, ben]
    whole = "ANNA: One two. Three\nBEN: fourfive."
    assert [whole[slice(*sentence.span or ())] for sentence in sentences] == ["One two.", "Three", "four", "five."]
