"""The options that let a server speak in place of this machine."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import typer

from voxcli.cli.options import common as options
from voxcli.cli.options import completion as complete
from voxcli.errors import did_you_mean
from voxcli.protocols.names import AUTO, PROTOCOLS, WIRE_FORMATS, Dialect

if TYPE_CHECKING:
    from voxcli.engines.remote.settings import RemoteSettings

_PANEL = "On another machine"
_KEY_VARIABLE = "VOXCLI_API_KEY"


def only_here(context: typer.Context, param: typer.CallbackParam, value: object) -> object:
    """Refuse an option that is about this machine where a server speaks."""
    if context.params.get("remote") and _was_typed(context, param):
        raise typer.BadParameter("This is about a model on this machine, and a server is to speak. Leave it out.")
    return value


def only_there(context: typer.Context, param: typer.CallbackParam, value: object) -> object:
    """Refuse an option that is about a server where none speaks."""
    if not context.params.get("remote") and _was_typed(context, param):
        raise typer.BadParameter("This is about a server, and none is named. Name it with --remote.")
    return value


def _was_typed(context: typer.Context, param: typer.CallbackParam) -> bool:
    source = context.get_parameter_source(param.name or "")
    return source is not None and source.name == "COMMANDLINE"


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

    def key(self) -> str | None:
        """Return the key that opens the server: from the file named here, the environment, or `voxcli keys`."""
        from voxcli.cli.settings.api_keys import find_key, keys_path, read_key, read_keys

        if self.api_key_file:
            return read_key(self.api_key_file)
        if key := os.environ.get(_KEY_VARIABLE, "").strip():
            return key
        return find_key(read_keys(keys_path()), self.remote) if self.remote else None

    def connection(self) -> "RemoteSettings":
        """Return what is known of the server that is named."""
        from voxcli.cli.settings.files import find_user_places
        from voxcli.engines.remote.settings import RemoteSettings

        if self.remote is None:
            raise typer.BadParameter("Name a server.", param_hint="--remote")
        return RemoteSettings(
            url=self.remote,
            dialect=None if self.protocol == AUTO else Dialect(self.protocol),
            key=self.key(),
            read_seconds=self.timeout,
            cache=find_user_places().cache,
        )


@dataclass(frozen=True, slots=True)
class RemoteOptions(ServerOptions):
    """Which server speaks, and how it is asked."""

    streaming_mode: StreamingMode = None
    wire_format: WireFormat = None
    no_stream: NoStream = False
    extra: Extra = None

    def with_fields(self, fields: Mapping[str, str]) -> Self:
        """Return the same with more of what --extra takes."""
        return replace(self, extra=[*(self.extra or []), *(f"{name}={value}" for name, value in fields.items())])

    def reads_clips(self) -> bool:
        """Tell whether a server speaks that reads recordings from its own disk. If need be, it is asked what it is."""
        from contextlib import closing

        from voxcli.engines.remote.engine import RemoteEngine

        if self.remote is None or self.protocol != AUTO:
            return self.remote is not None and self.protocol == Dialect.GPT_SOVITS
        with closing(RemoteEngine(self.connection())) as engine:
            return engine.server.dialect is Dialect.GPT_SOVITS

    def server(self, model: str | None = None) -> "RemoteSettings":
        """Return what the user asked of the server that is named.

        Args:
            model: as the server calls it.
        """
        from voxcli.audio.format import AudioFormat
        from voxcli.protocols.dialect import Wishes

        if self.no_stream and self.streaming_mode:
            raise typer.BadParameter("It contradicts --streaming-mode.", param_hint="--no-stream")
        wishes = Wishes(
            model=model,
            format=AudioFormat(self.wire_format) if self.wire_format else None,
            stream=not self.no_stream,
            mode=self.streaming_mode,
            extra=_parse_extra(self.extra or []),
        )
        return replace(self.connection(), wishes=wishes)


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
