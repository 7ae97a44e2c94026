"""Check of a list before anything is made: every row, its voice, and the name of its file."""

import codecs
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

import typer

from voxcli.batch.lines import Mistake
from voxcli.batch.lists import ListFormat, ListRow, format_of, read_list
from voxcli.batch.manifest import Manifest
from voxcli.batch.names import folded_name, with_suffix
from voxcli.cli.commands.batch.row_reader import ReadRow, RowReader
from voxcli.cli.commands.voice_choice import check_known, problem_of
from voxcli.cli.options.batch import ListOptions
from voxcli.cli.settings.files import voice_library
from voxcli.errors import RequestError, VoxError, did_you_mean

STDIN = "-"
_IN_MEMORY = 2**24
_BLOCK = 2**20
_MOST_MISTAKES = 1000
"""That are kept; of more only the number is told."""


@dataclass(slots=True)
class Checked:
    """What is in a list."""

    rows: int = 0
    characters: int = 0
    seconds: float = 0.0
    """Of speech, estimated."""
    mistakes: list[Mistake] = field(default_factory=list)
    more_mistakes: int = 0
    """Besides those."""

    def note(self, mistake: Mistake) -> None:
        if len(self.mistakes) < _MOST_MISTAKES:
            self.mistakes.append(mistake)
        else:
            self.more_mistakes += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ListSource:
    """A list that can be read again and again."""

    file: BinaryIO
    format: ListFormat
    encoding: str | None = None

    def rows(self) -> Iterator[ListRow | Mistake]:
        return read_list(self.file, self.format, self.encoding)


@contextmanager
def open_list(options: ListOptions) -> Iterator[ListSource]:
    """Open a list, which is read several times. That of a pipe is kept on disk meanwhile.

    Raises:
        RequestError: it cannot be read.
        typer.BadParameter: its format or encoding is unknown.
    """
    assert options.list is not None
    encoding = _check_encoding(options.encoding)
    path = Path(options.list)
    try:
        with _spooled(sys.stdin.buffer) if options.list == STDIN else path.open("rb") as file:
            if not file.seekable():  # a named pipe
                with _spooled(file) as kept:
                    yield ListSource(file=kept, format=_format_of(options, kept), encoding=encoding)
            else:
                yield ListSource(file=file, format=_format_of(options, file), encoding=encoding)
    except OSError as error:
        raise RequestError(f"Cannot read {options.list}: {error.strerror or error}.") from error


def _spooled(stream: BinaryIO) -> BinaryIO:
    if stream.isatty():
        raise typer.BadParameter("Name a list of texts, or pipe one in. To type one: cat | voxcli batch - -d out")
    kept = cast(BinaryIO, tempfile.SpooledTemporaryFile(_IN_MEMORY))  # noqa: SIM115 - closed by the caller
    shutil.copyfileobj(stream, kept, _BLOCK)
    return kept


def _format_of(options: ListOptions, file: BinaryIO) -> ListFormat:
    if options.list_format:
        try:
            return ListFormat(options.list_format.lower().removeprefix("."))
        except ValueError:
            near = did_you_mean(options.list_format, ListFormat)
            raise typer.BadParameter(
                f"Unknown format of a list: {options.list_format!r}.{near} Choose from: {', '.join(ListFormat)}.",
                param_hint="--list-format",
            ) from None
    assert options.list is not None
    file.seek(0)
    if found := format_of("" if options.list == STDIN else options.list, file.read(_BLOCK)):
        return found
    raise typer.BadParameter(
        f"Cannot tell what {options.list} is. Name its format with --list-format: {', '.join(ListFormat)}."
    )


def _check_encoding(name: str | None) -> str | None:
    if name is None:
        return None
    try:
        return codecs.lookup(name).name
    except LookupError:
        raise typer.BadParameter(
            f"Unknown encoding {name!r}. Well known are utf-8, utf-16, cp1252, gb18030, shift_jis and big5.",
            param_hint="--encoding",
        ) from None


class NamesTaken:
    """Names of the files of a list, to find two that are one on some system. It keeps a number for each."""

    def __init__(self, folder: Path, manifest: Manifest, *, overwrite: bool) -> None:
        self._folder, self._manifest, self._overwrite = folder, manifest, overwrite
        self._lines: dict[int, int] = {}

    def take(self, file: str, line: int) -> Mistake | None:
        """Take a name; return why it cannot be taken."""
        if (earlier := self._lines.setdefault(hash(folded_name(file)), line)) != line:
            return Mistake(
                f"Its file would be {file}, as that of line {earlier}. Give each row a name of its own, as with {{n}} "
                "in the template.",
                line,
            )
        path = self._folder / file
        if path.is_dir():
            return Mistake(f"Its file would be {file}, which is a folder.", line)
        if path.exists() and not self._overwrite and self._manifest.find(file) is None:
            return Mistake(f"Its file would be {path}, which is there already and was not made from a list.", line)
        return None


def check_list(
    source: ListSource, reader: RowReader, names: NamesTaken, also: tuple[str, ...], checked: Checked
) -> Iterator[int]:
    """Check all rows, and yield how many have been checked.

    Args:
        also: suffixes of further files of each row.
        checked: receives what is found.
    """
    for row in source.rows():
        if isinstance(row, Mistake):
            checked.note(row)
            continue
        checked.rows += 1
        found = reader.read(row)
        if isinstance(found, list):
            for mistake in found:
                checked.note(mistake)
        else:
            _check_names(found, names, also, checked)
            checked.characters += len(found.text)
            checked.seconds += found.estimated_seconds
        yield checked.rows
    _check_voices(reader, checked)
    if not checked.rows and not checked.mistakes:
        checked.note(Mistake("The list has no rows."))


def _check_names(row: ReadRow, names: NamesTaken, also: tuple[str, ...], checked: Checked) -> None:
    for file in (row.file, *(with_suffix(row.file, suffix) for suffix in also)):
        if mistake := names.take(file, row.line):
            checked.note(mistake)


def _check_voices(reader: RowReader, checked: Checked) -> None:
    """Check the voices again, now that the model of the list is known."""
    for name, line in reader.voices.items():
        try:
            own = voice_library().find(name)
            if own is None:
                check_known(name, reader.engine)
            if problem := problem_of(own, name, reader.engine, None):
                checked.note(Mistake(f"The voice {name!r} cannot be used: {problem}.", line, "voice"))
        except VoxError as error:
            checked.note(Mistake(error.for_command_line, line, "voice"))
