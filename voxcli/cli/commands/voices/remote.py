"""Who can speak on a server, for `voxcli voices list --remote`."""

from contextlib import closing
from dataclasses import asdict

from voxcli.cli.console import write_json, write_table
from voxcli.cli.options.server import ServerOptions
from voxcli.engines.remote.engine import RemoteEngine
from voxcli.errors import NotFound


def list_on(server: ServerOptions, *, json: bool) -> None:
    """Show the voices that a server knows by name.

    Raises:
        NotFound: it does not tell.
        RemoteError: it cannot be reached.
    """
    with closing(RemoteEngine(server.connection())) as engine:
        voices = engine.voices()
    if voices is None:
        raise NotFound(f"{server.remote} does not tell who can speak there.")
    if json:
        write_json([asdict(voice) for voice in voices])
    else:
        write_table([["VOICE", "ABOUT"], *([voice.name, voice.title] for voice in voices)])
