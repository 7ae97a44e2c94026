"""`voxcli config`: show settings and where they come from."""

import os
from typing import Any

import typer

from voxcli.cli.console import Console, write_json, write_lines, write_table
from voxcli.cli.options import parameters as options
from voxcli.cli.parser.help import documented
from voxcli.cli.settings.files import (
    effective_settings,
    find_settings,
    find_wrong_variables,
    settable_options,
    settings_files,
)

app = typer.Typer(name="config", help="Show the settings.", no_args_is_help=True)


@app.command("show")
@documented("voxcli config show", "VOXCLI_SPEED=1.5 voxcli config show --json", runs_without_settings=True)
def show(context: typer.Context, json: options.Json = False) -> None:
    """Show every setting, its value and where the value comes from.

    Highest priority first: the option on the command line, the variable VOXCLI_<NAME>, ./voxcli.toml, the user's
    voxcli.toml, the default.
    """
    files = settings_files()
    settings = effective_settings(settable_options(context), find_settings(context).values, os.environ)
    for problem in find_wrong_variables(context, os.environ):
        Console().warning(problem)
    if json:
        write_json({name: {"value": s.value, "origin": s.origin} for name, s in settings.items()})
        return
    rows = [["SETTING", "VALUE", "FROM"]]
    rows += [[name.replace("_", "-"), _shown(s.value), s.origin] for name, s in settings.items()]
    write_table(rows)
    write_lines(["", "Settings files, later ones override earlier ones:"])
    write_lines([f"  {file}{'' if file.exists() else '  (missing)'}" for file in files])


@app.command("profiles")
@documented(runs_without_settings=True)
def profiles(context: typer.Context, json: options.Json = False) -> None:
    """Show the server profiles: name, address, settings and the file that defines each."""
    from dataclasses import asdict

    from voxcli.cli.settings.profiles import read_profiles

    profiles, problems = read_profiles(context, settings_files())
    for problem in problems:
        Console().warning(problem)
    known = sorted(profiles.values(), key=lambda profile: profile.name)
    if json:
        write_json([asdict(profile) for profile in known])
        return
    rows = [["NAME", "ADDRESS", "SETTINGS", "FROM"]]
    for profile in known:
        settings = ", ".join(f"{name.replace('_', '-')} {_shown(value)}" for name, value in profile.settings.items())
        rows.append([profile.name, profile.url, settings or "-", profile.origin])
    write_table(rows)


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return str(value).lower() if isinstance(value, bool) else str(value)
