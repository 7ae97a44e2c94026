"""Lists of texts: JSON lines, tables in CSV and TSV, and plain lines, read row by row with the place of each mistake.

However long a list is, one row of it is held at a time.
"""

import codecs
import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePath
from typing import Any, BinaryIO

from voxcli.batch.lines import MOST_BYTES, ListLine, Mistake, read_lines

TEXT, FILE = "text", "file"
"""The columns of which a row needs one."""


class ListFormat(StrEnum):
    """How a list is written."""

    JSONL = "jsonl"
    CSV = "csv"
    TSV = "tsv"
    TXT = "txt"


_SUFFIXES = {
    **{f".{format}": format for format in ListFormat},
    ".ndjson": ListFormat.JSONL,
    ".jsonlines": ListFormat.JSONL,
    ".tab": ListFormat.TSV,
    ".text": ListFormat.TXT,
    ".lst": ListFormat.TXT,
}


@dataclass(frozen=True, slots=True)
class ListRow:
    """A row as it is written."""

    number: int
    """From 1, not counting blank rows and the names of the columns."""
    line: int
    """In the file, from 1, where the row begins."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """By column; empty cells are left out. Strings, or any values of JSON."""


def format_of(name: str, start: bytes) -> ListFormat | None:
    """Return the format of a list by its suffix, or by its first character; None for a suffix that says nothing.

    start: of its content.
    """
    suffix = PurePath(name).suffix.lower()
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    if suffix not in ("", ".json"):
        return None
    first = start.removeprefix(codecs.BOM_UTF8).lstrip()[:1]
    return ListFormat.JSONL if first == b"{" else None if suffix else ListFormat.TXT


def read_list(file: BinaryIO, format: ListFormat, encoding: str | None = None) -> Iterator[ListRow | Mistake]:
    """Yield the rows of a list, and in their place what is wrong with them.

    Args:
        file: is read from its beginning.
        encoding: None takes the one of a byte order mark, or UTF-8.
    """
    lines = read_lines(file, encoding)
    match format:
        case ListFormat.TXT:
            yield from _plain_rows(lines)
        case ListFormat.JSONL:
            yield from _json_rows(lines)
        case ListFormat.CSV | ListFormat.TSV:
            yield from _table_rows(lines, format)


def _plain_rows(lines: Iterator[ListLine | Mistake]) -> Iterator[ListRow | Mistake]:
    """Yield each line that is not blank."""
    number = 0
    for line in lines:
        if isinstance(line, Mistake):
            yield line
        elif text := line.text.strip():
            number += 1
            yield ListRow(number, line.number, {TEXT: text})


def _json_rows(lines: Iterator[ListLine | Mistake]) -> Iterator[ListRow | Mistake]:
    number = 0
    for line in lines:
        if isinstance(line, Mistake):
            number += 1
            yield line
        elif line.text.strip():
            number += 1
            values = _parse_json(line)
            yield values if isinstance(values, Mistake) else ListRow(number, line.number, values)


def _parse_json(line: ListLine) -> dict[str, Any] | Mistake:
    twice: list[str] = []

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        twice.extend(name for name in dict.fromkeys(names) if names.count(name) > 1)
        return dict(pairs)

    try:
        value = json.loads(line.text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        return Mistake(f"This is not JSON: {error.msg}.", line.number, f"column {error.colno}")
    except RecursionError:
        return Mistake("This is nested too deeply.", line.number)
    if twice:
        return Mistake("The field is given twice.", line.number, twice[0])
    if isinstance(value, str):
        return {TEXT: value}
    if not isinstance(value, dict):
        return Mistake(f'A row is an object, such as {{"{TEXT}": "Hello."}}, or a string.', line.number)
    return {name: cell for name, cell in _unwrapped(value).items() if cell is not None}


def _unwrapped(row: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a row that is written as a request of OpenAI's Batch API.

    From https://platform.openai.com/docs/guides/batch: the fields are those of "body".
    """
    body = row.get("body")
    if not isinstance(body, dict) or "custom_id" not in row:
        return row
    return {"id": row["custom_id"], **body}


def _table_rows(lines: Iterator[ListLine | Mistake], format: ListFormat) -> Iterator[ListRow | Mistake]:
    source = _TableLines(lines)
    first = next(source, None)
    if first is None:
        yield source.mistake or Mistake("The list is empty.")
        return
    delimiter = "\t" if format is ListFormat.TSV else _delimiter(first)
    csv.field_size_limit(MOST_BYTES)
    table = csv.reader(source.again(first), delimiter=delimiter, strict=True)
    number, begins, names = 0, 1, list[str]()
    while True:
        try:
            cells = next(table, None)
        except csv.Error as error:
            reason = str(error).removeprefix("'").rstrip(".")
            yield Mistake(f"This is not a row of a table: {reason}. Is a quotation mark missing?", begins)
            return
        line, begins = begins, source.number + 1
        if source.mistake:
            yield source.mistake
            return
        if cells is None:
            return
        if not any(cell.strip() for cell in cells):
            continue
        if not names:
            names = [name.strip() for name in cells]
            if mistake := _wrong_names(names, line):
                yield mistake
                return
            continue
        number += 1
        yield _table_row(names, cells, number, line)


def _table_row(names: list[str], cells: list[str], number: int, line: int) -> ListRow | Mistake:
    if extra := [cell for cell in cells[len(names) :] if cell.strip()]:
        return Mistake(
            f"The row has {len(cells)} cells, and there are {len(names)} columns: {extra[0]!r} is in none. "
            "Put quotation marks around a cell with a comma in it.",
            line,
        )
    values = {name: cell for name, cell in zip(names, cells, strict=False) if name and cell.strip()}
    return ListRow(number, line, values)


def _wrong_names(names: list[str], line: int) -> Mistake | None:
    twice = next((name for name in names if name and names.count(name) > 1), None)
    return Mistake("The column is named twice.", line, twice) if twice else None


def _delimiter(first: str) -> str:
    """Return what separates the names of the columns: semicolons where Excel writes commas in numbers."""
    return max((",", ";", "\t"), key=first.count)


class _TableLines:
    """Lines for a reader of tables, up to the first mistake."""

    def __init__(self, lines: Iterator[ListLine | Mistake]) -> None:
        self.number = 0
        """Of the line that was read last."""
        self.mistake: Mistake | None = None
        self._lines = lines

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        if isinstance(line, Mistake):
            self.mistake = line
            raise StopIteration
        self.number = line.number
        return line.text

    def again(self, first: str) -> Iterator[str]:
        """Yield a line that was read already, and the following ones."""
        yield first
        yield from self
