"""The options of `voxcli bench` that say who is measured: this machine, a server, or several side by side."""

from dataclasses import dataclass
from typing import Annotated

import typer

from voxcli.cli.options import completion as complete
from voxcli.cli.options.engine import EngineOptions


def _choose_servers(context: typer.Context, param: typer.CallbackParam, value: list[str] | None) -> list[str] | None:
    if value and len(set(value)) < len(value):
        raise typer.BadParameter("The same server twice cannot be told apart.")
    return value


def _find_first_server(context: typer.Context, param: typer.CallbackParam, value: str | None) -> str | None:
    """Return the address of the first server, so that other options know whether one speaks.

    One alone brings the settings of its profile with it, as with any command.
    """
    from voxcli.cli.settings.profiles import find_server

    if context.resilient_parsing:
        return None
    typed = context.params.get("servers") or []
    name = next(filter(None, typed), None) if typed else value
    if not name:
        return None
    url, of_profile = find_server(context, name)
    if len(typed) <= 1:
        defaults = dict(context.default_map or {})
        if typed:
            defaults.pop("model", None)  # it is set for this machine
        context.default_map = {**defaults, **of_profile}
    return url


Servers = Annotated[
    list[str] | None,
    typer.Option(
        "--remote",
        metavar="SERVER",
        help="A server, by its address or name; '' is this machine. Several are measured side by side.",
        autocompletion=complete.remotes,
        is_eager=True,
        callback=_choose_servers,
        rich_help_panel="On another machine",
    ),
]
FirstServer = Annotated[
    str | None,
    typer.Option(
        "--remote-by-default",
        envvar="VOXCLI_REMOTE",
        show_envvar=False,
        hidden=True,
        is_eager=True,
        callback=_find_first_server,
    ),
]
"""What the settings and the environment say, as they say it for other commands."""

NoStream = Annotated[bool, typer.Option("--no-stream", hidden=True)]
"""Refused, with what to say instead."""


@dataclass(frozen=True, slots=True)
class SubjectOptions(EngineOptions):
    """Which model speaks, here or on a server; if several servers do, the first of them."""

    remote: FirstServer = None
    no_stream: NoStream = False
