"""Where sentences end in each language: a table that a native speaker can read and extend."""

from pathlib import Path

import pytest

from voxcli.text.sentences.splitter import COLUMNS, SentenceSplitter

ROWS = [
    line.split("\t")
    for line in Path(__file__).with_name("sentences.tsv").read_text("utf-8").splitlines()
    if not line.startswith("#")
]


@pytest.mark.parametrize(("language", "marked"), ROWS)
def test_a_sentence_ends_where_a_reader_would_end_it(language: str, marked: str) -> None:
    splitter = SentenceSplitter(first_columns=COLUMNS)
    assert splitter.feed(marked.replace("|", "")) + splitter.finish() == marked.split("|")
