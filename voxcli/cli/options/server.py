"""The options that let a server speak in place of this machine."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voxcli.cli.options import common as options
from voxcli.cli.options import completion as complete
from voxcli.errors import did_you_mean
from voxcli.protocols.names import AUTO, PROTOCOLS, WIRE_FORMATS, Dialect

if TYPE_CHECKING:
    from voxcli.engines.remote.settings import RemoteSettings
    from voxcli.paths import Places

_PANEL = "On another machine"


def only_here(context: typer.Context, param: typer.CallbackParam, value: object) -> object:
    """Refuse an option that is about this machine where a server speaks."""
    if context.params.get("remote") and options.on_command_line(context, param.name or ""):
        raise typer.BadParameter("This is about a model on this machine, and a server is to speak. Leave it out.")
    return value


def only_there(context: typer.Context, param: typer.CallbackParam, value: object) -> object:
    """Refuse an option that is about a server where none speaks."""
    if not context.params.get("remote") and options.on_command_line(context, param.name or ""):
        raise typer.BadParameter("This is about a server, and none is named. Name it with --remote.")
    return value


def _find_server(context: typer.Context, param: typer.CallbackParam, value: str | None) -> str | None:
    """Put the address in the place of a name, and let the settings of its profile count more than the others.

    This option is the first to be read, so all others see what it does. A model in the other settings is one of this
    machine.
    """
    from voxcli.cli.settings.profiles import find_server

    if not value or context.resilient_parsing:
        return None
    url, of_profile = find_server(context, value)
    defaults = {name: value for name, value in (context.default_map or {}).items() if name != "model"}
    context.default_map = {**defaults, **of_profile}
    return url


def _check_protocol(context: typer.Context, param: typer.CallbackParam, value: str) -> str:
    known = (AUTO, *PROTOCOLS)
    if value not in known:
        raise typer.BadParameter(
            f"There is no protocol {value!r}.{did_you_mean(value, known)} There are: {', '.join(known)}."
        )
    only_there(context, param, value)
    return value


def _check_wire_format(context: typer.Context, param: typer.CallbackParam, value: str | None) -> str | None:
    if value is not None and value not in WIRE_FORMATS:
        raise typer.BadParameter(
            f"There is no format {value!r}.{did_you_mean(value, WIRE_FORMATS)} There are: {', '.join(WIRE_FORMATS)}."
        )
    only_there(context, param, value)
    return value


Remote = Annotated[
    str | None,
    options.setting(
        "--remote",
        metavar="SERVER",
        help="Let a server speak: its address, or its name in the settings; '' for none.",
        autocompletion=complete.remotes,
        is_eager=True,
        callback=_find_server,
        rich_help_panel=_PANEL,
    ),
]
Protocol = Annotated[
    str,
    options.setting(
        "--protocol",
        help="auto, voxcpm, openai or gpt-sovits.",
        autocompletion=complete.protocols,
        callback=_check_protocol,
        rich_help_panel=_PANEL,
    ),
]
Timeout = Annotated[
    float,
    options.setting(
        "--timeout",
        min=0.1,
        metavar="SECONDS",
        help="How long it may be silent.",
        callback=only_there,
        rich_help_panel=_PANEL,
    ),
]
ApiKeyFile = Annotated[
    Path | None,
    options.setting(
        "--api-key-file",
        metavar="FILE",
        help="The file with its key. Default: as kept by `voxcli keys`.",
        callback=only_there,
        rich_help_panel=_PANEL,
    ),
]
StreamingMode = Annotated[
    int | None,
    options.setting(
        "--streaming-mode",
        min=0,
        max=3,
        help="Of GPT-SoVITS: 0 sends it whole, 3 the soonest.",
        callback=only_there,
        rich_help_panel=_PANEL,
    ),
]
WireFormat = Annotated[
    str | None,
    options.setting(
        "--wire-format",
        metavar="FORMAT",
        help="How sound travels: wav, flac, mp3, opus, aac or pcm. Default: what arrives soonest.",
        autocompletion=complete.formats,
        callback=_check_wire_format,
        rich_help_panel=_PANEL,
    ),
]
NoStream = Annotated[
    bool,
    typer.Option("--no-stream", help="Ask for each sentence as a whole.", callback=only_there, rich_help_panel=_PANEL),
]
Extra = Annotated[
    list[str] | None,
    typer.Option(
        "--extra",
        metavar="KEY=VALUE",
        help="A field that goes to the server as it is. May be repeated.",
        callback=only_there,
        rich_help_panel=_PANEL,
    ),
]
RefText = Annotated[
    str | None,
    typer.Option(
        "--ref-text", metavar="TEXT", help="The words of --ref-audio, for GPT-SoVITS.", rich_help_panel=_PANEL
    ),
]
RefLanguage = Annotated[
    str | None,
    typer.Option("--ref-lang", metavar="LANGUAGE", help="In which they are spoken.", rich_help_panel=_PANEL),
]


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Which server, and how it is reached."""

    remote: Remote = None
    """Once read, its address."""
    protocol: Protocol = AUTO
    timeout: Timeout = 300.0
    api_key_file: ApiKeyFile = None

    def to_connection(self, places: "Places", key: str | None) -> "RemoteSettings":
        """Return how the server is reached."""
        from voxcli.engines.remote.settings import RemoteSettings

        if self.remote is None:
            raise typer.BadParameter("Name a server.", param_hint="--remote")
        return RemoteSettings(
            url=self.remote,
            dialect=None if self.protocol == AUTO else Dialect(self.protocol),
            key=key,
            read_seconds=self.timeout,
            cache=places.cache,
        )


@dataclass(frozen=True, slots=True)
class RemoteOptions(ServerOptions):
    """Which server speaks, and how it is asked."""

    streaming_mode: StreamingMode = None
    wire_format: WireFormat = None
    no_stream: NoStream = False
    extra: Extra = None

    def to_remote(self, places: "Places", key: str | None, model: str | None) -> "RemoteSettings":
        """Return how the server is reached, and what is asked of it.

        Args:
            model: its name on the server.
        """
        from voxcli.audio.format import AudioFormat
        from voxcli.protocols.dialect import ClientOptions

        if self.no_stream and self.streaming_mode:
            raise typer.BadParameter("It contradicts --streaming-mode.", param_hint="--no-stream")
        options = ClientOptions(
            model=model,
            format=AudioFormat(self.wire_format) if self.wire_format else None,
            stream=not self.no_stream,
            mode=self.streaming_mode,
            extra=_parse_extra(self.extra or []),
        )
        return replace(self.to_connection(places, key), options=options)


def _parse_extra(given: list[str]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for pair in given:
        name, is_there, value = pair.partition("=")
        if not (name and is_there):
            raise typer.BadParameter(f"{pair!r} is no KEY=VALUE.", param_hint="--extra")
        if name in fields:
            raise typer.BadParameter(f"{name!r} is given twice.", param_hint="--extra")
        fields[name] = value
    return fields
