"""Settings files: which there are, what they say, and where each value comes from."""

import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import typer

from voxcli.errors import did_you_mean

if TYPE_CHECKING:
    from voxcli.models import ModelLibrary
    from voxcli.paths import Places
    from voxcli.voices import VoiceLibrary

DEFAULT_ORIGIN = "default"
_REMOTE, _DEFAULT_REMOTE = "remote", "default"


@dataclass(frozen=True, slots=True)
class Setting:
    """The value of an option and who set it."""

    value: Any
    origin: str


def find_user_places() -> "Places":
    """Find this user's folders. The environment is read here and passed on."""
    from voxcli.paths import find_places

    return find_places(os.environ)


def model_library() -> "ModelLibrary":
    """Find this user's models."""
    from voxcli.models import ModelLibrary

    places = find_user_places()
    return ModelLibrary(places.hub, places.models)


def voice_library() -> "VoiceLibrary":
    """Find this user's voices."""
    from voxcli.voices import VoiceLibrary

    return VoiceLibrary(find_user_places().voices)


def settings_files() -> list[Path]:
    """List the settings files, there or not; the later ones win."""
    from voxcli.paths import PROJECT_SETTINGS

    return [find_user_places().settings, PROJECT_SETTINGS]


def settable_options(command: Any) -> dict[str, Any]:
    """Map the name of every option below a command that can be a setting to the option, as Typer built it."""
    options: dict[str, Any] = {}
    for child in _with_children(command):
        options |= {param.name: param for param in child.params if param.envvar}
    return options


def read_settings(context: typer.Context, files: Sequence[Path]) -> dict[str, Setting]:
    """Read settings files, of which the later win. A file that is not there says nothing.

    Args:
        context: of the whole command line, whose options the settings are.
        files: in TOML.

    Raises:
        typer.BadParameter: with the file, the key and what is wrong.
    """
    options = settable_options(context.command)
    settings: dict[str, Setting] = {}
    for file in files:
        for key, value in _read_toml(file).items():
            if key == _REMOTE:
                if (remote := _split_remote(file, value)[0]) is not None:
                    settings[key] = Setting(remote, str(file))
                continue
            name, checked = check_setting(context, str(file), key, value, options)
            settings[name] = Setting(checked, str(file))
    return settings


def read_remotes(files: Sequence[Path]) -> dict[str, Setting]:
    """Read the tables that describe servers, by name; of several with one name, the last wins.

    Raises:
        typer.BadParameter: with the file and what is wrong.
    """
    remotes: dict[str, Setting] = {}
    for file in files:
        tables = _split_remote(file, _read_toml(file).get(_REMOTE, {}))[1]
        remotes |= {name: Setting(table, str(file)) for name, table in tables.items()}
    return remotes


def check_setting(
    context: typer.Context, place: str, key: str, value: Any, options: Mapping[str, Any]
) -> tuple[str, Any]:
    """Return the name of an option, and the value that something sets it to.

    Args:
        place: where that is written, for words.

    Raises:
        typer.BadParameter: there is no such option, or it does not take the value.
    """
    name = key.replace("-", "_")
    if name not in options:
        known = sorted(options)
        raise typer.BadParameter(
            f"{place} sets {key!r}, which is no setting.{did_you_mean(name, known)} There are: {', '.join(known)}."
        )
    return name, _checked(context, place, key, value, options[name])


def effective_settings(
    options: Mapping[str, Any], from_files: Mapping[str, Setting], environment: Mapping[str, str]
) -> dict[str, Setting]:
    """Say what each option will be if the command line does not say: environment, then files, then default."""
    effective = {}
    for name, option in sorted(options.items()):
        if value := environment.get(option.envvar):
            effective[name] = Setting(value, option.envvar)
        else:
            effective[name] = from_files.get(name) or Setting(option.default, DEFAULT_ORIGIN)
    return effective


def find_setting(context: typer.Context, name: str) -> Setting | None:
    """Find out what an option is set to when the command line does not say, and who says so; None if nobody does."""
    whole = cast(typer.Context, context.find_root())
    from_files = read_settings(whole, settings_files())
    found = effective_settings(settable_options(whole.command), from_files, os.environ)[name]
    return found if found.value and found.origin != DEFAULT_ORIGIN else None


def default_map(command: Any, settings: Mapping[str, Setting]) -> dict[str, Any]:
    """Arrange settings in the form of Click's `default_map`: a tree like that of the commands."""
    return {
        name: {
            **{param.name: settings[param.name].value for param in child.params if param.name in settings},
            **default_map(child, settings),
        }
        for name, child in getattr(command, "commands", {}).items()
    }


def _with_children(command: Any) -> Iterator[Any]:
    yield command
    for child in getattr(command, "commands", {}).values():
        yield from _with_children(child)


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{file} cannot be read as settings: {error}") from error


def _split_remote(file: Path, value: Any) -> tuple[str | None, dict[str, Any]]:
    """Return which server speaks if none is named, and the tables that describe servers.

    The first stands by itself, as `remote = "box"`, or beside the tables, as `default = "box"` in [remote].
    """
    whole = value if isinstance(value, dict) else {_DEFAULT_REMOTE: value}
    tables = {name: table for name, table in whole.items() if isinstance(table, dict)}
    others = {name: other for name, other in whole.items() if name not in tables}
    default = others.pop(_DEFAULT_REMOTE, None)
    if others or not isinstance(default, str | None):
        raise typer.BadParameter(
            f"{file} sets 'remote' wrongly: it takes the address or the name of a server, "
            "or tables such as [remote.box] with a url."
        )
    return default, tables


def _checked(context: typer.Context, place: str, key: str, value: Any, option: Any) -> Any:
    """Let the option itself judge the value, so that a wrong one is blamed on its file."""
    if not isinstance(value, str | int | float):
        raise typer.BadParameter(f"{place} sets {key!r} wrongly: it takes one value.")
    try:
        return option.process_value(context, value)
    except typer.BadParameter as error:
        raise typer.BadParameter(f"{place} sets {key!r} wrongly: {error.message}") from error
