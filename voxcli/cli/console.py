"""Console output: messages on standard error, tables and documents on standard output.

Text and paths of the user are never interpreted as markup and cannot contain terminal control sequences.
"""

import json
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, TextIO

import typer
from rich.cells import cell_len

from voxcli.cli.exits import ExitCode

if TYPE_CHECKING:
    from rich.console import Console as RichConsole

_NOTED = ("voxcli.voices.anchors", "voxcli.cli.text_source")
"""Loggers whose records of level INFO are notes for every user."""
_TERMINAL_VARIABLES = ("FORCE_COLOR", "TTY_COMPATIBLE")
"""By these, users tell rich what is a terminal."""
_GAP = 2
"""Spaces between the columns of a table."""


class Console:
    """Messages for the user, on standard error. Errors and warnings are always shown, notes unless quiet."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet

    @cached_property
    def rich(self) -> "RichConsole":
        """The library that draws. It is loaded with the first message."""
        from rich.console import Console as RichConsole

        made = RichConsole(stderr=True, markup=False, highlight=False, emoji=False, soft_wrap=True)
        # The thread that draws a status line may have made one meanwhile: what is to be above the line has to use it.
        kept: RichConsole = vars(self).setdefault("rich", made)
        return kept

    @property
    def is_terminal(self) -> bool:
        """Whether messages are shown on a terminal. Says the same as `rich`, and mostly without loading it."""
        if "rich" in vars(self) or any(name in os.environ for name in _TERMINAL_VARIABLES):
            return self.rich.is_terminal
        return sys.stderr is not None and sys.stderr.isatty()

    def note(self, message: str) -> None:
        if not self.quiet:
            self._print("", "dim", message)

    def note_phrases(self, phrases: Sequence[str]) -> None:
        """Show a note of several phrases in one line, or broken between them if the screen is too narrow for it."""
        if not self.quiet:
            columns = columns_of(sys.stderr)
            self._print("", "dim", " ".join(phrases) if columns is None else "\n".join(wrap_phrases(phrases, columns)))

    def warning(self, message: str) -> None:
        self._print("warning: ", "yellow", message)

    def error(self, message: str) -> None:
        self._print("error: ", "bold red", message)

    def _print(self, label: str, style: str, message: str) -> None:
        text = printable(message)
        if (columns := columns_of(sys.stderr)) is not None:
            lines = [line for part in f"{label}{text}".split("\n") for line in wrap(part, columns)]
            text = "\n".join(lines).removeprefix(label)
        from rich.text import Text

        with suppress(OSError):  # standard error is closed or full, so it cannot be reported
            self.rich.print(Text.assemble((label, style), text) if label else Text(text, style))


class _ConsoleLogHandler(logging.Handler):
    def __init__(self, console: Console, level: int, *, notes: bool) -> None:
        super().__init__()
        self._console, self._level, self._notes = console, level, notes

    def filter(self, record: logging.LogRecord) -> bool:
        noted = self._notes and record.name in _NOTED and record.levelno >= logging.INFO
        return noted or record.levelno >= self._level

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            self._console.warning(record.getMessage())
        elif record.name in _NOTED:
            self._console.note(record.getMessage())
        else:
            self._console.note(f"{record.name}: {record.getMessage()}")


@contextmanager
def logs_on_console(console: Console, *, verbose: bool, notes: bool | None = None) -> Iterator[None]:
    """Show the log records of the package: warnings, and with `verbose` everything.

    notes: show what is told once, such as that a voice is drawn; None shows it on a terminal.
    """
    level = logging.DEBUG if verbose else logging.WARNING
    notes = console.is_terminal if notes is None else notes
    handler, logger = _ConsoleLogHandler(console, level, notes=notes), logging.getLogger("voxcli")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level)
    for name in _NOTED:
        logging.getLogger(name).setLevel(min(level, logging.INFO))
    try:
        yield
    finally:
        logger.setLevel(before)
        for name in _NOTED:
            logging.getLogger(name).setLevel(logging.NOTSET)
        logger.removeHandler(handler)


def printable(text: str) -> str:
    """Replace terminal control characters."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def write_lines(lines: Sequence[str]) -> None:
    """Write lines to standard output. Raises as `streams` says."""
    for line in lines:
        sys.stdout.write(line + "\n")
    sys.stdout.flush()


def write_paragraphs(paragraphs: Sequence[str], indent: str = "  ") -> None:
    """Write paragraphs to standard output, broken at spaces so that they fit the screen, if there is one."""
    columns = columns_of(sys.stdout)
    for paragraph in paragraphs:
        lines = [paragraph] if columns is None else wrap(paragraph, columns - 2 * len(indent))
        write_lines([f"{indent}{lines[0]}", *(f"{indent * 2}{line}" for line in lines[1:])])


def write_json(document: Any) -> None:
    """Write a document to standard output as JSON."""
    write_lines([json.dumps(document, indent=2)])


def write_table(rows: Sequence[Sequence[str]]) -> None:
    """Write rows of cells to standard output, in columns that fit the screen, if there is one."""
    write_lines(format_table(rows, columns_of(sys.stdout)))


def format_table(rows: Sequence[Sequence[str]], columns: int | None) -> list[str]:
    """Return rows of cells as lines. Cells are broken at spaces so that they fit; None is a screen without an end.

    Where even that is too wide, the last cell of a row stands below the others.
    """
    shown = [[printable(cell) for cell in row] for row in rows]
    if not shown or columns is None:
        return [_joined(row, _widths(shown)) for row in shown]
    room = columns - _GAP * (len(shown[0]) - 1)
    first = sum(_widths([row[:-1] for row in shown], _longest_word))
    whole = [row for row in shown if first + _longest_word(row[-1]) <= room] if len(shown[0]) > 1 else shown
    natural, least = _widths(whole), _widths([[*row[:-1], ""] for row in shown], _longest_word)
    least[-1] = max((_longest_word(row[-1]) for row in whole), default=0)
    widths = _fitting(natural or least, least, room)
    lines = []
    for row in shown:
        if row in whole:
            lines += _wrapped_row(row, widths)
        else:
            lines += [*_wrapped_row([*row[:-1], ""], widths), *(f"    {line}" for line in wrap(row[-1], columns - 4))]
    return lines


def _widths(rows: Sequence[Sequence[str]], measure: Callable[[str], int] = cell_len) -> list[int]:
    return [max(map(measure, column)) for column in zip(*rows, strict=True)]


def _longest_word(text: str) -> int:
    return max(map(cell_len, text.split()), default=0)


def _fitting(natural: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Return widths that need no more than the room, by narrowing the widest columns first."""
    widths = list(natural)
    while sum(widths) > max(room, sum(least)):
        wide = max(range(len(widths)), key=lambda at: (widths[at] > least[at], widths[at]))
        widths[wide] -= 1
    return widths


def _wrapped_row(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    cells = [wrap(cell, width) if cell_len(cell) > width else [cell] for cell, width in zip(row, widths, strict=True)]
    return [_joined(line, widths) for line in zip_longest(*cells, fillvalue="")]


def _joined(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell + " " * (width - cell_len(cell)) for cell, width in zip(cells, widths, strict=True))
    return (" " * _GAP).join(padded).rstrip()


def columns_of(stream: TextIO | None) -> int | None:
    """Return the columns of the screen that a stream is shown on: COLUMNS, or those of the terminal; None for none."""
    with suppress(ValueError):
        if (columns := int(os.environ.get("COLUMNS", ""))) > 0:
            return columns
    return shutil.get_terminal_size((80, 24)).columns if stream and stream.isatty() else None


def wrap(text: str, columns: int) -> list[str]:
    """Break a text at spaces into lines that fit. Characters of double width count twice, words stay whole."""
    return wrap_phrases(text.split(" "), columns)


def wrap_phrases(phrases: Sequence[str], columns: int) -> list[str]:
    """Join phrases with spaces into lines that fit. Phrases stay whole."""
    lines, line = [], ""
    for word in phrases:
        if line.strip() and cell_len(line) + 1 + cell_len(word) > columns:
            lines.append(line.rstrip())
            line = word
        else:
            line = f"{line} {word}" if line else word
    return [*lines, line]


def can_ask() -> bool:
    """Tell whether both standard input and standard error are a terminal."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def ask(console: Console, question: str) -> str:
    """Ask a question and return the answer, stripped."""
    from rich.text import Text

    console.rich.print(Text(printable(question) + " "), end="")
    return sys.stdin.buffer.readline().decode("utf-8", "replace").strip()


def confirm(console: Console, question: str, *, yes: bool, command: str) -> None:
    """Ask for confirmation, unless it was given already.

    Args:
        yes: the user passed --yes.
        command: does the same without asking; for the message.

    Raises:
        typer.Exit: the answer is no, or there is no terminal to ask on.
    """
    if yes:
        return
    if not can_ask():
        console.error(f"{question} Cannot ask without a terminal. To confirm, run: {command}")
        raise typer.Exit(ExitCode.USAGE)
    if ask(console, f"{question} [y/N]").lower() not in ("y", "yes"):
        console.note("Cancelled.")
        raise typer.Exit(ExitCode.INTERRUPTED)
