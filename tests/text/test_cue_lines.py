"""Subtitle lines: short enough, complete, and broken where a reader stumbles least."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxcli.text.cue_lines import COLUMNS, WIDE_COLUMNS, columns_of, cue_texts, line_columns

WORDS = [
    *("a", "the", "Dr.", "bank", "river,", "and", "sleeps.", "3", "km", "[laughing]", "über", "well-known", "(“so"),
    *("said”)", "春天来了，", "我们用", "メロスは", "يذهب", "ไปไหนมา", "e\u0301" * 9),
    "https://example.com/a/very/long/address/that/has/no/end/at/all",
]
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=60).map(" ".join)


@given(text=texts, indent=st.sampled_from([0, 6, 60]))
def test_lines_fit_and_all_text_is_there_once_and_in_order(text: str, indent: int) -> None:
    cues = cue_texts(text, indent=indent)
    limit, at = line_columns(text), 0
    for number, cue in enumerate(cues):
        assert text[at : cue.span[0]].strip() == ""
        at = cue.span[1]
        assert "".join(cue.lines).replace(" ", "") == text[slice(*cue.span)].replace(" ", "")
        assert 1 <= len(cue.lines) <= 2
        for line in cue.lines:
            taken = min(indent, limit // 2) if not number and line is cue.lines[0] else 0
            assert columns_of(line) + taken <= limit
            assert line == line.strip() != ""
    assert at == len(text)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("Hello.", ["Hello."]),
        (
            "The quick brown fox jumps over the lazy dog near the bank of the river, and then it sleeps.",
            ["The quick brown fox jumps over", "the lazy dog near the bank of the river,", "and then it sleeps."],
        ),
        (
            "It is said that the old clock in the tower of Dr. Smith has not struck since 10 000 days.",
            ["It is said that the old clock", "in the tower of Dr. Smith", "has not struck since 10 000 days."],
        ),
        (
            "春天来了，花园里的花都开了，孩子们在草地上跑来跑去，老人们坐在树下一边喝茶一边聊天。",
            ["春天来了，花园里的花都开了，", "孩子们在草地上跑来跑去，", "老人们坐在树下一边喝茶一边聊天。"],
        ),
        (
            "メロスは激怒した。必ず、かの王を除かねばならぬ。",
            ["メロスは激怒した。", "必ず、かの王を除かねばならぬ。"],
        ),
        (
            "它在 RTX 4090 上的 RTF 是 0.018，比 reference implementation 快五倍。",
            ["它在 RTX 4090 上的 RTF 是 0.018，", "比 reference implementation 快五倍。"],
        ),
    ],
)
def test_lines_end_at_clauses_and_not_after_articles(text: str, lines: list[str]) -> None:
    assert [line for cue in cue_texts(text) for line in cue.lines] == lines


def test_no_line_begins_with_a_closing_mark_or_ends_with_an_opening_one() -> None:
    text = "他说：“我们今天下午三点在车站见面吧（不要迟到），然后一起去看电影《长江七号》，好吗？”" * 2
    lines = [line for cue in cue_texts(text) for line in cue.lines]
    assert not any(line[0] in "，。？！”）》、：" or line[-1] in "“（《" for line in lines)


def test_a_wide_script_has_shorter_lines() -> None:
    assert line_columns("今天天气好。") == WIDE_COLUMNS
    assert line_columns("한국어 자막") == WIDE_COLUMNS
    assert line_columns("We met 王芳 in the street.") == COLUMNS


def test_a_pause_draws_a_break_to_it() -> None:
    text = "one two six ten " * 6 + "one"
    at = text.index("two", 50)
    assert at not in [cue.span[0] for cue in cue_texts(text)]
    assert at in [cue.span[0] for cue in cue_texts(text, ease=lambda start: 0.0 if start == at else 1.0)]


def test_a_cue_that_would_stay_too_long_is_divided() -> None:
    text = "slowly spoken words, slowly spoken words, slowly spoken"
    assert len(cue_texts(text)) == 1
    assert len(cue_texts(text, strain=lambda start, end: 100.0 * (end - start > 25))) == 3


def test_the_lines_of_a_text_that_was_not_split_are_found_in_time_that_grows_with_it() -> None:
    """Each character is looked at with its neighbours, and not with the whole text."""
    for piece in ("the bird, ", "春天来了，", "x"):
        looked_at: list[int] = []
        for count in (200, 400):
            calls = 0

            def strain(start: int, end: int) -> float:
                nonlocal calls
                calls += 1
                return 0.0

            cue_texts((piece * count).strip(), strain=strain)
            looked_at.append(calls)
        assert looked_at[1] < 2.5 * looked_at[0]
