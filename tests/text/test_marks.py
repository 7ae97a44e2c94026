"""What is a mark in square brackets, and what is only text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxcli.text.marks import Pause, parse_marks


@pytest.mark.parametrize(
    ("tag", "seconds"),
    [
        ("[pause]", 0.5),
        ("[pause 0.5s]", 0.5),
        ("[pause 500ms]", 0.5),
        ("[pause:1.5]", 1.5),
        ("[pause: 1,5 s]", 1.5),
        ("[pause 2]", 2),
        ("[PAUSE 2S]", 2),
        ("[Pause=250ms]", 0.25),
        ("[pause 0]", 0),
        ("[pause 60s]", 60),
    ],
)
def test_a_pause_is_silence(tag: str, seconds: float) -> None:
    assert parse_marks(f"One{tag}two.") == (["One", Pause(seconds), "two."], [])


@pytest.mark.parametrize("tag", ["[pause -1]", "[pause 61]", "[pause 999999ms]", "[pause banana]", "[pauses]"])
def test_a_pause_that_makes_no_sense_is_unknown_and_not_read(tag: str) -> None:
    assert parse_marks(f"One {tag} two.") == (["One two."], [tag])


@pytest.mark.parametrize(
    "tag",
    [
        "[laugh]",
        "[Breath]",
        "[whisper softly]",
        "[music:jazz]",
        "[music: soft jazz]",
        "[volume 50%]",
        "[clears-throat]",
    ],
)
def test_an_unknown_tag_is_not_read_but_returned(tag: str) -> None:
    assert parse_marks(f"{tag} Oh {tag}, yes {tag}{tag} no {tag}") == ([" Oh, yes no"], [tag] * 5)
    assert parse_marks(f"好{tag}的") == (["好的"], [tag])


@pytest.mark.parametrize(
    "text",
    [
        "See [1] and [2, 3].",
        "他说[注]。",
        "Take array[i] and rows[first][last] and x[0].",
        "It [the author] said [in a hurry] so.",
        "See [Figure 2 shows how it works].",
        "What [Stop!] he [no, wait] said [...].",
        "A [link](https://example.com) stays.",
        "[" + "very" * 12 + "]",
        "[]",
        "[ ] [x]",
        "an open [pause 1s",
        "[pause\n1s]",
        "[[laugh",
    ],
)
def test_other_brackets_are_text(text: str) -> None:
    assert parse_marks(text) == ([text], [])


def test_pauses_stand_between_what_is_said() -> None:
    assert parse_marks("[pause 1]One.[pause][laugh] Two.[pause 2][pause 3]") == (
        [Pause(1), "One.", Pause(0.5), " Two.", Pause(2), Pause(3)],
        ["[laugh]"],
    )


@given(st.text().filter(lambda text: "[" not in text))
def test_text_without_brackets_comes_back_whole(text: str) -> None:
    assert parse_marks(text) == ([text] if text else [], [])


WORDS = st.text("aZ5.,é你😀()", min_size=1, max_size=8)
MEANINGS: dict[str, list[str | Pause]] = {
    "[pause 2s]": [Pause(2)],
    "[pause]": [Pause(0.5)],
    "[1]": ["[1]"],
    "[the end]": ["[the", "end]"],
    "[laugh]": [],
    "[pause 99]": [],
}


@given(st.lists(st.tuples(WORDS, st.sampled_from(sorted(MEANINGS))), max_size=20))
def test_nothing_but_tags_is_taken_out_and_everything_stays_in_order(text: list[tuple[str, str]]) -> None:
    parts, unknown = parse_marks("".join(f"{word} {tag} " for word, tag in text))
    heard = [heard for part in parts for heard in (part.split() if isinstance(part, str) else [part])]
    assert heard == [heard for word, tag in text for heard in (word, *MEANINGS[tag])]
    assert unknown == [tag for _, tag in text if not MEANINGS[tag]]


@given(st.text("[]ap use1s:. \n", max_size=60) | st.text(max_size=60))
def test_any_text_can_be_taken_apart(text: str) -> None:
    parts, unknown = parse_marks(text)
    assert len("".join(part for part in parts if isinstance(part, str))) + sum(map(len, unknown)) <= len(text)
