"""Parts that are too short for a model, and what is spoken while a writer pauses."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voxcli.synthesis.request import LEAST_SYLLABLES
from voxcli.text.marks import Part, Pause
from voxcli.text.parts import PartReader, read_parts
from voxcli.text.sentences.splitter import COLUMNS
from voxcli.text.short_parts import count_syllables

TICK = 0.4


def parts(text: str | list[str], *, markdown: bool = False) -> list[Part]:
    pieces = [text] if isinstance(text, str) else text
    return list(read_parts(pieces, markdown=markdown, least_syllables=LEAST_SYLLABLES))


@pytest.mark.parametrize(
    ("text", "joined"),
    [
        ("Hi.", ["Hi."]),
        ("Hi. How are you today?", ["Hi. How are you today?"]),
        ("I will see you tomorrow. Bye.", ["I will see you tomorrow. Bye."]),
        ("I will see you tomorrow. It will all be fine.", ["I will see you tomorrow.", "It will all be fine."]),
        ("Yes. No. Well. Perhaps we should go now.", ["Yes. No. Well. Perhaps we should go now."]),
        ("嗯。好。我们走吧。", ["嗯。好。我们走吧。"]),
        ("我们一起去公园吧。今天的天气很好。", ["我们一起去公园吧。", "今天的天气很好。"]),
        ("네. 저는 학생입니다.", ["네. 저는 학생입니다."]),
        ("- Milk\n- Eggs\n- Bread", ["- Milk, Eggs, Bread"]),
        ("Yes.\n\nNo.", ["Yes.", "No."]),
        ("Yes. [pause 1s] No.", ["Yes.", Pause(1.0), "No."]),
    ],
)
def test_a_short_part_joins_its_neighbour(text: str, joined: list[Part]) -> None:
    assert parts(text) == joined
    assert parts(list(text)) == joined


def test_a_voice_without_need_of_it_gets_each_sentence() -> None:
    assert list(read_parts(["Hi. Yes."], markdown=False)) == ["Hi.", "Yes."]


MORSELS = [
    "One. ",
    "two ",
    "三。",
    "[pause 1s]",
    "\n\n",
    "\n",
    "- a\n",
    "3.14 ",
    "A much longer sentence. ",
    "，",
    "Mr. ",
]


@example(["One. ", "A longer sentence than that. "], [5])
@example(["One. "] * 6 + ["two ", "[pause 1s]", "two ", "One. ", "One. "], [50])
@given(st.lists(st.sampled_from(MORSELS)), st.lists(st.integers(0, 200)))
def test_cutting_the_input_changes_nothing(morsels: list[str], cuts: list[int]) -> None:
    text = "".join(morsels)
    places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    assert parts([text[start:end] for start, end in pairwise(places)]) == parts(text)


@given(st.lists(st.sampled_from(["Yes. ", "No! ", "A sentence that goes on for a while, and on. "]), max_size=60))
def test_joined_parts_stay_within_the_length_of_a_part(sentences: list[str]) -> None:
    joined = parts("".join(sentences))
    assert all(isinstance(part, str) and len(part) <= COLUMNS for part in joined)
    assert "".join(str(part) + " " for part in joined) == "".join(sentences)
    short = [part for part in joined[:-1] if count_syllables(str(part)) < LEAST_SYLLABLES]
    assert short == []


def test_a_long_enough_part_waits_for_a_few_words_and_no_more() -> None:
    reader = PartReader(markdown=False, least_syllables=LEAST_SYLLABLES)
    assert reader.feed("It was a long and quiet day. Then some") == []
    assert reader.feed("body knocked on") == ["It was a long and quiet day."]


def spoken(writing: list[tuple[str, float]], *, playing: float = 0.0) -> list[tuple[float, Part]]:
    """Return what is spoken, and when, for a writer who pauses for some seconds after each piece."""
    reader = PartReader(markdown=True, least_syllables=LEAST_SYLLABLES)
    now, said = 0.0, []
    for text, pause in writing:
        said += [(now, part) for part in reader.feed(text)]
        for tick in range(1, int(pause / TICK + 1e-9) + 1):
            said += [(round(now + tick * TICK, 1), part) for part in reader.pause(tick * TICK, playing=playing)]
        now += pause
    return said + [(round(now, 1), part) for part in reader.finish()]


def test_a_slow_writer_is_not_spoken_word_by_word() -> None:
    words = ["The", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog."]
    assert len(spoken([(word + " ", 0.6) for word in words])) <= 3
    said = spoken([(word + " ", 0.6) for word in words * 4])
    assert all(count_syllables(str(part)) >= LEAST_SYLLABLES for _, part in said)
    assert len(said) <= 8


def test_a_complete_thought_is_spoken_soon() -> None:
    assert spoken([("Hello there.", 3.0)]) == [(0.4, "Hello there.")]
    assert spoken([("Well, as you all know, ", 3.0), ("I do.", 0)])[0] == (0.4, "Well, as you all know,")


def test_a_silence_brings_what_is_there() -> None:
    assert spoken([("I think that we all ", 3.0), ("go.", 0)])[0][0] == 2.0
    assert spoken([("I ", 5.0), ("go.", 0)])[0] == (4.0, "I")


def test_while_sound_is_playing_only_whole_sentences_are_spoken() -> None:
    assert spoken([("I think that we should all be going home now ", 9.0), ("soon.", 0)], playing=5.0)[0][0] == 9.0
    assert spoken([("I think that we should go home.", 9.0)], playing=5.0)[0][0] == 0.4
    assert spoken([("No.", 9.0)], playing=5.0)[0][0] == 9.0
