"""Options of `voxcli serve`."""

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from voxcli.cli.options import completion as complete
from voxcli.cli.options import parameters as options
from voxcli.cli.options.engine import EngineOptions
from voxcli.cli.options.server import REMOTE_PANEL, RefLanguage, RefText, only_there

_ACCESS = "Access control"
_PROXIES = "Behind a proxy"
_LIMITS = "Limits"
_AGENTS = "Agents (MCP)"

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
Opens = Annotated[bool, typer.Option("--open", help="Open the page of the server in a browser.")]
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


def _are_networks(values: list[str] | None) -> list[str]:
    """Read addresses and networks, which may also be given in one value with commas."""
    names = [name.strip() for value in values or () for name in value.split(",") if name.strip()]
    for name in names:
        if name != "*":
            try:
                ipaddress.ip_network(name, strict=False)
            except ValueError:
                raise typer.BadParameter(f"{name!r} is no IP address or network, such as 10.0.0.0/8.") from None
    return names


def _is_path(value: str) -> str:
    if value and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+/?", value):
        raise typer.BadParameter(f"{value!r} is no path such as /speech, of letters, digits and '-', '.', '_', '~'.")
    return value


TrustedProxies = Annotated[
    list[str] | None,
    typer.Option(
        "--trust-proxy",
        metavar="ADDRESS",
        help="Proxy whose X-Forwarded-For and X-Forwarded-Prefix are believed: an address, a network, or * for any. "
        "Repeatable.",
        callback=_are_networks,
        rich_help_panel=_PROXIES,
    ),
]
RootPath = Annotated[
    str,
    typer.Option(
        "--root-path",
        metavar="PATH",
        help="Path below which a proxy offers the server, such as /speech.",
        callback=_is_path,
        show_default=False,
        rich_help_panel=_PROXIES,
    ),
]
VoiceForAll = Annotated[
    str | None,
    options.setting(
        "--voice",
        "-v",
        help="Voice for requests that name none: see `voxcli voices`. Default: the model's own default voice.",
        autocompletion=complete.voices,
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


def _limit_in_seconds(flag: str, least: float, help: str) -> Any:
    return typer.Option(flag, min=least, metavar="SECONDS", help=help, rich_help_panel=_LIMITS)


ReceiveSeconds = Annotated[
    float,
    _limit_in_seconds(
        "--receive-seconds", 0.1, "Time for a client to send the headers of a request, and each part of its body."
    ),
]
PauseSeconds = Annotated[
    float, _limit_in_seconds("--pause-seconds", 1.0, "Longest pause of a client that is receiving speech.")
]
SpoolMegabytes = Annotated[
    int,
    typer.Option(
        "--spool-mb",
        min=0,
        metavar="MIB",
        help="Speech for slow clients that may wait in a temporary file.",
        rich_help_panel=_LIMITS,
    ),
]
SocketSeconds = Annotated[
    float, _limit_in_seconds("--socket-seconds", 1.0, "Longest pause between two texts on a WebSocket.")
]
WriterSeconds = Annotated[
    float,
    _limit_in_seconds("--writer-seconds", 1.0, "Longest pause in a text that is spoken while a client writes it."),
]
MostSockets = Annotated[
    int,
    typer.Option("--max-sockets", min=0, max=100_000, help="WebSockets that may be open.", rich_help_panel=_LIMITS),
]
MostWritten = Annotated[
    int,
    typer.Option(
        "--max-written",
        min=1,
        max=10_000_000,
        metavar="CHARACTERS",
        help="Longest text that is spoken while a client writes it.",
        rich_help_panel=_LIMITS,
    ),
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


PlaysForAgents = Annotated[
    bool | None,
    typer.Option(
        "--mcp-speak/--no-mcp-speak",
        help="Let agents at /mcp speak through the loudspeaker of this machine. Default: if only this machine can "
        "reach the server.",
        show_default=False,
        rich_help_panel=_AGENTS,
    ),
]
FolderForAgents = Annotated[
    Path | None,
    typer.Option(
        "--mcp-folder",
        metavar="DIR",
        exists=True,
        file_okay=False,
        help="Folder below which agents at /mcp may write sound files and read recordings. Default: none.",
        rich_help_panel=_AGENTS,
    ),
]


@dataclass(frozen=True, slots=True)
class AgentOptions:
    """What agents at /mcp may do."""

    mcp_speak: PlaysForAgents = None
    mcp_folder: FolderForAgents = None


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
    open: Opens = False
    key_file: KeyFile = None
    insecure: Insecure = False
    cors: Origins = None
    allow_host: HostNames = None


@dataclass(frozen=True, slots=True)
class ProxyOptions:
    """Proxies between clients and the server."""

    trust_proxy: TrustedProxies = None
    root_path: RootPath = ""


@dataclass(frozen=True, slots=True)
class LimitOptions:
    """Limits on requests, and when the model is loaded."""

    slots: Slots = None
    queue: Queue = None
    receive_seconds: ReceiveSeconds = 30.0
    pause_seconds: PauseSeconds = 600.0
    spool_mb: SpoolMegabytes = 2048
    max_characters: MostCharacters = 4096
    socket_seconds: SocketSeconds = 300.0
    writer_seconds: WriterSeconds = 60.0
    max_sockets: MostSockets = 512
    max_written: MostWritten = 100_000
    lazy: Lazy = False
    idle_seconds: IdleSeconds = None
    strict_models: StrictModels = False
