"""What runs behind `voxcli serve`: the service, its socket and its signals."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType

from voxcli.cli.commands.chosen import engine_name, open_chosen_engine
from voxcli.cli.console import Console
from voxcli.cli.exits import Terminated
from voxcli.cli.settings.files import model_library
from voxcli.engines import BUILTIN_MODEL
from voxcli.engines.remote.engine import RemoteEngine
from voxcli.engines.settings import EngineSettings
from voxcli.errors import NotFound
from voxcli.server.app import create_app
from voxcli.server.host import Host, open_socket
from voxcli.server.model_lifecycle import ModelLifecycle
from voxcli.server.service import Service
from voxcli.server.settings import ServerSettings
from voxcli.voices import VoiceLibrary

GATEWAY = "gateway"
"""The model that clients see where another server speaks. Its address is nobody's business."""


def run(settings: ServerSettings, engine: EngineSettings, console: Console) -> None:
    """Serve until a signal comes.

    Raises:
        DeviceError: the port is taken.
        VoxError: the model cannot be loaded.
        KeyboardInterrupt, Terminated: a stream did not come to its end in time.
    """
    logging.getLogger("voxcli.engines.espeak.engine").setLevel(logging.ERROR)  # it quotes what it reads
    service = new_service(settings, engine)
    with open_socket(settings) as sock:
        port: int = sock.getsockname()[1]
        struck = asyncio.run(_serve(service, Host(create_app(service), service, sock), port, console))
    if struck:
        raise struck


async def _serve(service: Service, host: Host, port: int, console: Console) -> type[BaseException] | None:
    with _signals(host.stop, console) as strike:
        clean = await host.run(lambda: _say_where(service, port, console), lambda: _say_what(service, console))
    return None if clean else strike.kind


def new_service(settings: ServerSettings, engine: EngineSettings) -> Service:
    """Put together what is served. Raises NotFound if the model is not there, even if it is to be loaded later."""
    assert settings.voices
    voices = VoiceLibrary(settings.voices)
    if engine.remote:
        models = ModelLifecycle(engine.model or GATEWAY, partial(open_chosen_engine, engine), settings, samples=False)
        known = partial(_knows_remote_voice, models)
        return Service(settings, voices, models, knows_voice=known, probe=None)
    name = engine_name(engine)
    if name == BUILTIN_MODEL:
        models = ModelLifecycle(name, partial(open_chosen_engine, engine), settings, samples=False)
        return Service(settings, voices, models, knows_voice=_knows_builtin_voice)
    model_library().load(name)
    return Service(
        settings, voices, ModelLifecycle(Path(name).name, partial(open_chosen_engine, engine, settings.slots), settings)
    )


def _knows_builtin_voice(name: str) -> bool:
    from voxcli.engines.espeak.languages import find_voice
    from voxcli.engines.espeak.library import load_espeak

    try:
        find_voice(name, load_espeak())
    except NotFound:
        return False
    return True


def _knows_remote_voice(models: ModelLifecycle, name: str) -> bool:
    engine = models.engine
    return engine.knows_voice(name) if isinstance(engine, RemoteEngine) else True  # it will tell when it is asked


def _say_where(service: Service, port: int, console: Console) -> None:
    settings = service.settings
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    console.note(f"listening at http://{host}:{port}")
    console.note(f"what it can do: http://{host}:{port}/docs")
    if settings.keys:
        console.note("1 key opens it" if len(settings.keys) == 1 else f"{len(settings.keys)} keys open it")
    else:
        console.note("no key is needed")
    if not service.settings.lazy:
        console.note(f"loading {service.models.name}")


def _say_what(service: Service, console: Console) -> None:
    slots = service.models.slots
    streams = "1 stream" if slots == 1 else f"{slots} streams"
    if service.models.loaded:
        console.note(f"{service.models.name} is ready, for {streams} at once")
    else:
        console.note(f"{service.models.name} will be loaded when it is needed")
    engine = service.models.engine
    if isinstance(engine, RemoteEngine) and engine.wants_recording:
        console.warning("It speaks like a recording on that server, and none is named. Name it with --ref-audio PATH.")


@dataclass
class _Strike:
    kind: type[BaseException] | None = None


@contextmanager
def _signals(stop: Callable[[], None], console: Console) -> Iterator[_Strike]:
    """Within it, the first signal stops the server in good order, and the second one ends the process."""
    strike, loop = _Strike(), asyncio.get_running_loop()

    def tell() -> None:
        console.note("stopping, when the streams that run have come to their end")
        stop()

    def on_signal(number: int, frame: FrameType | None) -> None:
        if strike.kind:
            os._exit(128 + number)  # the shell's way of saying which signal it was
        strike.kind = KeyboardInterrupt if number == signal.SIGINT else Terminated
        loop.call_soon_threadsafe(tell)

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield strike
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
