"""What is given out when the writer pauses."""

import pytest

from voxcli.text.sentences.splitter import SentenceSplitter

PAUSE = None


def outcome(*steps: str | None) -> list[list[str]]:
    splitter = SentenceSplitter()
    return [*(splitter.flush() if step is PAUSE else splitter.feed(step) for step in steps), splitter.finish()]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Hello there", ["Hello "]),
        ("Hello there ", ["Hello there "]),
        ("Hello there,", ["Hello there,"]),
        ("Hello there.", ["Hello there."]),
        ("He was in the U.S. He", ["He was in the U.S. "]),
        ("see https://exam", ["see "]),
        ('He said "Hel', ["He said "]),
        ("你好世", ["你好世"]),
        ("你好wor", ["你好"]),
        ("Say [pau", ["Say "]),
        ("Great! 😀", ["Great! 😀"]),
    ],
)
def test_a_pause_gives_out_all_but_a_word_or_tag_that_may_go_on(text: str, said: list[str]) -> None:
    splitter = SentenceSplitter()
    assert splitter.feed(text) == []
    assert splitter.flush() == said
    assert "".join(said + splitter.finish()) == text


def test_a_word_that_is_all_there_is_is_given_out() -> None:
    assert outcome("Hello", PAUSE, " there") == [[], ["Hello"], [], [" there"]]
    assert outcome("Oh no", PAUSE, PAUSE) == [[], ["Oh "], ["no"], []]


def test_an_open_tag_is_held_however_long_the_pause() -> None:
    assert outcome("[pau", PAUSE, PAUSE, "se 1s] Go.") == [[], [], [], [], ["[pause 1s] Go."]]


def test_a_bracket_that_is_too_long_for_a_tag_is_not_held() -> None:
    text = "[and this remark goes on and on and on, "
    assert outcome(text, PAUSE) == [[], [], [text]]
    assert outcome(text + "for ever ", PAUSE) == [[], [text + "for ever "], []]


@pytest.mark.parametrize("text", ["", "   ", "\n\n", "—", "😀", "..."])
def test_a_pause_after_nothing_to_say_gives_out_nothing(text: str) -> None:
    splitter = SentenceSplitter()
    assert splitter.feed(text) + splitter.flush() == []


def test_a_pause_ends_the_first_piece() -> None:
    after = "this is a piece, that is more than sixty columns wide, but no longer the first one, so what"
    assert outcome("Hello.", PAUSE, after) == [[], ["Hello."], [], [after]]
