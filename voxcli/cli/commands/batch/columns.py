"""Columns of a list: the options of `voxcli say` under their names here and elsewhere, with checked values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import typer

from voxcli.batch.lines import Mistake
from voxcli.cli.parser.help import number_range
from voxcli.cli.parser.other_programs import SAME, as_factor
from voxcli.errors import did_you_mean

TEXT, FILE, OUTPUT, ID, FORMAT, MODEL = "text", "file", "output", "id", "format", "model"
_OF_OPTIONS = (
    *("voice", "language", "seed", "speed", "volume", "gap", "normalize", "instruct", "denoise", "markdown"),
    *("ref_audio", "ref_text", "prompt_audio", "prompt_text"),
    *("steps", "cfg", "min_len", "max_len", "retry_badcase", "no_split"),
)
_OWN = (TEXT, FILE, OUTPUT, ID, FORMAT, MODEL)
_OTHER_NAMES = {
    **dict.fromkeys(["input", "sentence", "transcript", "transcription"], TEXT),
    **dict.fromkeys(["text_file", "input_file", "txt_file"], FILE),
    **dict.fromkeys(
        ["name", "out", "filename", "file_name", "audio", "audio_file", "audio_path", "wav", "path", "output_file"],
        OUTPUT,
    ),
    **dict.fromkeys(["custom_id", "key", "utterance_id"], ID),
}
_FACTORS = ("speed", "volume")


@dataclass(frozen=True, slots=True)
class RowValues:
    """The cells of a row by what they mean."""

    own: Mapping[str, str]
    """The text and what else is no option."""
    options: Mapping[str, Any]
    """Checked values by the names of the parameters."""
    columns: Mapping[str, Any]
    """All cells as they are, for the names of files."""


class Columns:
    """Reads cells with the options of the command, so that they are checked as those are."""

    def __init__(self, context: typer.Context) -> None:
        self.unknown: dict[str, None] = {}
        """Columns that mean nothing here, in the order in which they were first seen."""
        self._context = context
        params = {param.name: param for param in context.command.params}
        self._params: dict[str, Any] = {name: params[name] for name in _OF_OPTIONS}
        self._names: dict[str, str | None] = {}

    def read(self, cells: Mapping[str, Any], line: int) -> RowValues | list[Mistake]:
        """Return the values of a row, or what is wrong with it."""
        own: dict[str, str] = {}
        options: dict[str, Any] = {}
        seen: dict[str, str] = {}
        mistakes: list[Mistake] = []
        for column, cell in cells.items():
            try:
                name = self._meaning(column)
                if name is None:
                    continue
                if name in seen:
                    raise _Wrong(f"{seen[name]!r} means the same. Give one of them.")
                seen[name] = column
                if name in self._params:
                    options[name] = self._checked(name, cell)
                else:
                    own[name] = _text(cell)
            except _Wrong as wrong:
                mistakes.append(Mistake(str(wrong), line, column))
        if not mistakes and (TEXT in own) == (FILE in own):
            both = TEXT in own
            mistakes.append(
                Mistake("A row has a text or a file with one, and not both." if both else self._no_text(cells), line)
            )
        return mistakes or RowValues(own, options, cells)

    def _no_text(self, cells: Mapping[str, Any]) -> str:
        given = f" It has {', '.join(map(repr, cells))}." if cells else ""
        return f"The row has no text: no column {TEXT!r} or {FILE!r}.{given}"

    def _meaning(self, column: str) -> str | None:
        """Return the name of a column here; None if it has none.

        Raises:
            _Wrong: it is nearly one of ours, so that it may be misspelled.
        """
        if column not in self._names:
            self._names[column] = self._find_meaning(column)
        return self._names[column]

    def _find_meaning(self, column: str) -> str | None:
        name = column.strip().lower().replace("-", "_").replace(" ", "_")
        name = _OTHER_NAMES.get(name, name)
        if name in _OWN or name in self._params:
            return name
        option = f"--{name.replace('_', '-')}"
        option = SAME.get(option, option)
        for param in self._params.values():
            if option in param.opts:
                return str(param.name)
        if option.removeprefix("--") in _OWN:
            return option.removeprefix("--")
        if near := did_you_mean(name, [*_OWN, *self._params]):
            raise _Wrong(f"There is no column of this name.{near}")
        self.unknown[column] = None
        return None

    def _checked(self, name: str, cell: Any) -> Any:
        param = self._params[name]
        if isinstance(cell, dict | list):
            raise _Wrong("This is a list or an object, and not one value.")
        if isinstance(cell, bool) and not param.is_flag:
            raise _Wrong(f"{cell} is not {_kind(param)}.")
        if isinstance(cell, str):
            cell = as_factor(cell.strip()) if name in _FACTORS else cell.strip()
        wanted = param.type_descriptor.annotation
        if wanted is str and not isinstance(cell, str):
            cell = str(cell)
        try:
            value = param.process_value(self._context, cell)
            if wanted is str:
                _check_unicode(value)
            return value
        except typer.BadParameter as error:
            if error.__cause__ is None and error.message:
                raise _Wrong(error.message) from error
            raise _Wrong(f"{cell!r} is not {_kind(param)}.") from error


class _Wrong(Exception):
    """What is wrong with a cell."""


def _kind(param: Any) -> str:
    """Return what a parameter takes, such as "a number from 0.25 to 4"."""
    kind = param.type_descriptor.annotation
    if kind is bool:
        return "true or false"
    if kind not in (int, float):
        return "a text"
    what, limits = "a whole number" if kind is int else "a number", number_range(param)
    return f"{what} {limits}" if limits.startswith("at ") else f"{what} from {limits}" if limits else what


def _text(cell: Any) -> str:
    if not isinstance(cell, str):
        raise _Wrong(f"{cell!r} is not a text. Put it in quotation marks.")
    _check_unicode(cell)
    return cell


def _check_unicode(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _Wrong("It is not valid Unicode: it holds half of a character.") from error
