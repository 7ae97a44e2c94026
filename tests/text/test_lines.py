"""Lines that say nothing, and words divided at the end of a line."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voxcli.text.lines import SpokenLines
from voxcli.text.parts import read_parts

SEPARATORS = [
    *("* * *", "***", "~~~", "=====", "§", "•••", "───", "-----", "●●●"),
    *("#", "— — —", "¶", "⁂", "❦", "* ", "_ _ _", "...", "+++"),
]


def parts(text: str) -> list[object]:
    return list(read_parts([text], markdown=False))


@pytest.mark.parametrize("line", SEPARATORS)
@pytest.mark.parametrize("breaks", ["\n", "\n\n", "\r\n"])
def test_a_line_without_letters_is_silent_and_ends_a_sentence(line: str, breaks: str) -> None:
    assert parts(f"It ended{breaks}{line}{breaks}Next scene.") == ["It ended", "Next scene."]
    assert parts(f"{line}{breaks}Next scene.{breaks}{line}") == ["Next scene."]


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("It was foolish-\nness.", "It was foolishness."),
        ("It was foolish-\r\n  ness.", "It was foolishness."),
        ("A well-\nknown man.", "A well-known man."),
        ("A sugar-\nfree drink.", "A sugar-free drink."),
        ("State-of-the-\nart work", "State-of-the-art work"),
        ("Baden-\nWürttemberg", "Baden-Württemberg"),
        ("Ver-\nsicherung", "Versicherung"),
        ("Haupt-\nund Nebenstraße", "Haupt- und Nebenstraße"),
        ("1990-\n2000", "1990-2000"),
        ("A 20-\nyear plan", "A 20-year plan"),
        ("=== Chapter 1 ===", "Chapter 1"),
        ("--- Part two ---", "Part two"),
        ("Fill in ____ here", "Fill in here"),
    ],
)
def test_words_and_titles_are_made_whole(text: str, read: str) -> None:
    assert parts(text) == [read]


@pytest.mark.parametrize("text", ["Wait -\nwhat?", "One--\ntwo.", "Fool-\n\nness."])
def test_other_hyphens_join_nothing(text: str) -> None:
    first, _, second = text.partition("\n")
    assert parts(text) == [first, second.strip()]


def test_a_sign_alone_is_read() -> None:
    assert parts("%") == ["%"]
    assert parts("5 %\n%") == ["5 %"]


MORSELS = ["foolish", "-", "\n", " ", "\r\n", "ness", "und ", "* * *", "§", "5", "A.", "好", "[pause 1s]", "--"]


@example("a-\n", [2])
@given(st.lists(st.sampled_from(MORSELS)).map("".join), st.lists(st.integers(0, 200)))
def test_cutting_the_input_changes_nothing(text: str, cuts: list[int]) -> None:
    def read(places: list[int]) -> str:
        lines = SpokenLines(hyphens=True)
        return "".join(lines.feed(text[start:end]) for start, end in pairwise(places)) + lines.finish()

    assert read([0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]) == read([0, len(text)])


def test_the_work_grows_with_the_text_and_no_faster() -> None:
    text = "*" * 200_000 + "\n" + "-\n" * 100_000 + "a-\n" + " " * 200_000
    lines = SpokenLines(hyphens=True)
    assert sum(len(lines.feed(char)) for char in text) + len(lines.finish()) < len(text)
