"""Texts cut by the rules of GPT-SoVITS."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxcli.protocols.gptsovits.text_cuts import METHODS, cut, is_spoken

texts = st.text(st.sampled_from("ab3你好，。？！,.?!~:：—…；;、 \n-"), max_size=60)
methods = st.sampled_from(list(METHODS))


def sentences(count: int, length: int = 10) -> str:
    return "".join(f"{'字' * (length - 1)}。" for _ in range(count))


def lengths(text: str, method: str) -> list[int]:
    return [len(piece) for piece in cut(text, method)]


@given(texts, methods)
def test_no_word_is_lost_and_none_moves(text: str, method: str) -> None:
    assert [c for piece in cut(text, method) for c in piece if c.isalnum()] == [c for c in text if c.isalnum()]


@given(texts, methods)
def test_every_piece_can_be_spoken_and_has_an_end(text: str, method: str) -> None:
    for piece in cut(text, method):
        assert is_spoken(piece)
        assert piece[-1] in "，。？！,.?!~:：—…"


@given(texts, methods)
def test_no_piece_is_short_where_there_is_another_one(text: str, method: str) -> None:
    pieces = cut(text, method)
    assert len(pieces) == 1 or all(len(piece) >= 5 for piece in pieces)


@given(texts.filter(is_spoken), methods)
def test_a_text_with_a_word_is_never_cut_away(text: str, method: str) -> None:
    assert cut(text, method)


@given(texts, methods)
def test_a_new_line_is_always_a_cut(text: str, method: str) -> None:
    assert not any("\n" in piece for piece in cut(text, method))


@pytest.mark.parametrize("method", METHODS)
def test_where_there_is_no_word_there_is_no_piece(method: str) -> None:
    assert [cut(text, method) for text in ("", "\n", " ", "…。！", "...\n---")] == [[]] * 5


def test_cut0_leaves_a_text_as_it_is() -> None:
    assert cut("你好，世界。今天天气好。", "cut0") == ["你好，世界。今天天气好。"]


@pytest.mark.parametrize(
    ("count", "groups"),
    [(3, [30]), (4, [40]), (5, [50]), (8, [80]), (9, [40, 50]), (12, [40, 80]), (13, [40, 40, 50])],
)
def test_cut1_takes_four_sentences_and_leaves_the_rest_to_the_last(count: int, groups: list[int]) -> None:
    assert lengths(sentences(count), "cut1") == groups


@pytest.mark.parametrize(
    ("count", "groups"), [(1, [10]), (5, [50]), (12, [60, 60]), (13, [60, 70]), (17, [60, 60, 50])]
)
def test_cut2_takes_about_fifty_characters(count: int, groups: list[int]) -> None:
    assert lengths(sentences(count), "cut2") == groups


def test_cut3_cuts_at_chinese_full_stops() -> None:
    assert cut("。今天天气好，真好。我们出去玩。", "cut3") == ["今天天气好，真好。", "我们出去玩。"]


def test_cut4_cuts_at_english_full_stops_but_not_in_numbers() -> None:
    text = "Pi is 3.14 and a bit. Version 2.x stays whole."
    assert cut(text, "cut4", english=True) == ["Pi is 3.14 and a bit.", " Version 2.x stays whole."]


def test_cut5_cuts_at_every_mark_but_the_point_of_a_number() -> None:
    assert cut("今天天气，真的很好！圆周率是3.14；不多：不少:对的", "cut5") == [
        *("今天天气，", "真的很好！", "圆周率是3.14；不多：", "不少:对的。"),
    ]


def test_short_pieces_are_joined_to_the_next_and_at_the_end_to_the_last() -> None:
    assert cut("好，是的，我们走吧，好。", "cut5") == ["好，是的，", "我们走吧，好。"]
    assert cut("好。", "cut5") == ["好。"]


def test_an_end_is_added_where_there_is_none() -> None:
    assert cut("今天天气好", "cut5") == ["今天天气好。"]
    assert cut("Nice weather", "cut5", english=True) == ["Nice weather."]


def test_what_is_very_long_is_cut_where_it_ends() -> None:
    pieces = cut(sentences(80), "cut0")
    assert [len(piece) for piece in pieces] == [510, 290]
    assert lengths("字" * 600, "cut0") == [601]
    assert lengths("字" * 600 + "，" + "字" * 20, "cut0") == [601, 21]
