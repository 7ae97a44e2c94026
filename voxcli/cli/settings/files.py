"""Settings files: their locations, their values and the origin of each value."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from voxcli.errors import did_you_mean

if TYPE_CHECKING:
    from voxcli.models.library import ModelLibrary
    from voxcli.paths import Places
    from voxcli.voices import VoiceLibrary

DEFAULT_ORIGIN = "default"
_REMOTE, _DEFAULT_REMOTE = "remote", "default"
_FULLEST_COMMAND = "say"
"""The command that has every option that can be a setting."""
_ONLY_IN_PROFILES = ("ref_audio", "ref_text", "ref_lang")
"""Options that are no settings, but may stand in the profile of a server."""
_PREFIX = "VOXCLI_"
_OTHER_VARIABLES = ("VOXCLI_HOME", "VOXCLI_API_KEY")
"""Variables that are not settings."""
_FOUND = "voxcli.settings"


@dataclass(frozen=True, slots=True)
class Setting:
    """The value of an option and who set it."""

    value: Any
    origin: str


@dataclass(frozen=True, slots=True)
class UserSettings:
    """The values of all settings files, and what is wrong with them."""

    values: Mapping[str, Setting]
    problems: tuple[str, ...] = ()
    """Files that cannot be read, and values that are invalid."""
    warnings: tuple[str, ...] = ()
    """Names of settings and variables that do not exist."""


def find_user_places() -> "Places":
    """Find this user's folders, from the environment."""
    from voxcli.paths import find_places

    return find_places(os.environ)


def model_library() -> "ModelLibrary":
    """Open this user's model library."""
    from voxcli.models.library import ModelLibrary

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


def settable_options(context: Any) -> dict[str, Any]:
    """Map names to Click parameters, for all options that can be settings."""
    commands = context.find_root().command.commands
    return {param.name: param for param in commands[_FULLEST_COMMAND].params if param.envvar}


def profile_options(context: Any) -> dict[str, Any]:
    """Map names to Click parameters, for all options that the profile of a server can set."""
    commands = context.find_root().command.commands
    of_servers = {param.name: param for param in commands[_FULLEST_COMMAND].params if param.name in _ONLY_IN_PROFILES}
    return {**settable_options(context), **of_servers}


def find_settings(context: Any) -> UserSettings:
    """Return this user's settings. They are read once in a run."""
    root = context.find_root()
    if _FOUND not in root.meta:
        found = read_settings(root, settings_files())
        warnings = (*found.warnings, *_unknown_variables(root, os.environ))
        root.meta[_FOUND] = UserSettings(found.values, found.problems, warnings)
    settings: UserSettings = root.meta[_FOUND]
    return settings


def find_wrong_variables(context: Any, environment: Mapping[str, str] = os.environ) -> Iterator[str]:
    """Yield what is wrong with the values of our variables. Commands that use them stop there."""
    for name, option in settable_options(context).items():
        if option.envvar in environment and name != _REMOTE:
            try:
                check_setting(
                    context, "the environment", option.envvar, environment[option.envvar], {option.envvar: option}
                )
            except typer.BadParameter as error:
                yield error.message


def read_settings(context: Any, files: Sequence[Path]) -> UserSettings:
    """Read settings files; later ones override earlier ones. Missing files are skipped.

    Args:
        context: of the root command, whose options the settings are.
        files: in TOML.
    """
    values: dict[str, Setting] = {}
    problems: list[str] = []
    warnings: list[str] = []
    for file in files:
        try:
            table = _read_toml(file)
        except typer.BadParameter as error:
            problems.append(error.message)
            continue
        for key, value in table.items():
            try:
                values |= _read_setting(context, file, key, value)
            except UnknownSetting as unknown:
                warnings.append(f"{unknown.message} It has no effect.")
            except typer.BadParameter as error:
                problems.append(error.message)
    return UserSettings(values, tuple(problems), tuple(warnings))


def _read_setting(context: Any, file: Path, key: str, value: Any) -> dict[str, Setting]:
    if key == _REMOTE:
        remote = _split_remote(file, value)[0]
        return {} if remote is None else {key: Setting(remote, str(file))}
    name, checked = check_setting(context, str(file), key, value, settable_options(context))
    return {name: Setting(checked, str(file))}


def _unknown_variables(context: Any, environment: Mapping[str, str]) -> Iterator[str]:
    """Yield a warning for each variable that is nearly one of ours."""
    named = [name for name in environment if name.startswith(_PREFIX) and name not in _OTHER_VARIABLES]
    if not named:
        return
    known = [*(option.envvar for option in settable_options(context).values()), *_OTHER_VARIABLES]
    for name in sorted(set(named) - set(known)):
        if near := did_you_mean(name, known):
            yield f"The variable {name} has no effect.{near}"


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


class UnknownSetting(typer.BadParameter):
    """There is no setting of that name."""


def check_setting(context: Any, place: str, key: str, value: Any, options: Mapping[str, Any]) -> tuple[str, Any]:
    """Return the name of an option and its checked value.

    Args:
        place: where the value is set, for messages.

    Raises:
        UnknownSetting: there is no such option.
        typer.BadParameter: the value is invalid.
    """
    name = key.replace("-", "_")
    if name not in options:
        known = sorted(options)
        near = did_you_mean(name, known) or f" Known settings: {', '.join(known)}."
        raise UnknownSetting(f"Unknown setting {key!r} in {place}.{near}")
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
    found = effective_settings(settable_options(context), find_settings(context).values, os.environ)[name]
    return found if found.value and found.origin != DEFAULT_ORIGIN else None


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text("utf-8")
        import tomllib

        return tomllib.loads(text)
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


def _checked(context: Any, place: str, key: str, value: Any, option: Any) -> Any:
    """Check a value with the option itself, and name the place in the error."""
    if not isinstance(value, str | int | float):
        raise typer.BadParameter(f"Invalid setting {key!r} in {place}: expected a single value.")
    try:
        return option.process_value(context, value)
    except typer.BadParameter as error:
        cause = error.__cause__
        reason = cause.errors()[0]["msg"] if cause is not None and hasattr(cause, "errors") else error.message
        raise typer.BadParameter(f"Invalid setting {key!r} in {place}: {key} = {value!r}. {reason}") from error
