"""What is a mark in square brackets, and what is only text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxcli.text.marks import VOXCPM2_TAGS, Pause, is_only_tags, parse_marks


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
        ("[pause 1 min]", 60),
        ("[pause 2 seconds]", 2),
        ("[short pause]", 0.25),
        ("[Long pause]", 1),
    ],
)
def test_a_pause_is_silence(tag: str, seconds: float) -> None:
    assert parse_marks(f"One{tag}two.") == (["One", Pause(seconds), "two."], [])


@pytest.mark.parametrize(
    "tag",
    ["[pause -1]", "[pause 61]", "[pause 999999ms]", "[pause 30min]", "[pause 2 weeks]", "[pause banana]", "[pauses]"],
)
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
        "[clears throat]",
        "[LAUGHS]",
        "[laughs nervously]",
        "[starts laughing]",
        "[sarcastically]",
        "[emotion=happy]",
        "[Question-ah]",
    ],
)
def test_an_unknown_tag_is_not_read_but_returned(tag: str) -> None:
    assert parse_marks(f"{tag} Oh {tag}, yes {tag}{tag} no {tag}") == ([" Oh, yes no"], [tag] * 5)
    assert parse_marks(f"好{tag}的") == (["好的"], [tag])


@pytest.mark.parametrize(
    "text",
    [
        "See [1] and [2, 3].",
        "As [7] shows.",
        "[4] Smith, A.: A title.",
        "Take array[i] and rows[first][last] and x[0] and argv[1] and self.items[2].",
        "A [link](https://example.com) stays, so does [a](b.md).",
        "[00:12] [2026-01-02] [...] [?]",
        "[]",
        "[ ] [x]",
        "an open [pause 1s",
        "[pause\n1s]",
        "[[laugh",
    ],
)
def test_other_brackets_are_text(text: str) -> None:
    assert parse_marks(text) == ([text], [])


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("Press [Enter] or [Ctrl-C].", "Press Enter or Ctrl-C."),
        ("He said [sic] so [Figure 2].", "He said sic so Figure 2."),
        ("It [the author] said [in a hurry] so.", "It the author said in a hurry so."),
        ("What [Stop!] he [no, wait] said.", "What Stop! he no, wait said."),
        ("他说[注]。", "他说注。"),
        ("[OK] [Your Name] [Smith 2020] [happy birthday]", "OK Your Name Smith 2020 happy birthday"),
        ("[the music]", "the music"),
        ("[Bob]: " + "[" + "very" * 12 + "]", "Bob: " + "very" * 12),
    ],
)
def test_words_in_brackets_are_read_without_them(text: str, read: str) -> None:
    assert parse_marks(text) == ([read], [])


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("The sky is blue [1].", "The sky is blue."),
        ("The sky is blue.[1][2] Then it rains [3, 5-7] again.", "The sky is blue. Then it rains again."),
        ("Einstein[12] was born in Ulm,[^2] says he[note 1] [citation needed].", "Einstein was born in Ulm, says he."),
        ("他说[1]，是的[2]。", "他说，是的。"),
        ("It grows【4:0†source】. So【12†report.pdf】!", "It grows. So!"),
        ("It grows \ue200cite\ue202turn0search1\ue201. 【重点】", "It grows. 【重点】"),
    ],
)
def test_a_narrator_skips_numbers_of_sources(text: str, read: str) -> None:
    assert parse_marks(text) == ([read], [])


@pytest.mark.parametrize("tag", sorted(VOXCPM2_TAGS))
def test_a_tag_that_the_voice_performs_stays_as_the_model_spells_it(tag: str) -> None:
    (text,), unknown = parse_marks(f"[{tag.upper()}] Oh[{tag}], [laugh] yes [{tag.capitalize()}].", VOXCPM2_TAGS)
    assert isinstance(text, str)
    assert unknown == ["[laugh]"]
    assert len({word.strip(" ,.") for word in text.replace("Oh", "").replace("yes", "").split()} - {""}) == 1
    assert parse_marks(text, VOXCPM2_TAGS) == ([text], [])
    assert is_only_tags(f" [{tag}] [{tag}]\n", VOXCPM2_TAGS)
    assert not is_only_tags(f"[{tag}] a", VOXCPM2_TAGS)
    assert not is_only_tags("", VOXCPM2_TAGS)


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
    "[1]": [],
    "[the end]": ["the", "end"],
    "[laugh]": [],
    "[pause 99]": [],
}


@given(st.lists(st.tuples(WORDS, st.sampled_from(sorted(MEANINGS))), max_size=20))
def test_nothing_but_tags_is_taken_out_and_everything_stays_in_order(text: list[tuple[str, str]]) -> None:
    parts, unknown = parse_marks("".join(f"{word} {tag} " for word, tag in text))
    heard = [heard for part in parts for heard in (part.split() if isinstance(part, str) else [part])]
    assert heard == [heard for word, tag in text for heard in (word, *MEANINGS[tag])]
    assert unknown == [tag for _, tag in text if not MEANINGS[tag] and tag != "[1]"]


@given(st.text("[]ap use1s:. \n", max_size=60) | st.text(max_size=60))
def test_any_text_can_be_taken_apart(text: str) -> None:
    parts, unknown = parse_marks(text)
    assert len("".join(part for part in parts if isinstance(part, str))) + sum(map(len, unknown)) <= len(text)
