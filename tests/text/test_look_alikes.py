"""Look-alike characters, by example and by law."""

import unicodedata
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voxcli.text.look_alikes import CharacterFolder, folded
from voxcli.text.parts import PartReader, read_parts, read_whole

ROWS = [
    line.split("\t")
    for line in Path(__file__).with_name("look_alikes.tsv").read_text("utf-8").splitlines()
    if not line.startswith("#")
]
NFD_ROWS = ["안녕하세요.", "Café", "Việt Nam", "ガギグ", "й"]
CHARACTERS = [
    *"aZé5 .,=<：，．％￥①⑴Ⓐ㎏㎡Ⅷ²½ﬁ𝐇ℋﾊﾟｶﾞー－漢かＡ１２＃",
    *"\u0301\u0300\u0338\u3099\u200b\u200d\ufe0f\u20e3\u00ad\u1161\u11ab\u110b\u0e33👍🏽🇩🇪←´ʼ\n",
]
TEXTS = st.lists(st.sampled_from(CHARACTERS)).map("".join) | st.text(max_size=40)


@pytest.mark.parametrize(("written", "read"), [row[:2] for row in ROWS], ids=[row[2] for row in ROWS])
def test_a_look_alike_is_read_as_what_it_stands_for(written: str, read: str) -> None:
    assert folded(written) == read


@pytest.mark.parametrize("text", NFD_ROWS)
def test_a_decomposed_text_is_composed(text: str) -> None:
    assert folded(unicodedata.normalize("NFD", text)) == text


@example("e\u0301", [1])
@example("ｶﾞ", [1])
@example("１，２", [1, 2])
@given(TEXTS, st.lists(st.integers(0, 200)))
def test_cutting_the_input_changes_nothing(text: str, cuts: list[int]) -> None:
    places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    folder = CharacterFolder()
    pieces = [folder.feed(text[start:end]) for start, end in pairwise(places)]
    assert "".join(pieces) + folder.flush() == folded(text)


@given(st.text(st.characters(codec="ascii")))
def test_ascii_stays_as_it_is(text: str) -> None:
    assert folded(text) == text


def test_no_text_makes_the_folder_hold_much() -> None:
    folder = CharacterFolder()
    given_out = folder.feed("a" + "\u0301" * 10_000 + "b" * 100)
    assert len(given_out) > 90


@pytest.mark.parametrize("markdown", [False, True])
def test_every_way_in_folds(markdown: bool) -> None:
    assert list(read_parts(["ＨＥＬＬＯ e\u0301."], markdown=markdown)) == ["HELLO é."]
    assert read_whole(["ＨＥＬＬＯ e", "\u0301."], markdown=markdown) == "HELLO é."


def test_an_accent_may_arrive_after_its_letter() -> None:
    reader = PartReader(markdown=False)
    assert reader.feed("cafe") + reader.feed("\u0301 noir") + reader.finish() == ["café noir"]


def test_the_writer_may_pause_after_a_letter() -> None:
    reader = PartReader(markdown=False)
    assert reader.feed("好") == []
    assert reader.flush() == ["好"]
