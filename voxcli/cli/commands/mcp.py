"""`voxcli mcp`: speech as tools for agents, over standard input and output."""

import importlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from voxcli.cli.console import Console, logs_on_console
from voxcli.cli.options import parameters as options
from voxcli.cli.options.engine import ResidentEngineOptions
from voxcli.cli.options.groups import grouped
from voxcli.cli.parser.help import documented
from voxcli.errors import NotFound, VoxError
from voxcli.installation import install_command

if TYPE_CHECKING:
    from voxcli.engines.resident.registry import EngineEntry
    from voxcli.engines.settings import EngineSettings
    from voxcli.synthesis.request import GpuMemory

_LONG_SECONDS = 365 * 24 * 60 * 60.0
_IDLE_SECONDS = 2.0
"""After which an engine that stays loaded in the background is let go: it counts the time until it ends."""
_MOST_QUEUED = 1000
_FAILED = -32603
"""JSON-RPC: internal error."""

AgentFolder = Annotated[
    Path | None,
    typer.Option(
        "--folder",
        metavar="DIR",
        exists=True,
        file_okay=False,
        help="Folder below which agents may write sound files. Default: none.",
    ),
]


@documented(
    "claude mcp add voxcli -- voxcli mcp",
    "voxcli mcp --voice anna --folder ~/speech",
    basics=("folder", "voice", "model", "audio_device", "remote"),
)
@grouped
def mcp(
    context: typer.Context,
    engine: ResidentEngineOptions,
    voice: options.VoiceName = None,
    folder: AgentFolder = None,
    audio_device: options.AudioDevice = None,
    verbose: options.Verbose = False,
) -> None:
    """Let an agent speak: serve the tools of MCP.

    The client starts it, and talks to it over standard input and output until it leaves. The agents of
    this user, and `voxcli say --queue`, wait for each other at the loudspeaker.
    """
    streams = _take_streams()
    console = Console()
    try:
        _check_installed()
        from voxcli.cli.commands.chosen import engine_settings
        from voxcli.cli.commands.voice_choice import choose_voice_for_all

        with logs_on_console(console, verbose=verbose):
            voice, chosen = choose_voice_for_all(context, voice, engine_settings(engine), console)
            _run(chosen, voice, folder, audio_device, streams, console)
    except VoxError as error:
        _answer_first(streams, error)
        raise


def _run(
    engine: "EngineSettings",
    voice: str | None,
    folder: Path | None,
    audio_device: str | None,
    streams: tuple[BinaryIO, BinaryIO],
    console: Console,
) -> None:
    """Serve until the client leaves, or a signal arrives."""
    import asyncio

    from voxcli.cli.commands.chosen import stays_loaded
    from voxcli.cli.commands.serve.service import new_service
    from voxcli.cli.exits import GracefulShutdown
    from voxcli.cli.settings.files import find_user_places
    from voxcli.server.mcp.endpoint import serve_streams
    from voxcli.server.mcp.outputs import Folder
    from voxcli.server.mcp.settings import AgentSettings
    from voxcli.server.settings import ServerSettings

    places, resident = find_user_places(), stays_loaded(engine)
    settings = ServerSettings(
        lazy=True,
        slots=None if resident or engine.remote else 1,
        queue=_MOST_QUEUED,
        wait_seconds=_LONG_SECONDS,
        idle_seconds=_IDLE_SECONDS if resident else None,
        voices=places.voices,
        voice=voice,
    )
    service = new_service(settings, engine)
    agents = AgentSettings(
        turns=places.turns,
        audio_device=audio_device,
        folder=Folder(folder) if folder else None,
        warm=_Warm(engine) if resident else None,
    )
    if os.isatty(streams[0].fileno()):
        console.note("An MCP client starts this program. To add it to Claude Code: claude mcp add voxcli -- voxcli mcp")

    async def serve() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        with GracefulShutdown(lambda: loop.call_soon_threadsafe(stop.set)):
            try:
                await serve_streams(service, agents, streams, stop)
            finally:
                await service.close()

    asyncio.run(serve())


class _Warm:
    """The engine that stays loaded in the background, if it does."""

    def __init__(self, settings: "EngineSettings") -> None:
        self._settings = settings

    def gpu_memory(self) -> "GpuMemory | None":
        from voxcli.engines.resident.connection import NotListening, ask
        from voxcli.synthesis.request import GpuMemory

        with suppress(NotListening, TimeoutError):
            if (entry := self._find()) and (found := ask(entry, "GET", "/private/state").get("gpu")):
                return GpuMemory(**found)
        return None

    def unload(self) -> None:
        from voxcli.engines.resident.running import RunningEngine

        if (entry := self._find()) and not entry.values.get("serves"):
            RunningEngine(entry, None).stop()

    def _find(self) -> "EngineEntry | None":
        from voxcli.cli.commands.warm import engine_registry, find_entry, new_order
        from voxcli.engines.resident.registry import READY

        order = new_order(self._settings)
        entry = find_entry(order, engine_registry()) if order else None
        return entry if entry and entry.state == READY else None


def _take_streams() -> tuple[BinaryIO, BinaryIO]:
    """Take standard input and output for the protocol. What else is printed goes to standard error."""
    taken = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return taken


def _check_installed() -> None:
    for name in ("mcp", "prometheus_client"):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise NotFound(
                f"Tools for agents need {error.name}, which is not installed.",
                on_command_line=f"Run: {install_command('mcp')}",
            ) from error


def _answer_first(streams: tuple[BinaryIO, BinaryIO], error: VoxError) -> None:
    """Answer the first request of a client with an error: many show that, and not what is on standard error."""
    if os.isatty(streams[0].fileno()):
        return
    try:
        request = json.loads(streams[0].readline())
        answer = {"code": _FAILED, "message": error.for_command_line}
        streams[1].write(json.dumps({"jsonrpc": "2.0", "id": request["id"], "error": answer}).encode() + b"\n")
        streams[1].flush()
    except (OSError, ValueError, KeyError, TypeError):
        pass
