"""`voxcli serve`: what speaks on the command line speaks over HTTP, in three dialects."""

import importlib
import ipaddress
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voxcli.cli.console import Console, logs_on_console
from voxcli.cli.options import common as options
from voxcli.cli.options.engine import EngineOptions
from voxcli.cli.options.groups import grouped
from voxcli.cli.options.server import RefLanguage, RefText, only_there
from voxcli.errors import NotFound

if TYPE_CHECKING:
    from voxcli.server.settings import ServerSettings

EXAMPLES = """Examples:

voxcli serve

voxcli serve --model voxcpm-1.5 --host 0.0.0.0 --api-key-file keys

voxcli serve --remote http://other:9880 --ref-audio /on/the/server/ref.wav --ref-text "Its words." --ref-lang en"""

_DOOR = "Who may come in"
_LOAD = "How much at once"

Address = Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Where to listen. 0.0.0.0 is everywhere.")]
Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes one that is free.")]
RemoteKeyFile = Annotated[
    Path | None,
    typer.Option(
        "--remote-key-file",
        envvar="VOXCLI_API_KEY_FILE",
        show_envvar=False,
        metavar="FILE",
        help="The file with the key of --remote. Default: as kept by `voxcli keys`.",
        callback=only_there,
        rich_help_panel="On another machine",
    ),
]
RefAudio = Annotated[
    str | None,
    typer.Option(
        "--ref-audio",
        metavar="PATH",
        help="A recording on a server of GPT-SoVITS, which it speaks like.",
        callback=only_there,
        rich_help_panel="On another machine",
    ),
]
KeyFile = Annotated[
    Path | None,
    typer.Option("--api-key-file", metavar="FILE", help="Keys that open it, one on each line.", rich_help_panel=_DOOR),
]
Insecure = Annotated[
    bool, typer.Option("--insecure", help="Let anybody in who can reach it, without a key.", rich_help_panel=_DOOR)
]
Origins = Annotated[
    list[str] | None,
    typer.Option(
        "--cors",
        metavar="ORIGIN",
        help="Let the pages of a site use it, such as https://example.org. May be repeated.",
        rich_help_panel=_DOOR,
    ),
]
HostNames = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-host",
        metavar="NAME",
        help="Answer to this name too, beside numeric addresses and the machine's own name. May be repeated.",
        rich_help_panel=_DOOR,
    ),
]
Slots = Annotated[
    int | None,
    typer.Option(
        "--slots", min=1, max=1024, help="Streams at once. Default: what the model runs.", rich_help_panel=_LOAD
    ),
]
Queue = Annotated[
    int, typer.Option("--queue", min=0, max=100_000, help="Requests that may wait for a slot.", rich_help_panel=_LOAD)
]
MostCharacters = Annotated[
    int, typer.Option("--max-characters", min=1, max=1_000_000, help="Of one text.", rich_help_panel=_LOAD)
]
Lazy = Annotated[bool, typer.Option("--lazy", help="Load the model when it is first needed.", rich_help_panel=_LOAD)]
IdleSeconds = Annotated[
    float | None,
    typer.Option(
        "--idle-seconds",
        min=0.0,
        metavar="SECONDS",
        help="Unload the model after so long without work. Default: never.",
        rich_help_panel=_LOAD,
    ),
]
StrictModels = Annotated[
    bool,
    typer.Option("--strict-models", help="Refuse the names of models that are not loaded."),
]


@dataclass(frozen=True, slots=True)
class ServedOptions(EngineOptions):
    """Which model is served. Here --api-key-file is about who may come in."""

    api_key_file: RemoteKeyFile = None
    ref_audio: RefAudio = None
    ref_text: RefText = None
    ref_lang: RefLanguage = None


@dataclass(frozen=True, slots=True)
class ListenOptions:
    """Where the server listens, and who may come in."""

    host: Address = "127.0.0.1"
    port: Port = 7861
    key_file: KeyFile = None
    insecure: Insecure = False
    cors: Origins = None
    allow_host: HostNames = None


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How much is done at once, and how long the model stays."""

    slots: Slots = None
    queue: Queue = 16
    max_characters: MostCharacters = 4096
    lazy: Lazy = False
    idle_seconds: IdleSeconds = None
    strict_models: StrictModels = False


@grouped
def serve(
    listen: ListenOptions,
    load: LoadOptions,
    engine: ServedOptions,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Speak over HTTP, in the dialects of VoxCPM, OpenAI and GPT-SoVITS.

    With --remote it is a gateway, whatever is spoken behind it.

    The first Ctrl-C, or SIGTERM, lets the streams that run come to their end. The second one ends at once.
    """
    console = Console(quiet=quiet)
    keys = _read_keys(listen.key_file, console) if listen.key_file else frozenset()
    if not keys and not listen.insecure and not _is_loopback(listen.host):
        raise typer.BadParameter(
            f"At {listen.host}, anybody in the network could use it. Put keys into a file, one on each line, and name "
            "it with --api-key-file; or let everybody in with --insecure.",
            param_hint="--host",
        )
    _check_installed()
    from voxcli.cli.commands.chosen import engine_settings, with_default_clip
    from voxcli.cli.commands.serve.run import run

    with logs_on_console(console, verbose=verbose):
        chosen = with_default_clip(engine_settings(engine), engine.ref_audio, engine.ref_text, engine.ref_lang)
        run(_settings(listen, load, keys), chosen, console)


def _settings(listen: ListenOptions, load: LoadOptions, keys: frozenset[str]) -> "ServerSettings":
    from voxcli.cli.settings.files import find_user_places
    from voxcli.server.settings import ServerSettings

    return ServerSettings(
        host=listen.host,
        port=listen.port,
        keys=keys,
        allowed_hosts=tuple(listen.allow_host or ()),
        cors_origins=tuple(listen.cors or ()),
        slots=load.slots,
        queue=load.queue,
        max_characters=load.max_characters,
        strict_models=load.strict_models,
        lazy=load.lazy,
        idle_seconds=load.idle_seconds,
        voices=find_user_places().voices,
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _read_keys(path: Path, console: Console) -> frozenset[str]:
    try:
        text, mode = path.read_text("utf-8"), path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{path} cannot be read: {error}", param_hint="--api-key-file") from error
    lines = (line.strip() for line in text.splitlines())
    keys = frozenset(line for line in lines if line and not line.startswith("#"))
    if not keys:
        raise typer.BadParameter(f"{path} holds no key. Write one on each line.", param_hint="--api-key-file")
    if sys.platform != "win32" and mode & (stat.S_IRGRP | stat.S_IROTH):
        console.warning(f"Others on this machine can read the keys. Run: chmod 600 {path}")
    return keys


def _check_installed() -> None:
    for name in ("fastapi", "uvicorn", "python_multipart", "prometheus_client"):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise NotFound(
                f'The server needs {name}, which is not installed. Run: pip install "voxcli[serve]"'
            ) from error
