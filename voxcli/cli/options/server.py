"""Options for a server that speaks in place of this machine."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from voxcli.cli.options import completion as complete
from voxcli.cli.options import parameters as options
from voxcli.errors import did_you_mean
from voxcli.protocols.names import AUTO, PROTOCOLS, WIRE_FORMATS, Dialect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from voxcli.engines.remote.settings import RemoteSettings
    from voxcli.paths import Places

REMOTE_PANEL = "Remote server"

FindKey: TypeAlias = "Callable[[str], str | None]"
"""Returns the API key of the server at an address."""


def only_here(context: typer.Context, param: typer.CallbackParam, value: object) -> object:
    """Refuse an option for local models where a server speaks."""
    if context.params.get("remote") and options.on_command_line(context, param.name or ""):
        raise typer.BadParameter("Only for models on this machine; it cannot be used with --remote.")
    return value


def only_there(context: typer.Context, param: typer.CallbackParam, value: object) -> object:
    """Refuse an option for servers where none is used."""
    if not context.params.get("remote") and options.on_command_line(context, param.name or ""):
        raise typer.BadParameter("Only for servers: name one with --remote.")
    return value


def _find_servers(context: typer.Context, param: typer.CallbackParam, value: list[str] | None) -> list[str] | None:
    """Replace the names of profiles by their addresses, and let the profile override the other settings.

    This option is eager, so that it is read before all others. A model in the other settings is meant for this
    machine.
    """
    names = [name for name in value or () if name]
    if not names or context.resilient_parsing:
        return None
    if len(names) < len(value or ()):
        raise typer.BadParameter("'' stands for no server, and here others are named too.")
    from voxcli.cli.options.consent import check_consent
    from voxcli.cli.settings.profiles import find_server

    found = [find_server(context, name) for name in names]
    urls = [url for url, _ in found]
    if len(set(urls)) < len(urls):
        raise typer.BadParameter("The same server is given twice.")
    for name, url in zip(names, urls, strict=True):
        check_consent(context, param.name or "", name, url)
    of_profile = _common_settings([settings for _, settings in found])
    defaults = {name: value for name, value in (context.default_map or {}).items() if name != "model"}
    context.default_map = {**defaults, **of_profile}
    return urls


def _common_settings(profiles: "list[Mapping[str, Any]]") -> "Mapping[str, Any]":
    """Return the settings of the profiles of several servers, which apply to all of them.

    Raises:
        typer.BadParameter: they differ.
    """
    for key in {key for profile in profiles for key in profile}:
        if any(profile.get(key) != profiles[0].get(key) for profile in profiles):
            raise typer.BadParameter(
                f"The profiles of these servers differ in {key!r}, and a text may go to any of them. Give all of them "
                "the same, or name the servers by their addresses."
            )
    return profiles[0]


def _check_protocol(context: typer.Context, param: typer.CallbackParam, value: str) -> str:
    known = (AUTO, *PROTOCOLS)
    if value not in known:
        raise typer.BadParameter(
            f"Unknown protocol {value!r}.{did_you_mean(value, known)} Choose from: {', '.join(known)}."
        )
    only_there(context, param, value)
    return value


def _check_wire_format(context: typer.Context, param: typer.CallbackParam, value: str | None) -> str | None:
    if value is not None and value not in WIRE_FORMATS:
        raise typer.BadParameter(
            f"Unknown format {value!r}.{did_you_mean(value, WIRE_FORMATS)} Choose from: {', '.join(WIRE_FORMATS)}."
        )
    only_there(context, param, value)
    return value


Remote = Annotated[
    list[str] | None,
    options.setting(
        "--remote",
        metavar="SERVER",
        help="Server to use: its address or profile; '' for none. Repeatable.",
        autocompletion=complete.remotes,
        is_eager=True,
        callback=_find_servers,
        rich_help_panel=REMOTE_PANEL,
    ),
]
Protocol = Annotated[
    str,
    options.setting(
        "--protocol",
        metavar="NAME",
        help="Protocol of the server: auto, voxcpm, openai, gpt-sovits or realtime.",
        autocompletion=complete.protocols,
        callback=_check_protocol,
        rich_help_panel=REMOTE_PANEL,
    ),
]
Timeout = Annotated[
    float,
    options.setting(
        "--timeout",
        min=0.1,
        metavar="SECONDS",
        help="How long to wait for data.",
        callback=only_there,
        rich_help_panel=REMOTE_PANEL,
    ),
]
ApiKeyFile = Annotated[
    Path | None,
    options.setting(
        "--api-key-file",
        metavar="FILE",
        help="File with the API key. Default: the key saved with `voxcli keys`.",
        callback=only_there,
        rich_help_panel=REMOTE_PANEL,
    ),
]
StreamingMode = Annotated[
    int | None,
    options.setting(
        "--streaming-mode",
        min=0,
        max=3,
        help="GPT-SoVITS only: 0 does not stream, 3 has the lowest latency.",
        callback=only_there,
        rich_help_panel=REMOTE_PANEL,
    ),
]
WireFormat = Annotated[
    str | None,
    options.setting(
        "--wire-format",
        metavar="FORMAT",
        help="Audio format on the wire: wav, flac, mp3, opus, aac or pcm. Default: the one with the lowest latency.",
        autocompletion=complete.formats,
        callback=_check_wire_format,
        rich_help_panel=REMOTE_PANEL,
    ),
]
NoStream = Annotated[
    bool,
    typer.Option(
        "--no-stream",
        help="Do not stream: request each sentence as a complete file.",
        callback=only_there,
        rich_help_panel=REMOTE_PANEL,
    ),
]
Extra = Annotated[
    list[str] | None,
    typer.Option(
        "--extra",
        metavar="KEY=VALUE",
        help="Extra field of the request. Repeatable.",
        callback=only_there,
        rich_help_panel=REMOTE_PANEL,
    ),
]
RefText = Annotated[
    str | None,
    typer.Option(
        "--ref-text", metavar="TEXT", help="Transcript of --ref-audio, for GPT-SoVITS.", rich_help_panel=REMOTE_PANEL
    ),
]
RefLanguage = Annotated[
    str | None,
    typer.Option(
        "--ref-lang", metavar="LANGUAGE", help="Language of --ref-text, for GPT-SoVITS.", rich_help_panel=REMOTE_PANEL
    ),
]


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """A server, and how to connect to it."""

    remote: Remote = None
    """Its address, once the option has been read; several for commands that speak."""
    protocol: Protocol = AUTO
    timeout: Timeout = 300.0
    api_key_file: ApiKeyFile = None

    def to_connection(self, places: "Places", find_key: FindKey) -> "RemoteSettings":
        """Return how to connect to the server."""
        if not self.remote:
            raise typer.BadParameter("Name a server with --remote.", param_hint="--remote")
        if len(self.remote) > 1:
            raise typer.BadParameter("Name one server: this command asks only one.", param_hint="--remote")
        return self._connection(self.remote[0], places, find_key)

    def _connection(self, url: str, places: "Places", find_key: FindKey) -> "RemoteSettings":
        from voxcli.engines.remote.settings import RemoteSettings

        return RemoteSettings(
            url=url,
            dialect=None if self.protocol == AUTO else Dialect(self.protocol),
            key=find_key(url),
            read_seconds=self.timeout,
            cache=places.cache,
        )


@dataclass(frozen=True, slots=True)
class RemoteOptions(ServerOptions):
    """A server that speaks, and how requests are made."""

    streaming_mode: StreamingMode = None
    wire_format: WireFormat = None
    no_stream: NoStream = False
    extra: Extra = None

    def to_remote(self, places: "Places", find_key: FindKey, model: str | None) -> "RemoteSettings | None":
        """Return how to connect to the server or servers, and how to make requests; None if there is none.

        Args:
            model: its name on the server.
        """
        if not self.remote:
            return None
        from voxcli.audio.format import AudioFormat
        from voxcli.protocols.dialect import ClientOptions

        if self.no_stream and self.streaming_mode:
            raise typer.BadParameter("--no-stream contradicts --streaming-mode.", param_hint="--no-stream")
        options = ClientOptions(
            model=model,
            format=AudioFormat(self.wire_format) if self.wire_format else None,
            stream=not self.no_stream,
            mode=self.streaming_mode,
            extra=_parse_extra(self.extra or []),
        )
        first, *others = (replace(self._connection(url, places, find_key), options=options) for url in self.remote)
        return replace(first, others=tuple(others))


def _parse_extra(given: list[str]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for pair in given:
        name, is_there, value = pair.partition("=")
        if not (name and is_there):
            raise typer.BadParameter(f"{pair!r} is not KEY=VALUE.", param_hint="--extra")
        if name in fields:
            raise typer.BadParameter(f"{name!r} is given twice.", param_hint="--extra")
        fields[name] = value
    return fields
