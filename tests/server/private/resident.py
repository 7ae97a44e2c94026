"""A resident engine in a thread of the test's own process, and its clients."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from tests.server.tone import ToneEngine
from voxcli.protocols.voxcpm.exact import exact_form
from voxcli.server.host import Host
from voxcli.server.private.keep_alive import FOR_EVER
from voxcli.server.private.sockets import PrivateSocket, open_keyed_socket, open_private_socket
from voxcli.server.resident import new_resident_host
from voxcli.server.service import Service
from voxcli.synthesis.request import Engine, SynthesisRequest

SPEECH = "/api/tts/stream"
HELLO = SynthesisRequest(text="Hello.")


def client_of(private: PrivateSocket | Path) -> httpx.Client:
    """Return a client of a private socket."""
    path = private if isinstance(private, Path) else private.path
    if path:
        return httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://localhost", timeout=20)
    assert isinstance(private, PrivateSocket)
    headers = {"authorization": f"Bearer {private.key}"}
    return httpx.Client(base_url=f"http://127.0.0.1:{private.port}", headers=headers, timeout=20)


def connected(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    connection.connect(str(path))
    return connection


def speak(client: httpx.Client, request: SynthesisRequest, **headers: str) -> httpx.Response:
    form, clips = exact_form(request)
    files = {field: (clip.name or "clip", clip.data) for field, clip in clips.items()} or None
    return client.post(SPEECH, data=form, files=files, headers={k.replace("_", "-"): v for k, v in headers.items()})


class Resident:
    """A resident engine that answers."""

    def __init__(
        self, private: PrivateSocket, host: Host, loop: asyncio.AbstractEventLoop, thread: threading.Thread
    ) -> None:
        self.private, self.host, self.loop, self.thread = private, host, loop, thread
        self.service: Service = host.service

    @property
    def path(self) -> Path:
        assert self.private.path
        return self.private.path

    def call(self, function: Callable[[], Any]) -> None:
        """Call something on the server's own thread."""
        self.loop.call_soon_threadsafe(function)

    def ends(self) -> bool:
        """Wait until it has ended, and tell whether it did."""
        self.thread.join(10)
        return not self.thread.is_alive()


@contextmanager
def resident(
    engine: Engine,
    folder: Path,
    *,
    keep_alive: float = FOR_EVER,
    about: dict[str, Any] | None = None,
    keyed: bool = False,
) -> Iterator[Resident]:
    """Run a resident engine until the block ends, or it ends by itself.

    keyed: on a port with a key, as on Windows.
    """
    ready, started = threading.Event(), list[tuple[PrivateSocket, Host, asyncio.AbstractEventLoop]]()

    async def work(sock: PrivateSocket) -> None:
        host = new_resident_host("tone", lambda: engine, sock, voices=folder, keep_alive=keep_alive, about=about or {})
        started.append((sock, host, asyncio.get_running_loop()))
        await host.run(lambda: None, ready.set)

    def run() -> None:
        with open_keyed_socket() if keyed else open_private_socket(folder / "x.sock") as sock:
            asyncio.run(work(sock))

    thread = threading.Thread(target=run, name="resident")
    thread.start()
    try:
        assert ready.wait(20), "the server did not start"
        yield Resident(*started[0], thread)
    finally:
        if isinstance(engine, ToneEngine):
            engine.go.set()
        with suppress(RuntimeError):  # it has ended already
            started[0][2].call_soon_threadsafe(lambda: started[0][1].stop(True))
        thread.join(30)
        assert not thread.is_alive(), "the server did not end"
