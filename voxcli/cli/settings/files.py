"""Settings files: their locations, their values and the origin of each value."""

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
    """Find this user's folders, from the environment."""
    from voxcli.paths import find_places

    return find_places(os.environ)


def model_library() -> "ModelLibrary":
    """Open this user's model library."""
    from voxcli.models import ModelLibrary

    places = find_user_places()
    return ModelLibrary(places.hub, places.models)


def voice_library() -> "VoiceLibrary":
    """Open this user's voice library."""
    from voxcli.voices import VoiceLibrary

    return VoiceLibrary(find_user_places().voices)


def settings_files() -> list[Path]:
    """List the settings files, existing or not; later ones override earlier ones."""
    from voxcli.paths import PROJECT_SETTINGS

    return [find_user_places().settings, PROJECT_SETTINGS]


def settable_options(command: Any) -> dict[str, Any]:
    """Map names to Click parameters, for all options below a command that can be settings."""
    options: dict[str, Any] = {}
    for child in _with_children(command):
        options |= {param.name: param for param in child.params if param.envvar}
    return options


def read_settings(context: typer.Context, files: Sequence[Path]) -> dict[str, Setting]:
    """Read settings files; later ones override earlier ones. Missing files are skipped.

    Args:
        context: of the root command, whose options the settings are.
        files: in TOML.

    Raises:
        typer.BadParameter: a file, key or value is invalid.
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
    """Read the tables that describe servers, by name; later files override earlier ones.

    Raises:
        typer.BadParameter: a file is invalid.
    """
    remotes: dict[str, Setting] = {}
    for file in files:
        tables = _split_remote(file, _read_toml(file).get(_REMOTE, {}))[1]
        remotes |= {name: Setting(table, str(file)) for name, table in tables.items()}
    return remotes


def check_setting(
    context: typer.Context, place: str, key: str, value: Any, options: Mapping[str, Any]
) -> tuple[str, Any]:
    """Return the name of an option and its checked value.

    Args:
        place: where the value is set, for messages.

    Raises:
        typer.BadParameter: there is no such option, or the value is invalid.
    """
    name = key.replace("-", "_")
    if name not in options:
        known = sorted(options)
        raise typer.BadParameter(
            f"Unknown setting {key!r} in {place}.{did_you_mean(name, known)} Known settings: {', '.join(known)}."
        )
    return name, _checked(context, place, key, value, options[name])


def effective_settings(
    options: Mapping[str, Any], from_files: Mapping[str, Setting], environment: Mapping[str, str]
) -> dict[str, Setting]:
    """Return the value of each option without the command line: environment, then files, then default."""
    effective = {}
    for name, option in sorted(options.items()):
        if value := environment.get(option.envvar):
            effective[name] = Setting(value, option.envvar)
        else:
            effective[name] = from_files.get(name) or Setting(option.default, DEFAULT_ORIGIN)
    return effective


def find_setting(context: typer.Context, name: str) -> Setting | None:
    """Find the value of an option in the environment or the settings files; None if it is not set."""
    whole = cast(typer.Context, context.find_root())
    from_files = read_settings(whole, settings_files())
    found = effective_settings(settable_options(whole.command), from_files, os.environ)[name]
    return found if found.value and found.origin != DEFAULT_ORIGIN else None


def default_map(command: Any, settings: Mapping[str, Setting]) -> dict[str, Any]:
    """Return settings as a Click `default_map`: a tree like that of the commands."""
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
        raise typer.BadParameter(f"Cannot read settings from {file}: {error}") from error


def _split_remote(file: Path, value: Any) -> tuple[str | None, dict[str, Any]]:
    """Return the default server, and the tables that describe servers.

    The default is written as `remote = "box"`, or next to the tables as `default = "box"` in [remote].
    """
    whole = value if isinstance(value, dict) else {_DEFAULT_REMOTE: value}
    tables = {name: table for name, table in whole.items() if isinstance(table, dict)}
    others = {name: other for name, other in whole.items() if name not in tables}
    default = others.pop(_DEFAULT_REMOTE, None)
    if others or not isinstance(default, str | None):
        raise typer.BadParameter(
            f"Invalid setting 'remote' in {file}: expected the address or the name of a server, "
            "or tables such as [remote.box] with a url."
        )
    return default, tables


def _checked(context: typer.Context, place: str, key: str, value: Any, option: Any) -> Any:
    """Check a value with the option itself, and name the place in the error."""
    if not isinstance(value, str | int | float):
        raise typer.BadParameter(f"Invalid setting {key!r} in {place}: expected a single value.")
    try:
        return option.process_value(context, value)
    except typer.BadParameter as error:
        raise typer.BadParameter(f"Invalid setting {key!r} in {place}: {error.message}") from error
