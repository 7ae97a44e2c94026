"""Rows of a list as what is to be spoken: each is as a command line, with the options of the whole as defaults."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any, cast

import typer

from voxcli.audio.format import AudioFormat, find_format
from voxcli.batch.lines import MOST_BYTES, Mistake
from voxcli.batch.lists import ListRow
from voxcli.batch.names import DEFAULT_TEMPLATE, NameTemplate, check_name
from voxcli.cli.commands.batch.columns import FILE, FORMAT, ID, MODEL, OUTPUT, TEXT, Columns, RowValues
from voxcli.cli.commands.chosen import engine_name
from voxcli.cli.commands.voice_choice import choose_voice
from voxcli.cli.console import Console
from voxcli.cli.files import read_at_most
from voxcli.cli.options.sampling import SamplingOptions
from voxcli.cli.options.speech import DeliveryOptions, VoiceOptions
from voxcli.cli.text_source import text_of_file
from voxcli.engines.settings import EngineSettings
from voxcli.errors import RequestError, VoxError, did_you_mean
from voxcli.synthesis.marked_up import read_marked_up
from voxcli.synthesis.pace import speaking_seconds
from voxcli.synthesis.pipeline import Delivery
from voxcli.synthesis.request import Voice
from voxcli.text.characters import is_speakable

_IDENTITY = ("voice", "ref_audio", "ref_text", "ref_lang", "prompt_audio", "prompt_text")
"""Options that say whose voice it is: a row with one of them has none of the command line's."""
_MOST_VOICES = 64
"""That are held in memory, with their recordings."""
_MOST_DOCUMENT_BYTES = 2**28
"""Of a file, which may have pictures."""
_MARKDOWN = (".md", ".markdown")
_DEFAULT_TEMPLATE = NameTemplate(DEFAULT_TEMPLATE)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowDefaults:
    """What holds for rows that say nothing else."""

    who: VoiceOptions
    delivery: DeliveryOptions
    sampling: SamplingOptions
    engine: EngineSettings
    markdown: bool | None = None
    no_split: bool = False
    format: AudioFormat | None = None
    template: NameTemplate | None = None
    """If it is given, it comes before the names in the list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRow:
    """A row whose values are all right."""

    number: int
    line: int
    text: str
    delivery: Delivery
    voice_name: str | None
    own: bool
    """Whether the voice is one of the user's own."""
    markdown: bool
    split: bool
    file: str
    format: AudioFormat
    id: str | None

    @property
    def estimated_seconds(self) -> float:
        """About how long it is."""
        return speaking_seconds(self.text) / self.delivery.speed


class RowReader:
    """Turns the rows of one list into what is to be spoken. The model may be that of the first voice which has one."""

    def __init__(self, context: typer.Context, defaults: RowDefaults, folder: Path, console: Console) -> None:
        """folder: that the paths in the list begin from."""
        self.columns = Columns(context)
        self.engine = defaults.engine
        self.voices: dict[str, int] = {}
        """Names of voices, and the line in which each comes first."""
        self._context, self._defaults, self._folder, self._console = context, defaults, folder, console
        self._model_line: int | None = None
        self._found: OrderedDict[tuple[Any, ...], tuple[Voice, str | None]] = OrderedDict()

    def read(self, row: ListRow) -> ReadRow | list[Mistake]:
        """Return a row, or what is wrong with it."""
        values = self.columns.read(row.values, row.line)
        if isinstance(values, list):
            return values
        column: str | None = MODEL
        try:
            if wanted := values.own.get(MODEL):
                self._take_model(wanted, row.line)
            column = FILE if FILE in values.own else TEXT
            text = self._text(values)
            split = not values.options.get("no_split", self._defaults.no_split)
            voices = read_marked_up(text).voices if split else ()
            column = "voice" if "voice" in values.options else None
            delivery, name = self._delivery(values)
            column = next((name for name in (OUTPUT, FORMAT) if name in values.own), None)
            format, file = self._file(row, values, delivery, name)
        except typer.BadParameter as error:
            return [Mistake(error.message, row.line, _column_of(error) or column)]
        except VoxError as error:
            return [Mistake(error.for_command_line, row.line, column)]
        for each in (*([name] if name else []), *voices):
            self.voices.setdefault(each, row.line)
        markdown = values.options.get("markdown", self._defaults.markdown)
        if markdown is None:
            markdown = values.own.get(FILE, "").lower().endswith(_MARKDOWN)
        return ReadRow(
            number=row.number,
            line=row.line,
            text=text,
            delivery=delivery,
            voice_name=name,
            own=bool(name) and delivery.voice.name is None,
            markdown=markdown and split,
            split=split,
            file=file,
            format=format,
            id=values.own.get(ID),
        )

    def _text(self, values: RowValues) -> str:
        text = values.own.get(TEXT, "")
        if FILE in values.own:
            path = self._folder / values.own[FILE]
            data = read_at_most(path, _MOST_DOCUMENT_BYTES, "Split it into several files.")
            markdown = bool(values.options.get("markdown", self._defaults.markdown))
            pieces = text_of_file(data, str(path)).pieces(lambda: None, markdown=markdown)
            text = "".join(piece for piece in pieces if isinstance(piece, str))
            if len(text) > MOST_BYTES:
                raise RequestError(f"{path} has too long a text for a row. Split it into several files.")
        if not is_speakable(text):
            raise RequestError("There is nothing to say: the text has no words.")
        return text

    def _take_model(self, name: str, line: int | None) -> None:
        """Take the model that a row names, or that its voice belongs to, for all of them.

        Raises:
            RequestError: another one has been chosen.
        """
        if name == engine_name(self.engine) and not self.engine.remote:
            self._model_line = self._model_line or line
            return
        server = self.engine.remote
        chosen = server.options.model if server else self.engine.model
        if chosen not in (None, name) or (self._model_line is not None and chosen != name):
            other = chosen or engine_name(self.engine)
            raise RequestError(
                f"One list is spoken by one model: this row wants {name}, and the list is spoken by {other}. "
                "Put the rows of each model into a list of their own."
            )
        self._model_line = self._model_line or line
        if server:
            self.engine = replace(self.engine, remote=replace(server, options=replace(server.options, model=name)))
        else:
            self.engine = replace(self.engine, model=name)

    def _delivery(self, values: RowValues) -> tuple[Delivery, str | None]:
        """Return how a row is spoken, and the name of its voice if it has one."""
        given, defaults = values.options, self._defaults
        dropped: dict[str, Any] = dict.fromkeys(_IDENTITY) if _names_voice(given) else {}
        who = replace(defaults.who, **{**dropped, **_only(given, defaults.who)})
        paths = {clip: self._folder / given[clip] for clip in ("ref_audio", "prompt_audio") if clip in given}
        who = replace(who, **paths)
        if who.ref_audio and who.ref_text and not who.prompt_audio:
            # With its transcript, a recording is a prompt to continue from.
            who = replace(who, prompt_audio=who.ref_audio, prompt_text=who.ref_text, ref_audio=None, ref_text=None)
        reading = replace(defaults.delivery, **_only(given, defaults.delivery))
        sampling = replace(defaults.sampling, **_only(given, defaults.sampling))
        context = _context_of(self._context, given)
        split = not given.get("no_split", defaults.no_split)
        reading.check_gap(context, no_split=not split)
        sampling.check()
        if "steps" in given:
            sampling.auto_steps(context, played=False)
        voice, name = self._voice(context, who, reading.language)
        return reading.to_settings(voice, sampling.to_settings(), denoise=who.denoise, split=split), name

    def _voice(self, context: typer.Context, who: VoiceOptions, language: str | None) -> tuple[Voice, str | None]:
        key = (who, language)
        if key in self._found:
            self._found.move_to_end(key)
            return self._found[key]
        voice, (engine,) = choose_voice(context, who, [self.engine], self._console, language)
        if engine.model and engine.model != self.engine.model:
            self._take_model(engine.model, None)
        used = who.voice if voice.name or (who.voice and (voice.reference or voice.prompt or voice.style)) else None
        self._found[key] = voice, used
        if len(self._found) > _MOST_VOICES:
            self._found.popitem(last=False)
        return self._found[key]

    def _file(self, row: ListRow, values: RowValues, delivery: Delivery, voice: str | None) -> tuple[AudioFormat, str]:
        """Return the format and the name of the file of a row."""
        defaults, given = self._defaults, values.own.get(OUTPUT)
        if given and not defaults.template:
            name = check_name(given.strip())
            by_name = find_format(PurePosixPath(name))
            format = self._format(values, by_name)
            return format, name if by_name else f"{name}.{format}"
        template = defaults.template or _DEFAULT_TEMPLATE
        format = self._format(values, find_format(PurePosixPath(template.template)))
        known: dict[str, Any] = {
            **{column: value for column, value in values.columns.items() if isinstance(value, str | int | float)},
            TEXT: values.own.get(TEXT, Path(values.own.get(FILE, "")).stem),
            "n": row.number,
            "line": row.line,
            "ext": str(format),
            "voice": voice or "default",
            "language": delivery.language or "auto",
            "seed": delivery.sampling.seed or 0,
            "speed": delivery.speed,
            **({"model": Path(engine_name(self.engine)).name} if "model" in template.fields else {}),
            **({ID: values.own[ID]} if ID in values.own else {}),
        }
        file = template.name(known)
        return format, file if find_format(PurePosixPath(file)) else f"{file}.{format}"

    def _format(self, values: RowValues, by_name: AudioFormat | None) -> AudioFormat:
        if wanted := values.own.get(FORMAT):
            return sound_format(wanted)
        return by_name or self._defaults.format or AudioFormat.WAV


def sound_format(name: str) -> AudioFormat:
    """Return the format of a name.

    Raises:
        RequestError: there is none.
    """
    try:
        return AudioFormat(name.strip().lower().removeprefix("."))
    except ValueError:
        near = did_you_mean(name, AudioFormat)
        raise RequestError(f"Unknown format {name!r}.{near} Choose from: {', '.join(AudioFormat)}.") from None


def _names_voice(given: Mapping[str, Any]) -> bool:
    return any(name in given for name in ("voice", "ref_audio", "prompt_audio"))


def _only(given: Mapping[str, Any], group: Any) -> dict[str, Any]:
    """Return the values that are options of a group."""
    return {name: value for name, value in given.items() if hasattr(group, name)}


def _context_of(context: typer.Context, given: Mapping[str, Any]) -> typer.Context:
    """Return a context in which the options of a row are those of a command line."""
    dropped: Sequence[str] = _IDENTITY if _names_voice(given) else ()

    def source_of(name: str) -> Any:
        if name in given:
            return SimpleNamespace(name="COMMANDLINE")
        return None if name in dropped else context.get_parameter_source(name)

    return cast(typer.Context, SimpleNamespace(get_parameter_source=source_of, params=context.params))


def _column_of(error: Exception) -> str | None:
    """Return the column that an error of options is about."""
    hint = getattr(error, "param_hint", None)
    return hint.removeprefix("--").replace("-", "_") if isinstance(hint, str) and hint.startswith("--") else None
