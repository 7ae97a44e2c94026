"""Console output: messages on standard error, tables and documents on standard output.

Text and paths of the user are never interpreted as markup and cannot contain terminal control sequences.
"""

import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import typer
from rich.cells import cell_len
from rich.console import Console as RichConsole
from rich.text import Text

from voxcli.cli.exits import ExitCode


class Console:
    """Messages for the user, on standard error. Errors and warnings are always shown, notes unless quiet."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.rich = RichConsole(stderr=True, markup=False, highlight=False, emoji=False, soft_wrap=True)

    def note(self, message: str) -> None:
        if not self.quiet:
            self._print("", "dim", message)

    def warning(self, message: str) -> None:
        self._print("warning: ", "yellow", message)

    def error(self, message: str) -> None:
        self._print("error: ", "bold red", message)

    def _print(self, label: str, style: str, message: str) -> None:
        text = printable(message)
        with suppress(OSError):  # standard error is closed or full, so it cannot be reported
            self.rich.print(Text.assemble((label, style), text) if label else Text(text, style))


class _ConsoleLogHandler(logging.Handler):
    def __init__(self, console: Console, level: int) -> None:
        super().__init__(level)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            self._console.warning(record.getMessage())
        else:
            self._console.note(f"{record.name}: {record.getMessage()}")


@contextmanager
def logs_on_console(console: Console, *, verbose: bool) -> Iterator[None]:
    """Show the log records of the package: warnings, and with `verbose` everything."""
    level = logging.DEBUG if verbose else logging.WARNING
    handler, logger = _ConsoleLogHandler(console, level), logging.getLogger("voxcli")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)


def printable(text: str) -> str:
    """Replace terminal control characters."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def write_lines(lines: Sequence[str]) -> None:
    """Write lines to standard output. Raises as `streams` says."""
    for line in lines:
        sys.stdout.write(line + "\n")
    sys.stdout.flush()


def write_json(document: Any) -> None:
    """Write a document to standard output as JSON."""
    write_lines([json.dumps(document, indent=2)])


def write_table(rows: Sequence[Sequence[str]]) -> None:
    """Write rows of cells to standard output, in columns. The last column is not cut or padded."""
    shown = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*shown, strict=True)]
    write_lines(
        [
            "  ".join(cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in shown
        ]
    )


def can_ask() -> bool:
    """Tell whether both standard input and standard error are a terminal."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def ask(console: Console, question: str) -> str:
    """Ask a question and return the answer, stripped."""
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
