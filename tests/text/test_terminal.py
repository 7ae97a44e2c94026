"""Control sequences and overwritten lines are no text, wherever they are cut."""

import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxcli.text.terminal import TerminalText, without_terminal_codes

CASES = [
    ("\x1b[1mHello\x1b[0m world. \x1b[?25lBye.\n", "Hello world. Bye.\n"),
    ("\x1b[38;2;255;0;0mred\x1b[0m\x1b[K \x1b(B\x1b7and\x1b8 blue", "red and blue"),
    ("\x1b]8;;http://a.b/c\x1b\\a link\x1b]8;;\x07 and \x1b]0;a title\x07text", "a link and text"),
    ("\x9b1mHi\x9b0m \x9d0;t\x9cthere \x1bPq#0;2;0\x1b\\all", "Hi there all"),
    ("\x1b]0;a title that never ends\ntext", "\ntext"),
    ("cut\x1b", "cut"),
    ("cut\x1b[31", "cut"),
    ("cut\x1b]0;open", "cut"),
    ("Loading 10%\rLoading 50%\rDone.\n", "Done.\n"),
    ("⠋ thinking\r⠙ thinking\r\x1b[KHello there.\n", "Hello there.\n"),
    ("Thinking\rThinking.\rThinking..\rThinking...\rHello\n", "Hello\n"),
    ("work -\rwork \\\rwork |\r      \rHi\n", "Hi\n"),
    ("a 12% ▕██  ▏\x1b[K\r\x1b[1Ga 100%\x1b[2K\x1b[1GThe answer.\n", "The answer.\n"),
    ("hel\x1b[3D\x1b[K\nhello", "\nhello"),
    ("_\bu_\bn c\bca\bat", "un cat"),
    ("\x1b[2J\x1b[HHello", "Hello"),
    ("Hello\r", "Hello"),
    ("a\r\nb\r\n\r\nc", "a\nb\n\nc"),
    ("old text\rwith lines\rof a Mac", "old text\nwith lines\nof a Mac"),
    ("One. Two. Three\rFour", "One. Two. Three\nFour"),
    ("It\x92s \x93so\x94\x07", "It’s “so”"),
    ("tabs\tand [brackets] [1m stay", "tabs\tand [brackets] [1m stay"),
]


@pytest.mark.parametrize(("output", "text"), CASES)
def test_what_a_terminal_would_show_is_text(output: str, text: str) -> None:
    assert without_terminal_codes(output) == text


MORSELS = ["\r", "\n", "\b", "\x1b", "[", "K", "2K", "1G", "m", "]", "\x07", "a", "Wo", "10%", "\x9b", "3D", "\\", "。"]
SEQUENCES = ["\x1b[", "\x1b]8;;", "\x1b\\", "⠋", " ", "Hello. ", "x" * 70]


@settings(max_examples=500)
@given(st.lists(st.sampled_from(MORSELS + SEQUENCES)).map("".join), st.lists(st.integers(0, 99)))
def test_cutting_the_output_makes_no_difference(output: str, cuts: list[int]) -> None:
    whole = without_terminal_codes(output)
    reader = TerminalText()
    assert "".join(map(reader.feed, output)) + reader.finish() == whole
    reader = TerminalText()
    places = sorted({0, len(output), *(cut for cut in cuts if cut < len(output))})
    pieces = [output[start:end] for start, end in itertools.pairwise(places)]
    assert "".join(map(reader.feed, pieces)) + reader.finish() == whole
    assert "\x1b" not in whole


@given(st.text(st.characters(blacklist_categories=["Cc", "Cs"]) | st.sampled_from("\n\t")))
def test_text_without_control_characters_passes_unchanged(text: str) -> None:
    assert without_terminal_codes(text) == text


def test_nothing_is_held_back_after_a_sentence_or_at_a_pause() -> None:
    reader = TerminalText()
    assert reader.feed("One. ") == ""
    assert reader.feed("T") == "One. T"
    assert reader.feed("wo") == "wo"
    assert reader.feed("\nThr") == "\n"
    assert reader.flush() == "Thr"
    assert reader.feed("ee") == "ee"


def test_a_picture_is_skipped_without_being_kept() -> None:
    reader = TerminalText()
    started = time.process_time()
    out = [reader.feed(piece) for piece in ("\x1b]1337;File=:", *["iVBORw0KGgo" * 10] * 20_000, "\x1b", "\\Hello.\n")]
    assert "".join(out) == "Hello.\n"
    assert time.process_time() - started < 10  # with the square of the length, it takes minutes
