"""Server profiles: the tables [remote.NAME] of the settings files, with an address and settings each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import typer

from voxcli.cli.settings.files import Setting, check_setting, profile_options, read_remotes, settings_files
from voxcli.errors import NotFound, RequestError, did_you_mean

_URL = "url"


@dataclass(frozen=True, slots=True)
class Profile:
    """A named server and its settings."""

    name: str
    url: str
    settings: Mapping[str, Any]
    origin: str
    """The settings file."""


def read_profiles(context: typer.Context, files: Sequence[Path]) -> tuple[dict[str, Profile], list[str]]:
    """Read the profiles from settings files; later ones override earlier ones.

    Args:
        context: of any command.

    Returns:
        The valid profiles by name, and what is wrong with the others.
    """
    profiles: dict[str, Profile] = {}
    problems: list[str] = []
    for name, table in read_remotes(files).items():
        try:
            profiles[name] = _read(context, name, table)
        except typer.BadParameter as error:
            problems.append(error.message)
    return profiles, problems


def find_server(context: typer.Context, name: str) -> tuple[str, Mapping[str, Any]]:
    """Return the address and the settings of a server, named by its profile or by its address.

    Raises:
        NotFound: there is no such profile.
        typer.BadParameter: the address is invalid.
    """
    from voxcli.engines.remote.settings import normalized_url

    tables = read_remotes(settings_files())
    if name in tables:  # the others may be wrong
        profile = _read(context, name, tables[name])
        return profile.url, profile.settings
    if not _looks_like_url(name):
        raise _no_profile(name, tables)
    try:
        return normalized_url(name), {}
    except RequestError as error:
        raise typer.BadParameter(error.for_command_line) from error


def _looks_like_url(name: str) -> bool:
    """Tell addresses from names of profiles."""
    return any(mark in name for mark in ".:/") or name.lower() == "localhost"


def _no_profile(name: str, profiles: Mapping[str, Any]) -> NotFound:
    known = f"Known profiles: {', '.join(sorted(profiles))}." if profiles else "There are no profiles yet."
    return NotFound(
        f"Unknown server profile {name!r}.{did_you_mean(name, profiles)} {known} "
        f"Give an address such as http://{name}:7861, or add [remote.{name}] to {settings_files()[0]}."
    )


def _read(context: typer.Context, name: str, table: Setting) -> Profile:
    from voxcli.engines.remote.settings import normalized_url

    place, values = f"{table.origin}, [remote.{name}]", dict(table.value)
    url = values.pop(_URL, None)
    if not isinstance(url, str):
        raise typer.BadParameter(f"{place}: url is missing.")
    try:
        url = normalized_url(url)
    except RequestError as error:
        raise typer.BadParameter(f"{place}: invalid url: {error.for_command_line}") from error
    root = cast(typer.Context, context.find_root())
    options = {key: option for key, option in profile_options(context).items() if key != "remote"}
    settings = dict(check_setting(root, place, key, value, options) for key, value in values.items())
    as_written = {key: str(value) if isinstance(value, Path) else value for key, value in settings.items()}
    return Profile(name, url, as_written, table.origin)
