"""`voxcli serve`: an HTTP server with the protocols of VoxCPM, OpenAI and GPT-SoVITS."""

import importlib
import ipaddress
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voxcli.cli.console import Console, logs_on_console
from voxcli.cli.options import parameters as options
from voxcli.cli.options.engine import EngineOptions
from voxcli.cli.options.groups import grouped
from voxcli.cli.options.server import REMOTE_PANEL, RefLanguage, RefText, only_there
from voxcli.cli.parser.help import documented
from voxcli.errors import NotFound

if TYPE_CHECKING:
    from voxcli.server.settings import ServerSettings

_ACCESS = "Access control"
_LIMITS = "Limits"

Address = Annotated[
    str, typer.Option("--host", metavar="ADDRESS", help="Address to listen on; 0.0.0.0 for all interfaces.")
]
Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 for any free one.")]
RemoteKeyFile = Annotated[
    Path | None,
    typer.Option(
        "--remote-key-file",
        envvar="VOXCLI_API_KEY_FILE",
        show_envvar=False,
        metavar="FILE",
        help="File with the API key of --remote. Default: the key saved with `voxcli keys`.",
        callback=only_there,
        rich_help_panel=REMOTE_PANEL,
    ),
]
RefAudio = Annotated[
    str | None,
    typer.Option(
        "--ref-audio",
        metavar="PATH",
        help="Recording to imitate, as a path on the GPT-SoVITS server.",
        callback=only_there,
        rich_help_panel=REMOTE_PANEL,
    ),
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--api-key-file",
        metavar="FILE",
        help="File with the API keys to accept, one per line.",
        rich_help_panel=_ACCESS,
    ),
]
Insecure = Annotated[
    bool,
    typer.Option("--insecure", help="Accept requests without an API key from any address.", rich_help_panel=_ACCESS),
]
Origins = Annotated[
    list[str] | None,
    typer.Option(
        "--cors",
        metavar="ORIGIN",
        help="Origin whose pages may use the server, such as https://example.org. Repeatable.",
        rich_help_panel=_ACCESS,
    ),
]
HostNames = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-host",
        metavar="NAME",
        help="Host name to accept, besides IP addresses and the machine's own name. Repeatable.",
        rich_help_panel=_ACCESS,
    ),
]
Slots = Annotated[
    int | None,
    typer.Option(
        "--slots",
        min=1,
        max=1024,
        help="Streams at once. Default: as many as the model can run.",
        rich_help_panel=_LIMITS,
    ),
]
Queue = Annotated[
    int | None,
    typer.Option(
        "--queue",
        min=0,
        max=100_000,
        help="Requests that may wait for a slot. Default: as many as get one within a minute.",
        rich_help_panel=_LIMITS,
    ),
]
MostCharacters = Annotated[
    int,
    typer.Option("--max-characters", min=1, max=1_000_000, help="Longest text of a request.", rich_help_panel=_LIMITS),
]
Lazy = Annotated[bool, typer.Option("--lazy", help="Load the model on the first request.", rich_help_panel=_LIMITS)]
IdleSeconds = Annotated[
    float | None,
    typer.Option(
        "--idle-seconds",
        min=0.0,
        metavar="SECONDS",
        help="Unload the model after this long without requests. Default: never.",
        rich_help_panel=_LIMITS,
    ),
]
StrictModels = Annotated[
    bool,
    typer.Option("--strict-models", help="Reject requests that name another model."),
]


@dataclass(frozen=True, slots=True)
class ServedOptions(EngineOptions):
    """The model to serve. Here, --api-key-file holds the keys of clients."""

    api_key_file: RemoteKeyFile = None
    ref_audio: RefAudio = None
    ref_text: RefText = None
    ref_lang: RefLanguage = None


@dataclass(frozen=True, slots=True)
class ListenOptions:
    """The address to listen on, and access control."""

    host: Address = "127.0.0.1"
    port: Port = 7861
    key_file: KeyFile = None
    insecure: Insecure = False
    cors: Origins = None
    allow_host: HostNames = None


@dataclass(frozen=True, slots=True)
class LimitOptions:
    """Limits on requests, and when the model is loaded."""

    slots: Slots = None
    queue: Queue = None
    max_characters: MostCharacters = 4096
    lazy: Lazy = False
    idle_seconds: IdleSeconds = None
    strict_models: StrictModels = False


@documented(
    "voxcli serve",
    "voxcli serve --model voxcpm-1.5 --host 0.0.0.0 --api-key-file keys",
    "voxcli serve --remote http://other:9880",
    basics=(
        *("host", "port", "key_file", "insecure", "model", "device", "quantize", "remote", "slots", "queue", "lazy"),
        *("idle_seconds", "cors", "quiet"),
    ),
)
@grouped
def serve(
    listen: ListenOptions,
    limits: LimitOptions,
    engine: ServedOptions,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Serve speech over HTTP. The APIs are those of VoxCPM, OpenAI and GPT-SoVITS.

    With --remote it is a gateway to another server, whatever its protocol.

    The first Ctrl-C or SIGTERM lets running streams finish. The second one exits immediately.
    """
    console = Console(quiet=quiet)
    keys = _read_keys(listen.key_file, console) if listen.key_file else frozenset()
    if not keys and not listen.insecure and not _is_loopback(listen.host):
        raise typer.BadParameter(
            f"On {listen.host}, anyone in the network could use the server. Require API keys with --api-key-file FILE "
            "(one key per line), or allow open access with --insecure.",
            param_hint="--host",
        )
    _check_installed()
    from voxcli.cli.commands.chosen import engine_settings, with_default_clip
    from voxcli.cli.commands.serve.run import run

    with logs_on_console(console, verbose=verbose):
        chosen = with_default_clip(engine_settings(engine), engine.ref_audio, engine.ref_text, engine.ref_lang)
        run(_settings(listen, limits, keys), chosen, console)


def _settings(listen: ListenOptions, limits: LimitOptions, keys: frozenset[str]) -> "ServerSettings":
    from voxcli.cli.settings.files import find_user_places
    from voxcli.server.settings import ServerSettings

    return ServerSettings(
        host=listen.host,
        port=listen.port,
        keys=keys,
        allowed_hosts=tuple(listen.allow_host or ()),
        cors_origins=tuple(listen.cors or ()),
        slots=limits.slots,
        queue=limits.queue,
        max_characters=limits.max_characters,
        strict_models=limits.strict_models,
        lazy=limits.lazy,
        idle_seconds=limits.idle_seconds,
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
        raise typer.BadParameter(f"{path} contains no key. Write one per line.", param_hint="--api-key-file")
    if sys.platform != "win32" and mode & (stat.S_IRGRP | stat.S_IROTH):
        console.warning(f"Other users can read the keys in {path}. Run: chmod 600 {path}")
    return keys


def _check_installed() -> None:
    for name in ("fastapi", "uvicorn", "python_multipart", "prometheus_client"):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise NotFound(
                f'The server needs {name}, which is not installed. Run: pip install "voxcli[serve]"'
            ) from error
