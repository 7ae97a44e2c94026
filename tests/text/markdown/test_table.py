"""Examples of Markdown and what is read of them, for anybody to extend: tests/text/markdown.tsv."""

from pathlib import Path

import pytest

from voxcli.text.parts import read_parts

_TABLE = Path(__file__).parents[1] / "markdown.tsv"
_ESCAPED = {"\\n": "\n", "\\t": "\t", "\\\\": "\\"}


def _unescaped(text: str) -> str:
    head, backslash, rest = text.partition("\\")
    return head + _ESCAPED[backslash + rest[0]] + _unescaped(rest[1:]) if backslash else head


ROWS = [
    [_unescaped(field) for field in line.split("\t")] for line in _TABLE.read_text("utf-8").splitlines() if "\t" in line
]


@pytest.mark.parametrize(("markdown", "said"), ROWS)
def test_markdown_is_read_as_the_table_says(markdown: str, said: str) -> None:
    assert "|".join(map(str, read_parts([markdown], markdown=True))) == said
    assert "|".join(map(str, read_parts(markdown, markdown=True))) == said
