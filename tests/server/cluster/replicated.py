"""Replicas of a tone by Ray Serve, as a program of their own: it prints the address, and ends on Ctrl-C."""

import json
import sys
import tempfile
import threading
from functools import partial
from pathlib import Path

from tests.server.tone import ToneEngine
from voxcli.cli.commands.serve.replicas import own_ray
from voxcli.cli.exits import GracefulShutdown
from voxcli.server.model_lifecycle import ModelLifecycle
from voxcli.server.service import Service
from voxcli.server.settings import ServerSettings
from voxcli.voices import VoiceLibrary

SLOTS = 4


def new_tone(settings: ServerSettings, chunks: int) -> Service:
    """Build the service of a replica: a tone at the speed at which it is heard."""
    models = ModelLifecycle("tone", lambda: ToneEngine(slots=SLOTS, chunks=chunks, pace=1.0), settings)
    assert settings.voices
    return Service(settings, VoiceLibrary(settings.voices), models)


def main(given: dict[str, int]) -> None:
    """Serve. `given` has the fields of `Scale`, the port, the queue, and how many chunks a text takes."""
    with tempfile.TemporaryDirectory() as voices, own_ray() as folder:
        from voxcli.server.cluster.board import Scale
        from voxcli.server.cluster.deployment import LocalCluster, new_application

        settings = ServerSettings(port=given.pop("port"), queue=given.pop("queue"), voices=Path(voices))
        tone = partial(new_tone, settings, given.pop("chunks"))
        with LocalCluster(folder, 2) as cluster:
            print(cluster.serve(new_application(tone, settings, Scale(**given, cores=1)), settings), flush=True)
            stopped = threading.Event()
            with GracefulShutdown(stopped.set):
                stopped.wait()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
