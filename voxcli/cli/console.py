"""Words for people, on standard error, and lists on standard output.

Text and paths of the user are never read as markup and cannot steer the terminal.
"""

import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from rich.cells import cell_len
from rich.console import Console as RichConsole
from rich.text import Text

from voxcli.cli.exits import ExitCode
from voxcli.errors import ConsumerClosed


class Console:
    """What the user reads beside the product. Errors are always said, warnings too, notes unless quiet."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.rich = RichConsole(stderr=True, markup=False, highlight=False, emoji=False, soft_wrap=True)

    def note(self, message: str) -> None:
        if not self.quiet:
            self._say("", "dim", message)

    def warning(self, message: str) -> None:
        self._say("warning: ", "yellow", message)

    def error(self, message: str) -> None:
        self._say("error: ", "bold red", message)

    def _say(self, label: str, style: str, message: str) -> None:
        text = printable(message)
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
    """Say what the package logs: warnings, and with `verbose` everything."""
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
    """Replace everything that could steer a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def write_lines(lines: Sequence[str]) -> None:
    """Write lines to standard output.

    Raises:
        ConsumerClosed: whoever read it has seen enough.
    """
    try:
        for line in lines:
            sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except BrokenPipeError as error:
        raise ConsumerClosed("standard output") from error


def write_json(document: Any) -> None:
    """Write a document to standard output, for programs."""
    write_lines([json.dumps(document, indent=2)])


def write_table(rows: Sequence[Sequence[str]]) -> None:
    """Write rows of cells to standard output in columns. The last column may be as long as it likes."""
    shown = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*shown, strict=True)]
    write_lines(
        [
            "  ".join(cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in shown
        ]
    )


def can_ask() -> bool:
    """Tell whether somebody sits there who sees questions and can answer."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def ask(console: Console, question: str) -> str:
    """Return one line from the terminal, without the blanks around it."""
    console.rich.print(Text(printable(question) + " "), end="")
    return sys.stdin.buffer.readline().decode("utf-8", "replace").strip()


def confirm(console: Console, question: str, *, yes: bool, command: str) -> None:
    """Go on only if the user has said so already, or says so now.

    Args:
        yes: what --yes says.
        command: does the same without a question.

    Raises:
        typer.Exit: the answer is no, or there is nobody to ask.
    """
    if yes:
        return
    if not can_ask():
        console.error(f"{question} There is no terminal to ask on. If you are sure: {command}")
        raise typer.Exit(ExitCode.USAGE)
    if ask(console, f"{question} [y/N]").lower() not in ("y", "yes"):
        console.note("Nothing was done.")
        raise typer.Exit(ExitCode.INTERRUPTED)
