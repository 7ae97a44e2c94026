"""Documents on the command line: opened from a file or standard input, listed, and cut to the chapters asked for."""

import sys
from dataclasses import replace
from pathlib import Path

from voxcli.cli.console import Console, printable, write_json, write_table
from voxcli.cli.options.book import BookOptions
from voxcli.cli.text_source import FromDocument, read_file
from voxcli.documents import Chapter, Document, open_document
from voxcli.errors import RequestError
from voxcli.synthesis.pace import speaking_seconds

STDIN = "-"
_FEW_WORDS = 6


def open_chosen(options: BookOptions, file: str, console: Console) -> Document:
    """Open a document, and keep the chapters that were asked for.

    Raises:
        RequestError: it cannot be read.
        typer.BadParameter: it has no such chapters.
    """
    document = _open(file, console)
    chosen = options.chosen(len(document.chapters))
    return replace(document, chapters=tuple(document.chapters[index] for index in chosen))


def chosen_text(options: BookOptions, file: str, console: Console) -> FromDocument:
    """Return the text of the chapters that were asked for."""
    return FromDocument(open_chosen(options, file, console).spoken(options.pauses))


def list_chapters(options: BookOptions, file: str, console: Console, *, as_json: bool) -> None:
    """Print the chapters that were asked for, with how long they are about to be."""
    document = _open(file, console)
    chosen = [(index + 1, document.chapters[index]) for index in options.chosen(len(document.chapters))]
    if as_json:
        write_json(
            {
                "title": document.title,
                "author": document.author,
                "language": document.language,
                "cover": document.cover.media_type if document.cover else None,
                "left_out": dict(document.left_out),
                "chapters": [
                    {
                        "chapter": number,
                        "title": chapter.title,
                        "characters": len(chapter.whole),
                        "estimated_seconds": round(speaking_seconds(chapter.whole), 1),
                    }
                    for number, chapter in chosen
                ],
            }
        )
        return
    about = [document.title, document.author and f"by {document.author}", document.language]
    console.note(", ".join(printable(fact) for fact in about if fact))
    rows = [(str(number), _shown(chapter), duration(speaking_seconds(chapter.whole))) for number, chapter in chosen]
    whole = sum(speaking_seconds(chapter.whole) for _, chapter in chosen)
    write_table([("CHAPTER", "TITLE", "ABOUT"), *rows, ("", "", duration(whole))])


def duration(seconds: float) -> str:
    """Return a duration for people: "6 h 41 min", "23 min" or "40 s"."""
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _shown(chapter: Chapter) -> str:
    """Return the title, or the first words of a chapter without one."""
    return printable(chapter.title or f"({' '.join(chapter.text.split()[:_FEW_WORDS])} …)")


def _open(file: str, console: Console) -> Document:
    if file != STDIN:
        document = open_document(read_file(Path(file)), file)
    elif sys.stdin is None or sys.stdin.isatty():
        raise RequestError("There is no document on standard input.", on_command_line="Name one: -f FILE")
    else:
        document = open_document(sys.stdin.buffer.read(), "standard input")
    if left_out := document.left_out_words:
        console.note(f"left out of {file}: {left_out}")
    return document
