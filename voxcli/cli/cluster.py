"""Application for a cluster of Ray, which `serve run` and `serve deploy` import."""

import shlex
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import typer

from voxcli.cli.app import app as commands
from voxcli.cli.commands.serve.replicas import Deployment, check_replicas, read_range
from voxcli.cli.commands.serve.service import new_service
from voxcli.server.cluster.board import Scale

if TYPE_CHECKING:
    from voxcli.server.cluster.deployment import Application


def app(arguments: Mapping[str, Any]) -> "Application":
    """Build the application for `serve run` and `serve deploy`.

    Args:
        arguments: `options`, those of `voxcli serve` in one string; `replicas`, as for that command; `gpus` and `cores`
            of each replica.

    Raises:
        VoxError, typer.BadParameter: the options are wrong.
    """
    from voxcli.server.cluster.deployment import new_application

    known = {"options": "", "replicas": "1", "gpus": "0", "cores": "1"}
    if unknown := arguments.keys() - known.keys():
        raise typer.BadParameter(f"Unknown arguments: {', '.join(sorted(unknown))}. Known ones: {', '.join(known)}.")
    given = {**known, **{name: str(value) for name, value in arguments.items()}}
    found = read_range(given["replicas"])
    if found is None:
        check_replicas(given["replicas"])
        raise typer.BadParameter("On a cluster, replicas is a number or a range such as 1-4.")
    taken, words = Deployment(), shlex.split(given["options"])
    command: Any = typer.main.get_command(commands)
    # Ray's proxies listen on every interface: without keys this is refused, unless --insecure is among the options.
    command.main(["serve", "--host", "0.0.0.0", *words], prog_name="voxcli", standalone_mode=False, obj=taken)
    gpus = float(given["gpus"])
    scale = Scale(least=found[0], most=found[1], gpus=gpus, cores=None if gpus else int(given["cores"]))
    return new_application(partial(new_service, taken.settings, taken.engine), taken.settings, scale)
