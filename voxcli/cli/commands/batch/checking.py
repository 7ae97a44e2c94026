"""Check of a list before anything is made: every row, its voice, and the name of its file."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from voxcli.batch.lines import Mistake
from voxcli.batch.lists import ListFormat, ListRow, read_list
from voxcli.batch.manifest import Manifest
from voxcli.batch.names import folded_name, with_suffix
from voxcli.cli.commands.batch.row_reader import ReadRow, RowReader
from voxcli.cli.commands.voice_choice import check_known, problem_of
from voxcli.cli.settings.files import voice_library
from voxcli.errors import VoxError

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
