"""The run of `voxcli serve`: service, socket and signals."""

import asyncio
import importlib
import importlib.util
import logging
import math
import os
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from voxcli.cli.commands.resident import open_own_socket, ready_entry
from voxcli.cli.commands.serve.operating import new_tracing
from voxcli.cli.commands.serve.protocols import WyomingAddress
from voxcli.cli.commands.serve.service import new_service
from voxcli.cli.commands.warm import engine_registry, new_order
from voxcli.cli.console import Console
from voxcli.cli.exits import GracefulShutdown
from voxcli.cli.settings.files import find_user_places
from voxcli.engines.remote.balanced import BalancedEngine
from voxcli.engines.remote.engine import RemoteEngine
from voxcli.engines.resident.identity import EngineOrder
from voxcli.engines.resident.registry import EngineEntry, Registry, Unavailable
from voxcli.engines.settings import EngineSettings
from voxcli.installation import install_command
from voxcli.server.app import create_app
from voxcli.server.host import Host, bound_socket, open_socket
from voxcli.server.operating.access import AccessLog
from voxcli.server.private.sockets import open_private_socket
from voxcli.server.service import Service
from voxcli.server.settings import ServerSettings
from voxcli.synthesis.loading import LoadingProgress, LoadingStage, OnLoading

_QUOTING_LOGGERS = (
    "voxcli.engines.espeak.engine",
    "voxcli.engines.kokoro.engine",
    "voxcli.engines.kokoro.reading",
    "voxcli.text.parts",
)
"""Loggers whose warnings quote the text of a request, which is not logged by a server."""


def run(
    settings: ServerSettings,
    engine: EngineSettings,
    console: Console,
    *,
    plays: bool,
    folder: Path | None,
    wyoming: WyomingAddress | None = None,
    access_log: str | None = None,
    opens: bool = False,
) -> None:
    """Serve until a signal arrives.

    Args:
        plays: whether agents may speak through the loudspeaker of this machine.
        folder: where agents may write files; None for nowhere.
        access_log: text or json; None for none.
        opens: whether the page is opened in a browser.

    Raises:
        DeviceError: the port is taken.
        VoxError: the model cannot be loaded.
        KeyboardInterrupt, Terminated: streams had to be cut off.
    """
    for name in _QUOTING_LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    service = new_service(settings, engine, noted_stages(console))
    with (
        _observed(service, access_log, console),
        open_socket(settings) as sock,
        _wyoming_socket(wyoming) as second,
        _shared(engine) as private,
    ):
        port: int = sock.getsockname()[1]
        sockets = [sock, private.socket] if private else [sock]
        agents = None
        if importlib.util.find_spec("mcp"):
            agents = _Agents(service, plays=plays, folder=folder)
        else:
            console.note(f"no /mcp for agents: mcp is not installed. For it: {install_command('serve')}")
        host = Host(create_app(service, agents), service, *sockets, wyoming=second)

        def listening() -> None:
            _note_address(service, port, console)
            if opens:
                # On a thread of its own: some browsers of terminals come back only when they are closed.
                threading.Thread(target=_open_page, args=(settings, port, console), daemon=True).start()
            if wyoming and second:
                console.note(f"Wyoming for Home Assistant at {wyoming.at(second)}")

        def ready() -> None:
            _note_ready(service, console)
            if private and service.models.loaded:
                private.register(service, _address(settings, port))

        interrupted = asyncio.run(_serve(host, listening, ready, console))
    if interrupted:
        raise interrupted


@contextmanager
def _observed(service: Service, access_log: str | None, console: Console) -> Iterator[None]:
    """Let each request be logged and traced, if that is wanted."""
    with ExitStack() as ends:
        if access_log:
            log = AccessLog(sys.stdout.fileno(), as_json=access_log == "json")
            ends.callback(log.close)
            service.observers.append(log)
        if tracing := new_tracing(os.environ, console):
            ends.callback(tracing.close)
            service.observers.append(tracing)
        yield


class _Agents:
    """What is at /mcp. The package behind it is loaded with the first request, as that takes most of a second."""

    def __init__(self, service: Service, *, plays: bool, folder: Path | None) -> None:
        self._service, self._plays, self._folder = service, plays, folder
        self._endpoint: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._endpoint is None:
            await self._service.threads.call(lambda: importlib.import_module("voxcli.server.mcp.endpoint"))
        self._endpoint = self._endpoint or self._open()
        await self._endpoint(scope, receive, send)

    def _open(self) -> ASGIApp:
        from voxcli.server.mcp.endpoint import McpEndpoint
        from voxcli.server.mcp.outputs import Folder
        from voxcli.server.mcp.settings import AgentSettings

        settings = AgentSettings(
            turns=find_user_places().turns,
            plays=self._plays,
            folder=Folder(self._folder) if self._folder else None,
            own=False,
            max_characters=self._service.settings.max_characters,
        )
        return McpEndpoint(self._service, settings)


async def _serve(
    host: Host, on_listening: Callable[[], None], on_ready: Callable[[], None], console: Console
) -> type[BaseException] | None:
    """Return the exception for the signal that stopped the server, if streams had to be cut off."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        console.note("stopping after the running streams have finished")
        host.stop()

    with GracefulShutdown(lambda: loop.call_soon_threadsafe(stop)) as shutdown:
        clean = await host.run(on_listening, on_ready)
    return None if clean else shutdown.interrupted


@contextmanager
def _wyoming_socket(address: WyomingAddress | None) -> Iterator[socket.socket | None]:
    """Open the socket of Wyoming, if there is an address for it. Raises DeviceError."""
    if address is None:
        yield None
    elif address.path:
        with open_private_socket(address.path) as private:
            yield private.sock
    else:
        with bound_socket(address.host, address.port, "--wyoming HOST:PORT", "--wyoming HOST:PORT") as sock:
            yield sock


def noted_stages(console: Console) -> OnLoading:
    """Return what makes a note of each stage of loading when it begins, except the first."""
    last = [LoadingStage.STARTING]

    def on_loading(progress: LoadingProgress) -> None:
        if last != [progress.stage]:
            last[:] = [progress.stage]
            console.note(" ".join(filter(None, (progress.words, progress.whole))))

    return on_loading


class _Shared:
    """The engine of this server, for the commands of the same user that would otherwise load the model again."""

    def __init__(self, order: EngineOrder, registry: Registry) -> None:
        self.socket = open_own_socket(registry, order.key)
        self._order = order
        self._registry = registry
        self._entry: EngineEntry | None = None

    def register(self, service: Service, address: str) -> None:
        """Let them find it. In place of an engine that is resident, which then ends when it has been idle."""
        self._entry = ready_entry(self._order, service, self.socket, serves=address)
        with suppress(OSError):
            self._registry.write(self._entry.key, self._entry.values)

    def close(self) -> None:
        if self._entry:
            self._registry.remove(self._entry)
        self.socket.close()


@contextmanager
def _shared(settings: EngineSettings) -> Iterator[_Shared | None]:
    """Open a private socket for the commands of this user; None for an engine that needs no loading, or without one."""
    shared = None
    with suppress(Unavailable):
        if order := new_order(replace(settings, keep_alive=math.inf)):
            registry = engine_registry()
            registry.prepare()
            shared = _Shared(order, registry)
    try:
        yield shared
    finally:
        if shared:
            shared.close()


def _address(settings: ServerSettings, port: int) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{'https' if settings.tls else 'http'}://{host}:{port}"


def _open_page(settings: ServerSettings, port: int, console: Console) -> None:
    host = _REACHABLE.get(settings.host, settings.host)
    address = f"{_address(replace(settings, host=host), port)}/"
    if not webbrowser.open(address):
        console.warning(f"No browser could be opened. The page is at {address}")


_REACHABLE = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}
"""Addresses that stand for all of this machine's, and one of them that a browser can be sent to."""


def _note_address(service: Service, port: int, console: Console) -> None:
    settings = service.settings
    console.note(f"listening at {_address(settings, port)}")
    console.note(f"page to speak and listen on: {_address(settings, port)}/")
    console.note(f"API documentation: {_address(settings, port)}/docs")
    if settings.keys:
        console.note("1 API key accepted" if len(settings.keys) == 1 else f"{len(settings.keys)} API keys accepted")
    else:
        console.note("no API key required")
    if not service.settings.lazy:
        console.note(f"loading {service.models.name}")


def _note_ready(service: Service, console: Console) -> None:
    slots = service.models.slots
    streams = "1 stream" if slots == 1 else f"{slots} streams"
    if service.models.loaded:
        console.note(f"{service.models.name} is ready ({streams} at once{_of_servers(service)})")
    else:
        console.note(f"{service.models.name} will be loaded on the first request")
    if (model := service.language_model) and model.model:
        console.note(f"chats with {model.model} at {model.url}")
    engine = service.models.engine
    if isinstance(engine, RemoteEngine | BalancedEngine) and engine.wants_recording:
        console.warning("The server needs a recording to imitate. Name one of its files with --ref-audio PATH.")


def _of_servers(service: Service) -> str:
    """Return how many servers speak, if there are several."""
    engine = service.models.engine
    if not isinstance(engine, BalancedEngine):
        return ""
    servers = engine.servers()
    answering = sum(server.problem is None for server in servers)
    return f", on {answering} of {len(servers)} servers"
