"""The real server on a real socket, in a thread of the test's own process."""

import asyncio
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from tests.server.tone import ToneEngine
from voxcli.server.app import create_app
from voxcli.server.host import Host, open_socket
from voxcli.server.model_lifecycle import ModelLifecycle
from voxcli.server.private.sockets import PrivateSocket
from voxcli.server.service import PROBE, Service
from voxcli.server.settings import ServerSettings
from voxcli.synthesis.request import Engine, SynthesisRequest
from voxcli.voices import VoiceLibrary


@dataclass
class Running:
    """A server that answers."""

    url: str
    service: Service
    host: Host
    loop: asyncio.AbstractEventLoop

    def call(self, function: Callable[[], Any]) -> None:
        """Call something on the server's own thread."""
        self.loop.call_soon_threadsafe(function)


@contextmanager
def serving(engine: Engine | Callable[[], Engine], **settings: Any) -> Iterator[str]:
    """Serve until the block ends, and give the base URL. `settings` are those of `ServerSettings`."""
    with running(engine, **settings) as server:
        yield server.url


@contextmanager
def running(
    engine: Engine | Callable[[], Engine],
    *,
    model: str = "tone",
    knows_voice: Callable[[str], bool] = lambda name: False,
    probe: SynthesisRequest | None = PROBE,
    new_app: Callable[[Service], ASGIApp] = create_app,
    send_buffer: int | None = None,
    private: PrivateSocket | None = None,
    wyoming: socket.socket | None = None,
    **settings: Any,
) -> Iterator[Running]:
    """The same, with what is behind the URL. Without `voices`, the library is a new and empty one.

    Args:
        send_buffer: how many bytes the system takes from the server before the client has them.
        private: a second socket, which the block closes.
        wyoming: a socket on which Wyoming is spoken, which the caller closes.
    """
    open_engine = engine if not hasattr(engine, "stream") else lambda: engine
    with tempfile.TemporaryDirectory() as folder:
        chosen = ServerSettings(**{"port": 0, "voices": Path(folder), **settings})
        assert chosen.voices
        models = ModelLifecycle(model, open_engine, chosen)
        with open_socket(chosen) as sock:
            if send_buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
            ready = threading.Event()
            started: list[Running] = []

            async def work() -> None:
                service = Service(chosen, VoiceLibrary(chosen.voices), models, knows_voice=knows_voice, probe=probe)
                host = Host(new_app(service), service, sock, *([private] if private else []), wyoming=wyoming)
                address, port = sock.getsockname()[:2]
                started.append(
                    Running(
                        f"{'https' if chosen.tls else 'http'}://{address}:{port}",
                        service,
                        host,
                        asyncio.get_running_loop(),
                    )
                )
                await host.run(ready.set if chosen.lazy else lambda: None, ready.set)

            thread = threading.Thread(target=lambda: asyncio.run(work()), name="server")
            thread.start()
            try:
                assert ready.wait(20), "the server did not start"
                yield started[0]
            finally:
                if isinstance(engine, ToneEngine):
                    engine.go.set()
                with suppress(RuntimeError):  # it has ended already
                    started[0].call(started[0].host.stop)
                thread.join(30)
                if private:
                    private.close()
                assert not thread.is_alive(), "the server did not end"
