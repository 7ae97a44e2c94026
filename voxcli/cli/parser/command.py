"""Commands and groups of commands: settings as defaults, words of other programs, help, and modules loaded on use."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any, ClassVar, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

from voxcli.cli.console import Console, write_lines
from voxcli.cli.options.groups import grouped
from voxcli.cli.parser import other_programs
from voxcli.cli.parser.command_line import check_words, understood
from voxcli.cli.parser.help import help_text, page_of
from voxcli.cli.parser.mistakes import unknown_command
from voxcli.cli.parser.values import read_without_pydantic
from voxcli.cli.settings.files import find_settings

_SENTENCE_END = ". "


@dataclass(frozen=True, slots=True)
class Entry:
    """A command at the top, in a module that is imported when the command is used."""

    name: str
    module: str
    attribute: str
    """A function, or a Typer app with commands."""
    summary: str


class VoxCommand(TyperCommand):
    """A command that takes its defaults from the settings."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        read_without_pydantic(self.params)

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        if parent is not None:
            values = find_settings(parent).values
            defaults = {param.name: _default(param, values) for param in self.params if _is_set(param, values)}
            extra.setdefault("default_map", defaults)
        return super().make_context(info_name, args, parent, **extra)

    def get_params(self, ctx: Any) -> list[Any]:
        return read_without_pydantic([*super().get_params(ctx), _help_all()])

    def get_help(self, ctx: Any) -> str:
        return help_text(self, ctx)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if ctx.resilient_parsing:
            return super().parse_args(ctx, args)
        problems = () if self._runs_without_settings else find_settings(ctx).problems
        try:
            translate = page_of(self).translate or _unchanged
            args = understood(self, ctx, translate(args))
            ctx.meta[_WARNINGS] = check_words(self, ctx, args)
            return super().parse_args(ctx, args)
        except TyperException as error:
            if problems:  # an option may be wrong only because a setting is missing
                raise typer.BadParameter(problems[0]) from error
            if getattr(error, "ctx", None) is None:
                vars(error)["ctx"] = ctx
            raise

    def invoke(self, ctx: Any) -> Any:
        settings, console = find_settings(ctx), Console()
        if settings.problems and not self._runs_without_settings:
            raise typer.BadParameter(settings.problems[0])
        if not ctx.params.get("json"):
            for warning in (*settings.warnings, *settings.problems, *ctx.meta.get(_WARNINGS, ())):
                console.warning(warning)
        return super().invoke(ctx)

    @property
    def _runs_without_settings(self) -> bool:
        """Whether a broken settings file is only a warning: always if no option of the command can be a setting."""
        return page_of(self).runs_without_settings or not any(param.envvar for param in self.params)


class VoxGroup(TyperGroup):
    """A group of commands."""

    def get_params(self, ctx: Any) -> list[Any]:
        return read_without_pydantic(super().get_params(ctx))

    def get_help(self, ctx: Any) -> str:
        return help_text(self, ctx)

    def summaries(self) -> Mapping[str, str]:
        """Return the first sentence about each command, by its name."""
        return {
            name: first_sentence(command.help or "") for name, command in self.commands.items() if not command.hidden
        }

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        asks = args[:1] == ["--help-all"] or (not args and self.no_args_is_help)
        if asks and not ctx.resilient_parsing:
            write_lines([help_text(self, ctx, full=bool(args))])
            raise typer.Exit
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        word, following = args[0], args[1:]
        if word not in self.commands and not ctx.resilient_parsing:
            word = other_programs.same_command(word, self.commands) or word
            if word not in self.commands:
                raise typer.BadParameter(unknown_command(word, following, self, ctx.command_path))
        return super().resolve_command(ctx, [word, *following])


class LazyGroup(VoxGroup):
    """The commands at the top."""

    entries: ClassVar[Sequence[Entry]] = ()

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self._entries = {entry.name: entry for entry in self.entries}
        self.commands = cast(Any, _Loaded(self._entries))

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self._entries)

    def summaries(self) -> Mapping[str, str]:
        return {entry.name: entry.summary for entry in self._entries.values()}

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self._entries and not ctx.resilient_parsing:
            args = [*other_programs.COMMANDS.get(args[0], args[:1]), *args[1:]]
        return super().parse_args(ctx, args)


class _Loaded(Mapping[str, Any]):
    """Commands by name, built on first use."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self._entries = entries
        self._built: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._built:
            self._built[name] = _build(self._entries[name])
        return self._built[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def _build(entry: Entry) -> Any:
    """Import a command and build it."""
    found = getattr(import_module(entry.module), entry.attribute)
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    if not isinstance(found, typer.Typer):
        alone.command(entry.name, cls=VoxCommand)(grouped(found))
        return typer.main.get_command(alone)
    found.info.cls = VoxGroup
    for command in found.registered_commands:
        command.cls = VoxCommand
    alone.add_typer(found, name=entry.name)
    return cast(Any, typer.main.get_command(alone)).commands[entry.name]


def first_sentence(text: str) -> str:
    """Return the first sentence of a help text, on one line."""
    line = " ".join(text.partition("\n\n")[0].split())
    sentence, end, _ = line.partition(_SENTENCE_END)
    return f"{sentence}." if end else sentence


@functools.cache
def _help_all() -> Any:
    """Build the option --help-all."""

    def show(context: typer.Context, param: typer.CallbackParam, value: bool) -> None:
        if value and not context.resilient_parsing:
            write_lines([help_text(context.command, context, full=True)])
            raise typer.Exit

    def declare(
        help_all: Annotated[
            bool,
            typer.Option("--help-all", is_eager=True, expose_value=False, callback=show, help="Show all options."),
        ] = False,
    ) -> None: ...

    alone = typer.Typer(add_completion=False)
    alone.command()(declare)
    return typer.main.get_command(alone).params[0]


def _is_set(param: Any, values: Mapping[str, Any]) -> bool:
    return bool(param.envvar) and param.name in values


def _default(param: Any, values: Mapping[str, Any]) -> Any:
    """Return the value of an option from the settings, where also one that can be repeated has one value."""
    value = values[param.name].value
    return [value] if param.multiple else value


def _unchanged(arguments: list[str]) -> list[str]:
    return arguments


_WARNINGS = "voxcli.warnings"
