"""Options of `voxcli serve` for what it offers besides speech over HTTP: chat and Wyoming."""

import ipaddress
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from voxcli.errors import RequestError

if TYPE_CHECKING:
    from voxcli.server.settings import LanguageModelSettings

_CHAT, _WYOMING = "Chat", "Home Assistant"
_WYOMING_PORT = 10200
"""By convention, for speech."""


def _read_address(value: str | None) -> str | None:
    """Return the base URL of an API like OpenAI's. A server that is named alone has it at /v1."""
    if value is None:
        return None
    from voxcli.engines.remote.settings import normalized_url

    try:
        url = normalized_url(value)
    except RequestError as error:
        raise typer.BadParameter(error.for_command_line) from error
    return url if urlsplit(url).path else f"{url}/v1"


def _only_with_llm(context: typer.Context, param: typer.CallbackParam, value: object) -> object:
    from voxcli.cli.options.parameters import on_command_line

    if not context.params.get("llm") and on_command_line(context, param.name or ""):
        raise typer.BadParameter("Only for a language model: name its address with --llm.")
    return value


LanguageModelUrl = Annotated[
    str | None,
    typer.Option(
        "--llm",
        metavar="URL",
        help="Language model to chat with at /api/chat, such as http://localhost:11434/v1.",
        is_eager=True,
        callback=_read_address,
        rich_help_panel=_CHAT,
    ),
]
LanguageModelName = Annotated[
    str | None,
    typer.Option(
        "--llm-model",
        metavar="NAME",
        help="Name of the model there. Default: the first one that it lists.",
        callback=_only_with_llm,
        rich_help_panel=_CHAT,
    ),
]
Prompt = Annotated[
    str | None,
    typer.Option(
        "--llm-prompt",
        metavar="TEXT",
        help="What the model is told before each chat, '' for nothing. Default: to write as people talk.",
        callback=_only_with_llm,
        rich_help_panel=_CHAT,
    ),
]
SilentSeconds = Annotated[
    float,
    typer.Option(
        "--llm-timeout",
        min=0.1,
        metavar="SECONDS",
        help="How long the model may write nothing.",
        callback=_only_with_llm,
        rich_help_panel=_CHAT,
    ),
]


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """The language model that answers in a chat."""

    llm: LanguageModelUrl = None
    llm_model: LanguageModelName = None
    llm_prompt: Prompt = None
    llm_timeout: SilentSeconds = 120.0

    def to_settings(self) -> "LanguageModelSettings | None":
        """Return the model with this user's key for it; None if there is none."""
        if self.llm is None:
            return None
        from voxcli.cli.settings.api_keys import find_key, keys_path, read_keys
        from voxcli.server.settings import SPEAKING_PROMPT, LanguageModelSettings

        return LanguageModelSettings(
            url=self.llm,
            model=self.llm_model,
            key=find_key(read_keys(keys_path()), self.llm),
            prompt=SPEAKING_PROMPT if self.llm_prompt is None else self.llm_prompt,
            seconds=self.llm_timeout,
        )


@dataclass(frozen=True, slots=True)
class WyomingAddress:
    """Where Wyoming is spoken: at a host and a port, or at a Unix socket."""

    host: str = "127.0.0.1"
    port: int = _WYOMING_PORT
    path: Path | None = None

    def at(self, sock: socket.socket) -> str:
        """Return the URL of an open socket, with the port that it got."""
        if self.path:
            return f"unix://{self.path}"
        host, port = (f"[{self.host}]" if ":" in self.host else self.host), sock.getsockname()[1]
        return f"tcp://{host}:{port}"

    @classmethod
    def of(cls, written: str) -> "WyomingAddress":
        """Read "127.0.0.1:10200", "10200", "tcp://localhost:10200" or "unix:///run/voxcli.sock".

        Raises:
            typer.BadParameter: it is none of these.
        """
        if (path := written.removeprefix("unix://")) != written:
            if not path.startswith("/"):
                raise typer.BadParameter(f"{written!r} is no absolute path, such as unix:///run/voxcli.sock.")
            return cls(path=Path(path))
        address = written.removeprefix("tcp://")
        if address.isdecimal():
            address = f"127.0.0.1:{address}"
        try:
            parts = urlsplit(f"//{address}")
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        if not host or parts.netloc != address or "@" in address or not re.fullmatch(r"[^\s/]+", address):
            raise typer.BadParameter(f"{written!r} is no address, such as 127.0.0.1:10200 or unix:///run/voxcli.sock.")
        return cls(host, _WYOMING_PORT if port is None else port)


Wyoming = Annotated[
    str | None,
    typer.Option(
        "--wyoming",
        metavar="ADDRESS",
        help="Speak for Home Assistant too, such as at 127.0.0.1:10200 or unix:///run/voxcli.sock.",
        rich_help_panel=_WYOMING,
    ),
]
WyomingInsecure = Annotated[
    bool,
    typer.Option(
        "--wyoming-insecure",
        help="Let any machine of the network speak Wyoming, which has no API keys.",
        rich_help_panel=_WYOMING,
    ),
]


@dataclass(frozen=True, slots=True)
class WyomingOptions:
    """Wyoming beside HTTP."""

    wyoming: Wyoming = None
    wyoming_insecure: WyomingInsecure = False

    def to_address(self, *, insecure: bool) -> WyomingAddress | None:
        """Return the address; None if Wyoming is not spoken.

        insecure: whether HTTP is open to everybody.

        Raises:
            typer.BadParameter: it is not valid, or open to other machines, and nothing says that it may be.
        """
        if self.wyoming is None:
            if self.wyoming_insecure:
                raise typer.BadParameter("Name an address with --wyoming.", param_hint="--wyoming-insecure")
            return None
        try:
            address = WyomingAddress.of(self.wyoming)
        except typer.BadParameter as error:
            raise typer.BadParameter(error.message, param_hint="--wyoming") from error
        if not (address.path or insecure or self.wyoming_insecure or is_this_machine(address.host)):
            raise typer.BadParameter(
                f"On {address.host}, anyone in the network could use the server: Wyoming has no API keys. Choose "
                f"127.0.0.1:{address.port}, or allow it with --wyoming-insecure.",
                param_hint="--wyoming",
            )
        return address


def is_this_machine(host: str) -> bool:
    """Whether only programs of this machine reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
