"""`voxcli lexicon`: check the lists of how words are pronounced, and show which of their entries count."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voxcli.cli.console import Console, write_json, write_lines, write_table
from voxcli.cli.options import parameters as options

if TYPE_CHECKING:
    from voxcli.text.lexicon import LexiconEntry

app = typer.Typer(name="lexicon", help="Check and list how words are pronounced.", no_args_is_help=True)

Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="Lexicons; the first one counts.")]
SampleText = Annotated[str | None, typer.Option("--text", metavar="TEXT", help="Also print how this would be said.")]


@app.command("check")
def check(files: Files, text: SampleText = None) -> None:
    """Check lexicons: errors with their lines and columns, and entries that never count.

    Exits with 4 if something is wrong.
    """
    from voxcli.errors import RequestError
    from voxcli.text.lexicon import Lexicon, read_lexicon, read_lexicon_text

    lists: list[list[LexiconEntry]] = []
    wrong = 0
    for path in files:
        entries, problems = read_lexicon(read_lexicon_text(path), str(path))
        lists.append(entries)
        wrong += len(problems)
        write_lines([f"{path}:{line}:{column}: {message}" for line, column, message in problems])
    lexicon = Lexicon(lists)
    for entry, first in lexicon.shadowed:
        write_lines([f"{entry.origin}: {entry.written!r} never counts, because of {first.origin}"])
    for entry in lexicon.entries:
        plain = "{" not in entry.spoken and entry.spoken != entry.written
        if plain and any(lexicon.find(entry.spoken, entry.language)):
            write_lines([f"{entry.origin}: {entry.spoken!r} is said as it is, though a word in it has an entry"])
    if text:
        write_lines([lexicon.pronounced(text).said])
    if wrong:
        raise RequestError(f"{wrong} {'entries are' if wrong > 1 else 'entry is'} wrong.")
    Console().note(f"{len(lexicon.entries)} entries.")


@app.command("list")
def show(json: options.Json = False) -> None:
    """List the entries that count here: of .voxcli-lexicon.tsv in this folder or above it, and of your own lexicon."""
    from voxcli.cli.commands.words.text import lexicons_of
    from voxcli.cli.settings.files import find_user_places
    from voxcli.text.lexicon import Lexicon, load_lexicon

    paths = lexicons_of(Path())
    entries = Lexicon([load_lexicon(path) for path in paths]).entries
    if json:
        keys = ("written", "spoken", "language", "whole", "case", "origin")
        write_json([{key: getattr(entry, key) for key in keys} for entry in entries])
        return
    write_table([(entry.written, entry.spoken, entry.language or "", entry.origin) for entry in entries])
    if not entries:
        own = find_user_places().lexicon
        Console().note(f"No lexicon here. Write one: .voxcli-lexicon.tsv beside a text, or {own}")
