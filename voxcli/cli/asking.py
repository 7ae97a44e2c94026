"""Questions to the user, which take a terminal."""

import sys

import typer
from rich.text import Text

from voxcli.cli.console import Words, printable
from voxcli.cli.exits import ExitCode


def can_ask() -> bool:
    """Tell whether somebody sits there who sees questions and can answer."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def ask(words: Words, question: str) -> str:
    """Return one line from the terminal, without the blanks around it."""
    words.console.print(Text(printable(question) + " "), end="")
    return sys.stdin.buffer.readline().decode("utf-8", "replace").strip()


def confirm(words: Words, question: str, *, yes: bool, command: str) -> None:
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
        words.error(f"{question} There is no terminal to ask on. If you are sure: {command}")
        raise typer.Exit(ExitCode.USAGE)
    if ask(words, f"{question} [y/N]").lower() not in ("y", "yes"):
        words.note("Nothing was done.")
        raise typer.Exit(ExitCode.INTERRUPTED)
