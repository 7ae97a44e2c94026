"""Lines of a list, one at a time, and the place of each mistake."""

import codecs
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

MOST_CHARACTERS = 1_000_000
"""Of a row: about 18 hours of speech."""
MOST_BYTES = 4 * MOST_CHARACTERS
_BLOCK = 2**16
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""In this order: that of UTF-32 begins as that of UTF-16."""
_ARCHIVE, _OLD_WORKBOOK = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"


@dataclass(frozen=True, slots=True)
class Mistake:
    """Something wrong in a list."""

    message: str
    line: int | None = None
    column: str | None = None
    """Its name, or the number of a character as "column 7"."""

    def __str__(self) -> str:
        place = [*([f"line {self.line}"] if self.line else []), *([self.column] if self.column else [])]
        return f"{', '.join(place)}: {self.message}" if place else self.message

    @property
    def fields(self) -> dict[str, Any]:
        return {"line": self.line, "column": self.column, "message": self.message}


@dataclass(frozen=True, slots=True)
class ListLine:
    number: int
    text: str


def read_lines(file: BinaryIO, encoding: str | None) -> Iterator[ListLine | Mistake]:
    """Yield lines with their ends. One that is too long or is no text is a mistake, and the next one is read.

    Args:
        file: is read from its beginning.
        encoding: None takes the one of a byte order mark, or UTF-8.
    """
    file.seek(0)
    start = file.read(4)
    if start.startswith((_ARCHIVE, _OLD_WORKBOOK)):
        yield Mistake("This is not a text but an archive or a workbook. Save the table as CSV in UTF-8.")
        return
    mark, found = next((pair for pair in _BYTE_ORDER_MARKS if start.startswith(pair[0])), (b"", "utf-8"))
    file.seek(len(mark) if found == "utf-8" else 0)
    yield from _decoded_lines(file, encoding or found)


def _decoded_lines(file: BinaryIO, encoding: str) -> Iterator[ListLine | Mistake]:
    if codecs.lookup(encoding).name.startswith(("utf-16", "utf-32")):
        yield from _read_wide_lines(file, encoding)
        return
    number = 0
    while data := file.readline(MOST_BYTES + 1):
        number += 1
        if len(data) > MOST_BYTES:
            while data and not data.endswith(b"\n"):
                data = file.readline(_BLOCK)
            yield _too_long(number)
            continue
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError as error:
            what = f"Byte 0x{data[error.start]:02x} is not {encoding.upper()} text."
            yield Mistake(f"{what} Save the list as UTF-8, or name its encoding.", number, f"byte {error.start + 1}")
            continue
        yield _checked(ListLine(number, text))


def _read_wide_lines(file: BinaryIO, encoding: str) -> Iterator[ListLine | Mistake]:
    """Yield lines of an encoding in which a byte of a character may look like the end of a line."""
    wrapped = io.TextIOWrapper(file, encoding, newline="\n")
    number = 0
    try:
        while text := wrapped.readline(MOST_CHARACTERS + 1):
            number += 1
            if len(text) > MOST_CHARACTERS:
                while text and not text.endswith("\n"):
                    text = wrapped.readline(_BLOCK)
                yield _too_long(number)
            else:
                yield _checked(ListLine(number, text))
    except UnicodeError as error:
        yield Mistake(f"What follows is not {encoding.upper()} text: {error}.", number + 1)
    finally:
        wrapped.detach()


def _checked(line: ListLine) -> ListLine | Mistake:
    at = line.text.find("\0")
    return line if at < 0 else Mistake("This is not text: it has a zero byte.", line.number, f"column {at + 1}")


def _too_long(line: int) -> Mistake:
    return Mistake(
        f"The row is longer than {MOST_CHARACTERS:,} characters. Put a text of that length into files of its "
        'own, and name each in a column "file".',
        line,
    )
