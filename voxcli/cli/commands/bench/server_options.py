"""Options of `voxcli bench` for the engines to measure: this machine, a server, or several servers."""

from dataclasses import dataclass
from typing import Annotated

import typer

from voxcli.cli.options import completion as complete
from voxcli.cli.options.engine import EngineOptions
from voxcli.cli.options.server import REMOTE_PANEL


def _choose_servers(context: typer.Context, param: typer.CallbackParam, value: list[str] | None) -> list[str] | None:
    if value and len(set(value)) < len(value):
        raise typer.BadParameter("The same server is given twice.")
    return value


def _find_first_server(context: typer.Context, param: typer.CallbackParam, value: list[str] | None) -> list[str] | None:
    """Return the address of the first server, so that other options know whether one is used.

    The profile of a single server applies, as with any command.
    """
    if context.resilient_parsing:
        return None
    typed = context.params.get("servers") or []
    name = next(filter(None, typed or value or ()), None)
    if not name:
        return None
    from voxcli.cli.options.consent import check_consent
    from voxcli.cli.settings.profiles import find_server

    url, of_profile = find_server(context, name)
    check_consent(context, "servers" if typed else param.name or "", name, url)
    if len(typed) <= 1:
        defaults = dict(context.default_map or {})
        if typed:
            defaults.pop("model", None)  # set for this machine
        context.default_map = {**defaults, **of_profile}
    return [url]


Servers = Annotated[
    list[str] | None,
    typer.Option(
        "--remote",
        metavar="SERVER",
        help="Server to measure: its address or name; '' for this machine. Repeatable, to compare servers.",
        autocompletion=complete.remotes,
        is_eager=True,
        callback=_choose_servers,
        rich_help_panel=REMOTE_PANEL,
    ),
]
FirstServer = Annotated[
    list[str] | None,
    typer.Option(
        "--remote-by-default",
        envvar="VOXCLI_REMOTE",
        show_envvar=False,
        hidden=True,
        is_eager=True,
        callback=_find_first_server,
    ),
]
"""--remote from the settings files and the environment."""

NoStream = Annotated[bool, typer.Option("--no-stream", hidden=True)]
"""Refused, with a hint at --mode."""


@dataclass(frozen=True, slots=True)
class SubjectOptions(EngineOptions):
    """The model to measure, on this machine or on a server; with several servers, on the first of them."""

    remote: FirstServer = None
    no_stream: NoStream = False
