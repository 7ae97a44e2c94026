"""Replicas of `voxcli serve` on this machine: Ray Serve started, run and ended."""

import importlib.util
import os
import re
import secrets
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from voxcli.cli.console import Console
from voxcli.cli.exits import GracefulShutdown
from voxcli.errors import NotFound
from voxcli.installation import install_command
from voxcli.voxcpm.runtime.cpu_threads import count_cores

if TYPE_CHECKING:
    from voxcli.engines.settings import EngineSettings
    from voxcli.server.cluster.board import Scale
    from voxcli.server.settings import ServerSettings

_AUTO = "auto"
_MOST = 1000
_TOKEN_BYTES = 32
_LONGEST_PATH, _SHORT_PATH = 32, "/tmp"
"""Characters of the folder for temporary files: the sockets below it have names of at most 107 bytes, and Ray takes the
most of them."""


def check_replicas(value: str | None) -> str | None:
    if value is None or value == _AUTO or read_range(value):
        return value
    raise typer.BadParameter(
        f"{value!r} is no number of replicas from 1 to {_MOST}, no range such as 1-4, and not auto."
    )


def read_range(value: str) -> tuple[int, int] | None:
    found = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", value.strip())
    if found is None:
        return None
    least, most = int(found[1]), int(found[2] or found[1])
    return (least, most) if 1 <= least <= most <= _MOST else None


Replicas = Annotated[
    str | None,
    typer.Option(
        "--replicas",
        metavar="N|MIN-MAX|auto",
        help="Copies of the model, by Ray Serve: N, as many of MIN to MAX as the streams need, or auto for one on each "
        "GPU. Default: one, without Ray.",
        callback=check_replicas,
        rich_help_panel="Replicas",
    ),
]


@dataclass(frozen=True, slots=True)
class ReplicaOptions:
    """How many copies of the model there are."""

    replicas: Replicas = None

    def check(self, **others: object) -> None:
        """Refuse options that have no meaning for replicas, by the names of their parameters."""
        for name, value in others.items():
            if value:
                option = f"--{name.replace('_', '-')}"
                raise typer.BadParameter(f"It cannot be used with {option}.", param_hint="--replicas")


class Deployment:
    """Stands where a command has its signals: takes the settings of a command line that is not run here."""

    settings: "ServerSettings"
    engine: "EngineSettings"


def run_replicas(settings: "ServerSettings", engine: "EngineSettings", console: Console, *, replicas: str) -> None:
    """Serve with several replicas on this machine until a signal arrives.

    Raises:
        NotFound: Ray is not installed, or the model is not.
        DeviceError: the port is taken, or a replica cannot be started.
        KeyboardInterrupt, Terminated: a signal arrived before the replicas were ready.
    """
    if importlib.util.find_spec("ray") is None:
        raise NotFound(
            "Replicas need Ray Serve, which is not installed.", on_command_line=f"Run: {install_command('ray')}"
        )
    from voxcli.cli.commands.serve.service import new_service
    from voxcli.server.host import open_socket

    new = partial(new_service, settings, engine)
    new()  # a model that is not installed is told at once, and not by every replica
    with open_socket(settings) as sock:
        settings = replace(settings, port=sock.getsockname()[1])
    console.note(f"starting Ray for {replicas} replica{'' if replicas == '1' else 's'}")
    with own_ray() as folder:
        from voxcli.server.cluster.deployment import LocalCluster, new_application

        cores = count_cores()
        with LocalCluster(folder, cores) as cluster, GracefulShutdown():  # after Ray, which handles SIGTERM too
            scale = _scale(replicas, cluster.gpus, cores)
            address = cluster.serve(new_application(new, settings, scale), settings)
            console.note(f"listening at {address}")
            console.note(f"{_count(scale)} ready")
            stopped = threading.Event()
            with GracefulShutdown(stopped.set):
                stopped.wait()
            console.note("stopping after the running streams have finished")


def _scale(replicas: str, gpus: int, cores: int) -> "Scale":
    """Return how many replicas there are on this machine: on a GPU each, if there are GPUs."""
    from voxcli.server.cluster.board import Scale

    least, most = read_range(replicas) or (max(gpus, 1), max(gpus, 1))
    if most > (gpus or cores):
        kind = "GPU" if gpus else "CPU core"
        has = f"{gpus or cores} {kind}{'s' if (gpus or cores) > 1 else ''}"
        raise typer.BadParameter(f"This machine has {has}, and each replica needs one.", param_hint="--replicas")
    return Scale(least=least, most=most, gpus=float(gpus > 0), cores=None if gpus else cores // most)


def _count(scale: "Scale") -> str:
    several = f"{scale.least} replicas are" if scale.least > 1 else "1 replica is"
    where = "on a GPU each" if scale.gpus else f"on {scale.cores} CPU core{'s' if scale.cores != 1 else ''} each"
    more = f", of at most {scale.most}," if scale.most > scale.least else ""
    return f"{several}{more} {where}"


@contextmanager
def own_ray() -> Iterator[str]:
    """Prepare what Ray reads of the environment, and give a folder for its files, removed at the end.

    Its processes listen on every interface, and accept only those that have a key of this run. By default Ray would
    keep such a key in the home folder.
    """
    usual = tempfile.gettempdir()
    folder = tempfile.mkdtemp(prefix="vox", dir=usual if len(usual) <= _LONGEST_PATH else _SHORT_PATH)
    os.environ.update(
        RAY_USAGE_STATS_ENABLED="0",
        RAY_AUTH_MODE="token",
        RAY_AUTH_TOKEN=secrets.token_hex(_TOKEN_BYTES),
    )
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
