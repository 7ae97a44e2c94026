"""What holds for any Markdown, however it arrives."""

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxcli.text.markdown.reader import SpeakableMarkdown

SYMBOLS = [*"\n\n\n \t*_`~#>-+=|[]()!<>&$\\:.,;\"'/^?xA1é你，😀\r\u00a0"]
LINE_STARTS = ["\n\n", "```", "~~~", "---\n", "***", "===\n", "- ", "* ", "1. ", "> ", "# ", "  \n", "[ ] ", "[!NOTE]"]
LINKS = ["https://", "http://a.b/c.", "www.a.b", "[a](b)", "[a][b]", "![a](b)", "[^1]", "[^1]: ", "[a]: http://b\n"]
HTML = ["<br>", "<b>", "</b>", "<!--", "-->", "<script>", "</script>", "&amp;", "&#10;"]
HIGHLIGHTS = [
    "==",
    "++",
    "~~",
    "=",
    "+",
    "[[",
    "]]",
    "[[a|b]]",
    "![[",
    ":smile:",
    ":",
    "<![CDATA[",
    "]]>",
    "[a]",
    "**",
    "(/u)",
]
OTHERS = ["$x$", "\\(", "\\)", "\\[", "\\]", "| a | b |\n", "|---|---|\n", "a: b\n", "[pause 1s]"]
WORDS = ["words ", "**bo ld**", "`co de`", "x" * 120, "." * 210]
MORSELS = st.sampled_from([*SYMBOLS, *LINE_STARTS, *LINKS, *HIGHLIGHTS, *HTML, *OTHERS, *WORDS])
TEXTS = st.lists(MORSELS, max_size=40).map("".join) | st.text(max_size=60)
PROSE = st.lists(
    st.sampled_from(
        ["He said:", "“Well,", "what a day!”", "she", "went", "home;", "the wind (cold)", "blew.", "3.14", "你好。"]
    )
    | st.text("abcdefghijklmnopqrstuvwxyzéäß", min_size=1, max_size=12)
).map(" ".join)


def plain_text(markdown: str) -> str:
    reader = SpeakableMarkdown()
    return reader.feed(markdown) + reader.finish()


@settings(deadline=None, max_examples=500)
@given(TEXTS, st.lists(st.integers(min_value=0), max_size=8))
def test_how_the_text_was_cut_on_its_way_makes_no_difference(text: str, cuts: list[int]) -> None:
    markdown = SpeakableMarkdown()
    places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    in_parts = [markdown.feed(text[start:end]) for start, end in pairwise(places)]
    whole = plain_text(text)
    assert "".join(in_parts) + markdown.finish() == whole
    markdown = SpeakableMarkdown()
    assert "".join(map(markdown.feed, text)) + markdown.finish() == whole


@settings(deadline=None, max_examples=300)
@given(st.lists(TEXTS | st.none(), max_size=12))
def test_pauses_anywhere_do_no_harm(steps: list[str | None]) -> None:
    markdown = SpeakableMarkdown()
    for step in steps:
        assert isinstance(markdown.flush() if step is None else markdown.feed(step), str)
    markdown.finish()


@settings(deadline=None, max_examples=300)
@given(TEXTS)
def test_blocks_are_parted_by_one_blank_line_and_stand_without_blanks(text: str) -> None:
    for block in plain_text(text).split("\n\n"):
        assert block == block.strip(" \t\n")
        assert block or not text.strip() or plain_text(text) == ""


@settings(deadline=None, max_examples=300)
@given(PROSE)
def test_plain_prose_passes_through_unchanged(prose: str) -> None:
    assert plain_text(prose) == prose


@settings(deadline=None, max_examples=300)
@given(PROSE)
def test_plain_prose_comes_out_within_a_few_characters(prose: str) -> None:
    markdown = SpeakableMarkdown()
    out = 0
    for position, char in enumerate(prose):
        out += len(markdown.feed(char))
        assert position + 1 - out <= len(" https:/")


@pytest.mark.parametrize(
    "opening", ["[", "`", "![", "[text](", "<", "<a b='", "&", "$", "$$", "\\(", "*", "**", "~~", "_"]
)
def test_a_mark_that_never_closes_holds_back_no_more_than_a_few_hundred_characters(opening: str) -> None:
    text = f"Begin {opening}word" + " and so on" * 100
    markdown = SpeakableMarkdown()
    held = out = 0
    for position, char in enumerate(text):
        out += len(markdown.feed(char))
        held = max(held, position + 1 - out)
    assert held <= 310
    markdown = SpeakableMarkdown()
    markdown.feed(f"Begin {opening}word.\n\n")
    assert markdown.at_block_end


def test_the_work_grows_with_the_text_and_no_faster() -> None:
    paragraph = "# T\n\nIt was *the* best of [times](http://a.b/c), `it` was https://d.e/f the worst.\n\n- 你好\n"
    endless = [
        "==a",
        "[[",
        "*a ",
        "[a]([",
        ":a",
        "[",
        "`",
        "*",
        "_",
        "<a ",
        "&",
        "$",
        "\\(",
        "![",
        "[a](",
        "-",
        "> ",
        "#",
        "|",
        " ",
        "a/",
        "\n",
        "\\",
    ]
    for text in [
        paragraph * 300,
        *(mark * 8000 for mark in endless),
        "https://" + "a." * 8000,
        "<!--" + "- " * 8000,
    ]:
        started = time.process_time()
        markdown = SpeakableMarkdown()
        "".join(map(markdown.feed, text))
        markdown.finish()
        # Measured: up to 0.12 s. What grows with the square takes much longer.
        assert time.process_time() - started < 2
