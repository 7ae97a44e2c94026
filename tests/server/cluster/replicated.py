"""Replicas of a tone by Ray Serve, as a program of their own: it prints the address, and ends on Ctrl-C."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.server.running import running
from tests.server.tone import ToneEngine
from voxcli.cli.commands.serve.replicas import own_ray
from voxcli.cli.exits import GracefulShutdown
from voxcli.server.model_lifecycle import ModelLifecycle
from voxcli.server.service import Service
from voxcli.server.settings import ServerSettings
from voxcli.voices import VoiceLibrary

SLOTS = 4


@contextmanager
def started(least: int, most: int, *, chunks: int = 25, queue: int = 2, **more: float) -> Iterator[str]:
    """Start this program, and give the address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    given = {"least": least, "most": most, "chunks": chunks, "queue": queue, "port": port, **more}
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.server.cluster.replicated", json.dumps(given)],
        env={**os.environ, "PYTHONPATH": str(root)},
        cwd=root,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        url = next((line.strip() for line in process.stdout if line.startswith("http://")), "")
        try:
            assert url, "it did not start"
            yield url
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0


def new_tone(settings: ServerSettings, chunks: int) -> Service:
    """Build the service of a replica: a tone at the speed at which it is heard."""
    models = ModelLifecycle("tone", lambda: ToneEngine(slots=SLOTS, chunks=chunks, pace=1.0), settings)
    assert settings.voices
    return Service(settings, VoiceLibrary(settings.voices), models)


def main(given: dict[str, int]) -> None:
    """Serve. `given` has the fields of `Scale`, the port, the queue, and how many chunks a text takes.

    With `least` 0, the tone is served without Ray, for comparison.
    """
    stopped = threading.Event()
    if not given["least"]:
        tone = ToneEngine(slots=SLOTS, chunks=given["chunks"], pace=1.0)
        with running(tone, port=given["port"], queue=given["queue"]) as plain, GracefulShutdown(stopped.set):
            print(plain.url, flush=True)
            stopped.wait()
        return
    with tempfile.TemporaryDirectory() as voices, own_ray() as folder:
        from voxcli.server.cluster.board import Scale
        from voxcli.server.cluster.deployment import LocalCluster, new_application

        settings = ServerSettings(port=given.pop("port"), queue=given.pop("queue"), voices=Path(voices))
        new = partial(new_tone, settings, given.pop("chunks"))
        with LocalCluster(folder, 2) as cluster:
            print(cluster.serve(new_application(new, settings, Scale(**given, cores=1)), settings), flush=True)
            with GracefulShutdown(stopped.set):
                stopped.wait()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
