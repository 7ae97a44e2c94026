"""Consent to a server that a project's settings file chooses: asked once, remembered per folder and address."""

import ipaddress
import json
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import typer

from voxcli.cli.console import Console, ask, can_ask
from voxcli.cli.files import write_file
from voxcli.cli.settings.files import find_settings, find_user_places, read_remotes
from voxcli.paths import PROJECT_SETTINGS

_PROJECT = str(PROJECT_SETTINGS)


def check_consent(context: typer.Context, option: str, name: str, url: str) -> None:
    """Ask before texts go to a server that the file in the current folder chooses, and not the user.

    A server that is named by an option, a variable or the user's own file needs no question, nor does this machine.

    Args:
        option: the parameter that names the server.
        name: the profile or the address that was given.
        url: its address.

    Raises:
        typer.BadParameter: the user does not agree, or cannot be asked.
    """
    if not _is_chosen_by_project(context, option, name) or _is_this_machine(url):
        return
    folder = str(Path.cwd())
    if url in _read_consents().get(folder, []):
        return
    instead = "To speak on this machine: --remote ''"
    if not can_ask():
        raise typer.BadParameter(
            f"{_PROJECT} in this folder would send texts to {url}. Nothing was sent. To agree, name the server: "
            f"--remote {url}, or answer once on a terminal. {instead}"
        )
    question = f"{_PROJECT} in this folder sends texts to {url}. Allow it, from now on? [y/N]"
    if ask(Console(), question).lower() not in ("y", "yes"):
        raise typer.BadParameter(f"Nothing was sent to {url}. {instead}")
    consents = _read_consents()
    consents[folder] = [*consents.get(folder, []), url]
    write_file(_consents_path(), json.dumps(consents, indent=1).encode())


def _is_chosen_by_project(context: typer.Context, option: str, name: str) -> bool:
    source = context.get_parameter_source(option)
    given = source is not None and source.name in ("COMMANDLINE", "ENVIRONMENT")
    setting = find_settings(context).values.get("remote")
    if not given and setting is not None and setting.origin == _PROJECT:
        return True
    own = read_remotes([find_user_places().settings])
    return name in read_remotes([PROJECT_SETTINGS]) and (not given or name in own)


def _is_this_machine(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _consents_path() -> Path:
    return find_user_places().settings.with_name("consents.json")


def _read_consents() -> dict[str, list[str]]:
    """Return the addresses that the user agreed to, by folder. A damaged file holds none."""
    with suppress(OSError, ValueError):
        consents = json.loads(_consents_path().read_text("utf-8"))
        if isinstance(consents, dict):
            return {folder: urls for folder, urls in consents.items() if isinstance(urls, list)}
    return {}
