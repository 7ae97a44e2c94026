"""Inline Markdown means what markdown-it-py, a parser of CommonMark, says it means."""

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from voxcli.text.markdown.reader import SpeakableMarkdown

RULES = Path(__file__).parents[1] / "markdown_rules.tsv"
PARSER = MarkdownIt("commonmark").enable("strikethrough")


def meant(markdown: str) -> str:
    """Return the text of all inline content, as markdown-it-py parses it."""
    blocks = [token.children or [] for token in PARSER.parse(markdown) if token.type == "inline"]
    return " ".join("".join(_text(child.type, child.content) for child in block) for block in blocks)


def _text(kind: str, content: str) -> str:
    return " " if kind in ("softbreak", "hardbreak") else content if kind in ("text", "code_inline") else ""


def read(markdown: str) -> str:
    reader = SpeakableMarkdown()
    return reader.feed(markdown) + reader.finish()


def heard(text: str) -> str:
    """Leave out what is by design and cannot be heard: how many blanks there are, and those before punctuation."""
    return re.sub(r" +(?=[,.;:!?)])", "", " ".join(text.split()))


BY_DESIGN = {
    "5*6*7": "a product",
    "a<https://b.c/d>": "of an address, the host is read",
    "see https://a.b/c_d_e": "of an address, the host is read",
    "他说**“好。”**然后": "Chinese has no blanks beside a mark, which CommonMark asks for",
    "a <b then c>d": "words after < are more likely a comparison than attributes without a value",
    "[[a]] b": "a wiki link",
    "a[^1]": "a footnote is not read where it is mentioned",
    "==a== ++b++": "a highlight and an insertion of other dialects",
    ":smile:": "an emoji",
    "$a_b$ c": "a formula",
    "[a]\n\n[a]: /u": "the definition comes later, so that the brackets stay; they are left out where marks are read",
    "[a][b]": "the definition of a reference may come later",
    "*" + "long " * 70 + "end": "what does not close for 300 characters may not wait: it is taken for a mark",
}
CASES = [
    line.encode("raw_unicode_escape").decode("unicode_escape").split("\t")
    for line in RULES.read_text("utf-8").splitlines()
    if not line.startswith("#")
]


def test_own_examples_of_each_rule() -> None:
    different = [(rule, text, read(text)) for rule, text in CASES if heard(read(text)) != heard(meant(text))]
    assert len(different) <= 0.02 * len(CASES), different


@pytest.mark.parametrize("text", BY_DESIGN)
def test_differences_by_design_are_different(text: str) -> None:
    assert heard(read(text)) != heard(meant(text)), "it is no difference any more: take it off the list"


def drawn(draw: random.Random, depth: int = 0) -> str:
    """Draw a piece of inline Markdown, with spans in spans and with marks that belong to none."""

    def inside() -> str:
        return draw.choice([" ", "", " "]).join(drawn(draw, depth + 1) for _ in range(draw.randint(1, 4)))

    spans: list[Callable[[], str]] = [
        lambda: f"*{inside()}*",
        lambda: f"**{inside()}**",
        lambda: f"_{inside()}_",
        lambda: f"***{inside()}***",
        lambda: f"~~{inside()}~~",
        lambda: f"[{inside()}](/u)",
        lambda: f'[{inside()}](/u "t")',
        lambda: f"<b>{inside()}</b>",
        lambda: f"({inside()})",
        lambda: "`" + draw.choice(["a", "*a*", "a ` b"]) + "`",
        lambda: "![a](i.png)",
        lambda: draw.choice(["&amp;", "&nope;", r"\*", r"\_", r"\[", r"\a"]),
        lambda: draw.choice(["*", "**", "_", "__", "[", "]", "`", "(", ")", "~~", "!"]),
    ]
    if depth > 3 or draw.random() < 0.4:
        return draw.choice(["one", "two", "a", "B", "don't", "x", "Äpfel"])
    return draw.choice(spans)()


def test_drawn_markdown_is_read_as_it_is_meant() -> None:
    draw = random.Random(20260131)
    texts = [
        "w " + "".join(drawn(draw) for _ in range(draw.randint(1, 3))) + draw.choice(["", ".", " end."])
        for _ in range(2000)
    ]
    # A block of more than the window is decided before its end.
    texts = [text for text in texts if len(text) < 300]
    different = [text for text in texts if heard(read(text)) != heard(meant(text))]
    assert len(different) <= 0.03 * len(texts), different[:20]
