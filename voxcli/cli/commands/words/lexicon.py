"""`voxcli lexicon`: check the lists of how words are pronounced, and show which of their entries count."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voxcli.cli.console import Console, write_json, write_lines, write_table
from voxcli.cli.options import parameters as options

if TYPE_CHECKING:
    from voxcli.text.lexicon import LexiconEntry

app = typer.Typer(name="lexicon", help="Check and change how words are pronounced.", no_args_is_help=True)

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


@app.command("add")
def add(
    written: Annotated[str, typer.Argument(metavar="WRITTEN", help="A word, as it is written.")],
    spoken: Annotated[str, typer.Argument(metavar="SPOKEN", help="What is said: words, or phonemes.")],
    language: Annotated[
        str, typer.Option("--language", "-l", metavar="NAME", help="Only in sentences in this language.")
    ] = "",
) -> None:
    """Add a word to your own lexicon, or change what is said for it."""
    from voxcli.errors import RequestError
    from voxcli.text.lexicon import read_lexicon

    line = "\t".join([written, spoken, *([language] if language else [])])
    entries, problems = read_lexicon(line, "the new entry")
    if problems or not entries:
        why = "; ".join(problem.message for problem in problems) or "a # begins a comment"
        raise RequestError(f"The entry cannot be added: {why}.")
    path = _rewrite(entries[0].written, entries[0].language, line)
    Console().note(f"{written} is said as {spoken}: {path}")


@app.command("rm")
def remove(written: Annotated[str, typer.Argument(metavar="WRITTEN", help="A word, as it is written.")]) -> None:
    """Remove a word from your own lexicon, in all languages."""
    path = _rewrite(written, None, None)
    Console().note(f"Removed {written} from {path}.")


def _rewrite(written: str, language: str | None, line: str | None) -> Path:
    """Replace the entry of a word in the user's lexicon, and return the path.

    Args:
        language: of the entry.
        line: the new entry; None removes those of all languages.

    Raises:
        NotFound: there is nothing to remove.
    """
    from voxcli.cli.files import write_file
    from voxcli.cli.settings.files import find_user_places
    from voxcli.errors import NotFound
    from voxcli.text.lexicon import read_lexicon, read_lexicon_text

    path = find_user_places().lexicon
    lines = read_lexicon_text(path).splitlines() if path.exists() else []
    kept = []
    for old in lines:
        same = [one for one in read_lexicon(old, "")[0] if one.written == written]
        if not any(line is None or one.language == language for one in same):
            kept.append(old)
    if line is None and len(kept) == len(lines):
        raise NotFound(f"{written!r} is not in {path}.")
    kept += [line] if line is not None else []
    write_file(path, "".join(f"{each}\n" for each in kept).encode())
    return path


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
