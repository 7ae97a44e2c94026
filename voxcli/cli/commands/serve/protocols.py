"""Options of `voxcli serve` for what it offers besides speech over HTTP: chat and Wyoming."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from voxcli.errors import RequestError

if TYPE_CHECKING:
    from voxcli.server.settings import LanguageModelSettings

_CHAT = "Chat"


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
