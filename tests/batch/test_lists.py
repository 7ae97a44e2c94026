"""Lists of texts: the same rows from every format, and the place of every mistake."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxcli.batch.lines import MOST_CHARACTERS, Mistake
from voxcli.batch.lists import ListFormat, ListRow, format_of, read_list

TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=30).filter(
    lambda text: text.strip()
)
CELLS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=20).filter(
    lambda text: text.strip()
)
NAMES = st.sampled_from(["text", "voice", "speed", "Größe", "a b"])


def rows_of(data: bytes, format: ListFormat, encoding: str | None = None) -> list[ListRow | Mistake]:
    return [*read_list(io.BytesIO(data), format, encoding)]


def values_of(data: bytes, format: ListFormat, encoding: str | None = None) -> list[Any]:
    return [row.values if isinstance(row, ListRow) else str(row) for row in rows_of(data, format, encoding)]


@given(st.lists(st.dictionaries(NAMES, CELLS, min_size=1), min_size=1, max_size=5))
def test_json_lines_are_read_as_they_were_written(rows: list[dict[str, str]]) -> None:
    data = "\n\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()
    assert values_of(data, ListFormat.JSONL) == rows


@given(
    st.lists(NAMES, min_size=1, max_size=4, unique=True).flatmap(
        lambda names: st.tuples(
            st.just(names), st.lists(st.lists(CELLS, min_size=len(names), max_size=len(names)), min_size=1, max_size=5)
        )
    ),
    st.sampled_from([ListFormat.CSV, ListFormat.TSV]),
    st.booleans(),
)
def test_tables_are_read_as_they_were_written(
    table: tuple[list[str], list[list[str]]], format: ListFormat, semicolons: bool
) -> None:
    names, rows = table
    delimiter = "\t" if format is ListFormat.TSV else ";" if semicolons and len(names) > 1 else ","
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([names, *rows])
    expected = [dict(zip(names, row, strict=True)) for row in rows]
    assert values_of(out.getvalue().encode(), format) == expected


@given(st.lists(TEXTS, min_size=1, max_size=6), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_lines_are_read_without_the_blank_ones(texts: list[str], end: str, blank: bool) -> None:
    data = ((end * 2) if blank else end).join(texts).encode()
    found = [row for row in rows_of(data, ListFormat.TXT) if isinstance(row, ListRow)]
    assert [row.values["text"] for row in found] == [text.strip() for text in texts]
    assert [row.number for row in found] == [*range(1, len(texts) + 1)]
    assert [row.line for row in found] == [number * (2 if blank else 1) + 1 for number in range(len(texts))]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le"])
@pytest.mark.parametrize("format", ListFormat)
def test_encodings_with_a_byte_order_mark_are_known(format: ListFormat, encoding: str) -> None:
    written = {
        ListFormat.JSONL: '{"text": "你好 ünd"}\n{"text": "two"}\n',
        ListFormat.CSV: "text,voice\n你好 ünd,\ntwo,\n",
        ListFormat.TSV: "text\tvoice\n你好 ünd\t\ntwo\t\n",
        ListFormat.TXT: "你好 ünd\r\ntwo\n",
    }[format]
    named = encoding if encoding == "utf-16-le" else None  # it has no mark
    assert values_of(written.encode(encoding), format, named) == [{"text": "你好 ünd"}, {"text": "two"}]


def test_other_encodings_are_named() -> None:
    assert values_of("caf\u00e9\n".encode("cp1252"), ListFormat.TXT, "cp1252") == [{"text": "café"}]
    assert values_of("你好\n".encode("gb18030"), ListFormat.TXT, "gb18030") == [{"text": "你好"}]


@pytest.mark.parametrize(
    ("data", "format", "place"),
    [
        (b"good\ncaf\xe9\ngood", ListFormat.TXT, "line 2, byte 4: Byte 0xe9 is not UTF-8 text"),
        (b"a\nb\0c\n", ListFormat.TXT, "line 2, column 2: This is not text"),
        (b'{"text": "a"}\n{"text": "b"', ListFormat.JSONL, "line 2, column 13: This is not JSON"),
        (b'{"text": "a", "text": "b"}\n', ListFormat.JSONL, "line 1, text: The field is given twice"),
        (b"[1, 2]\n", ListFormat.JSONL, "line 1: A row is an object"),
        (b"7\n", ListFormat.JSONL, "line 1: A row is an object"),
        (b"[" * 100_000 + b"\n", ListFormat.JSONL, "line 1: This is nested too deeply"),
        (b"text,voice\na,b\nHello, world, again,x\n", ListFormat.CSV, "line 3: The row has 4 cells"),
        (b'text,voice\n"a,b\nc,d\n', ListFormat.CSV, "line 2: This is not a row of a table"),
        (b"text,text\na,b\n", ListFormat.CSV, "line 1, text: The column is named twice"),
        (b"", ListFormat.CSV, "The list is empty"),
        (b"text,voice\na,caf\xe9\n", ListFormat.CSV, "line 2, byte 6: Byte 0xe9"),
        (b"PK\x03\x04rest", ListFormat.CSV, "This is not a text but an archive or a workbook"),
    ],
)
def test_a_mistake_has_its_place(data: bytes, format: ListFormat, place: str) -> None:
    found = [row for row in rows_of(data, format) if isinstance(row, Mistake)]
    assert len(found) == 1
    assert str(found[0]).startswith(place)


def test_what_comes_after_a_mistake_is_read() -> None:
    found = rows_of(b'{"text": "a"}\nnonsense\n\n{"text": "b"}\n', ListFormat.JSONL)
    assert [type(row) for row in found] == [ListRow, Mistake, ListRow]
    assert isinstance(found[2], ListRow)
    assert (found[2].number, found[2].line) == (3, 4)


def test_a_row_of_several_lines_has_the_place_of_its_first() -> None:
    found = rows_of(b'text,voice\n"one\ntwo",a\nthree,b\n', ListFormat.CSV)
    assert [(row.line, row.values) for row in found if isinstance(row, ListRow)] == [
        (2, {"text": "one\ntwo", "voice": "a"}),
        (4, {"text": "three", "voice": "b"}),
    ]


class Endless(io.RawIOBase):
    """A line of two gigabytes, and one after it, of which no more is held than is asked for."""

    def __init__(self) -> None:
        self._left = 2 * 2**30
        self.most = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return offset

    def readline(self, size: int | None = -1) -> bytes:
        assert size is not None
        self.most = max(self.most, size)
        if self._left > 0:
            self._left -= size
            return b"x" * size if self._left > 0 else b"x\n"
        self._left -= 1
        return b"good\n" if self._left >= -2 * size else b""

    def read(self, size: int = -1) -> bytes:
        return b"xxxx"[:size]


def test_a_text_of_two_gigabytes_is_refused_and_not_held() -> None:
    file = Endless()
    rows: Iterator[ListRow | Mistake] = read_list(file, ListFormat.TXT)  # type: ignore[arg-type]
    first = next(rows)
    assert isinstance(first, Mistake)
    assert "longer than 1,000,000 characters" in str(first)
    assert file.most <= 4 * MOST_CHARACTERS + 1
    assert next(rows) == ListRow(1, 2, {"text": "good"})


def test_requests_of_openai_are_read() -> None:
    body = {"model": "tts-1", "input": "Hello.", "voice": "alloy", "response_format": "mp3"}
    row = {"custom_id": "r1", "method": "POST", "url": "/v1/audio/speech", "body": body}
    assert values_of(json.dumps(row).encode() + b"\n", ListFormat.JSONL) == [{"id": "r1", **body}]


def test_empty_cells_are_left_out() -> None:
    assert values_of(b'text,voice,speed\nHello,, \n,,\n"",x,\n', ListFormat.CSV) == [{"text": "Hello"}, {"voice": "x"}]
    assert values_of(b'{"text": "a", "voice": null}', ListFormat.JSONL) == [{"text": "a"}]


@pytest.mark.parametrize(
    ("name", "start", "format"),
    [
        ("a.jsonl", b"", "jsonl"),
        ("a.NDJSON", b"", "jsonl"),
        ("a.csv", b"{", "csv"),
        ("a.tab", b"", "tsv"),
        ("a.txt", b"{", "txt"),
        ("", b'\xef\xbb\xbf {"text"', "jsonl"),
        ("", b"Hello", "txt"),
        ("a.json", b"{", "jsonl"),
        ("a.json", b"[", None),
        ("a.xlsx", b"", None),
    ],
)
def test_the_format_is_known_by_the_name_or_the_first_character(name: str, start: bytes, format: str | None) -> None:
    assert format_of(name, start) == format
