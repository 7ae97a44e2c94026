"""The run of `voxcli serve`: service, socket and signals."""

import asyncio
import logging
from functools import partial
from pathlib import Path

from voxcli.cli.commands.chosen import engine_name, open_chosen_engine
from voxcli.cli.commands.voice_choice import why_reserved
from voxcli.cli.console import Console
from voxcli.cli.exits import GracefulShutdown
from voxcli.cli.settings.files import model_library
from voxcli.engines import BUILTIN_MODEL
from voxcli.engines.remote.engine import RemoteEngine
from voxcli.engines.settings import EngineSettings
from voxcli.server.app import create_app
from voxcli.server.host import Host, open_socket
from voxcli.server.model_lifecycle import ModelLifecycle
from voxcli.server.service import Service
from voxcli.server.settings import ServerSettings
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
    service = new_service(settings, engine)
    with open_socket(settings) as sock:
        port: int = sock.getsockname()[1]
        interrupted = asyncio.run(_serve(service, Host(create_app(service), service, sock), port, console))
    if interrupted:
        raise interrupted


async def _serve(service: Service, host: Host, port: int, console: Console) -> type[BaseException] | None:
    """Return the exception for the signal that stopped the server, if streams had to be cut off."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        console.note("stopping after the running streams have finished")
        host.stop()

    with GracefulShutdown(lambda: loop.call_soon_threadsafe(stop)) as shutdown:
        clean = await host.run(lambda: _note_address(service, port, console), lambda: _note_ready(service, console))
    return None if clean else shutdown.interrupted


def new_service(settings: ServerSettings, engine: EngineSettings) -> Service:
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
    models = ModelLifecycle(Path(name).name, partial(open_chosen_engine, engine, settings.slots), settings)
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


def _note_address(service: Service, port: int, console: Console) -> None:
    settings = service.settings
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    console.note(f"listening at http://{host}:{port}")
    console.note(f"API documentation: http://{host}:{port}/docs")
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
    engine = service.models.engine
    if isinstance(engine, RemoteEngine) and engine.wants_recording:
        console.warning("The server needs a recording to imitate. Name one of its files with --ref-audio PATH.")
