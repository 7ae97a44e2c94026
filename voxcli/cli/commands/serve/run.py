"""The run of `voxcli serve`: service, socket and signals."""

import asyncio
import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from voxcli.cli.commands.chosen import engine_name, open_chosen_engine
from voxcli.cli.commands.resident import open_own_socket, ready_entry
from voxcli.cli.commands.voice_choice import why_reserved
from voxcli.cli.commands.warm import engine_registry, new_order
from voxcli.cli.console import Console
from voxcli.cli.exits import GracefulShutdown
from voxcli.cli.settings.files import model_library
from voxcli.engines import BUILTIN_MODEL
from voxcli.engines.remote.engine import RemoteEngine
from voxcli.engines.resident.identity import EngineOrder
from voxcli.engines.resident.registry import EngineEntry, Registry, Unavailable
from voxcli.engines.settings import EngineSettings
from voxcli.server.app import create_app
from voxcli.server.host import Host, open_socket
from voxcli.server.model_lifecycle import ModelLifecycle
from voxcli.server.service import Service
from voxcli.server.settings import ServerSettings
from voxcli.synthesis.loading import LoadingProgress, LoadingStage, OnLoading, ignore_loading
from voxcli.voices import VoiceLibrary
from voxcli.voices.named import find_named

GATEWAY = "gateway"
"""Model name that clients see when another server speaks. Its address is not disclosed."""

_QUOTING_LOGGERS = ("voxcli.engines.espeak.engine", "voxcli.text.parts")
"""Loggers whose warnings quote the text of a request, which is not logged by a server."""


def run(settings: ServerSettings, engine: EngineSettings, console: Console) -> None:
    """Serve until a signal arrives.

    Raises:
        DeviceError: the port is taken.
        VoxError: the model cannot be loaded.
        KeyboardInterrupt, Terminated: streams had to be cut off.
    """
    for name in _QUOTING_LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    service = new_service(settings, engine, noted_stages(console))
    with open_socket(settings) as sock, _shared(engine) as private:
        port: int = sock.getsockname()[1]
        sockets = [sock, private.socket] if private else [sock]
        host = Host(create_app(service), service, *sockets)

        def ready() -> None:
            _note_ready(service, console)
            if private and service.models.loaded:
                private.register(service, _address(settings, port))

        interrupted = asyncio.run(_serve(host, lambda: _note_address(service, port, console), ready, console))
    if interrupted:
        raise interrupted


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


def noted_stages(console: Console) -> OnLoading:
    """Return what makes a note of each stage of loading when it begins, except the first."""
    last = [LoadingStage.STARTING]

    def on_loading(progress: LoadingProgress) -> None:
        if last != [progress.stage]:
            last[:] = [progress.stage]
            console.note(" ".join(filter(None, (progress.words, progress.whole))))

    return on_loading


def new_service(settings: ServerSettings, engine: EngineSettings, on_loading: OnLoading = ignore_loading) -> Service:
    """Build the service. Raises NotFound if the model is not installed, even if it is to be loaded later."""
    assert settings.voices
    voices = VoiceLibrary(settings.voices)
    if engine.remote:
        models = ModelLifecycle(engine.model or GATEWAY, partial(open_chosen_engine, engine), settings, samples=False)
        known = partial(_knows_remote_voice, models)
        return Service(settings, voices, models, knows_voice=known, why_reserved=why_reserved, probe=None)
    name = engine_name(engine)
    if name == BUILTIN_MODEL:
        models = ModelLifecycle(name, partial(open_chosen_engine, engine), settings, samples=False)
        return Service(settings, voices, models, knows_voice=_knows_builtin_voice, why_reserved=why_reserved)
    model_library().load(name)
    load = partial(open_chosen_engine, engine, settings.slots, on_loading=on_loading)
    models = ModelLifecycle(Path(name).name, load, settings)
    return Service(
        settings, voices, models, knows_voice=lambda name: find_named(name) is not None, why_reserved=why_reserved
    )


def _knows_builtin_voice(name: str) -> bool:
    from voxcli.engines.espeak.languages import knows_voice
    from voxcli.engines.espeak.library import load_espeak

    return knows_voice(name, load_espeak())


def _knows_remote_voice(models: ModelLifecycle, name: str) -> bool:
    engine = models.engine
    return engine.knows_voice(name) if isinstance(engine, RemoteEngine) else True  # checked when it is requested


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
    return f"http://{host}:{port}"


def _note_address(service: Service, port: int, console: Console) -> None:
    settings = service.settings
    console.note(f"listening at {_address(settings, port)}")
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
        console.note(f"{service.models.name} is ready ({streams} at once)")
    else:
        console.note(f"{service.models.name} will be loaded on the first request")
    if (model := service.language_model) and model.model:
        console.note(f"chats with {model.model} at {model.url}")
    engine = service.models.engine
    if isinstance(engine, RemoteEngine) and engine.wants_recording:
        console.warning("The server needs a recording to imitate. Name one of its files with --ref-audio PATH.")
