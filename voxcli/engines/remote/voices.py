"""Who can speak on a server, as it says itself."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from voxcli.engines.remote.http import Transport
from voxcli.protocols.dialect import HttpCall
from voxcli.protocols.names import Dialect

_PATHS = {
    Dialect.VOXCPM: ("/api/voices",),
    Dialect.OPENAI: ("/audio/voices", "/voices"),
    Dialect.GPT_SOVITS: ("/speakers",),
}
"""Below the base of the dialect. The last two are customs of other servers and no part of either API."""
_OK = 200


@dataclass(frozen=True, slots=True)
class RemoteVoice:
    """A voice that a server knows by name."""

    name: str
    title: str = ""
    """What the server says about it."""


def list_voices(transport: Transport, base: str, dialect: Dialect) -> list[RemoteVoice] | None:
    """Ask a server who can speak; None if it does not tell.

    Raises:
        RemoteError: it cannot be reached.
    """
    for path in _PATHS[dialect]:
        status, document = transport.ask(base, HttpCall(method="GET", path=path))
        if status == _OK and (listed := _list_in(document)) is not None:
            return list(_voices(listed))
    return None


def _list_in(document: Any) -> list[Any] | None:
    """Find the list, which servers wrap in different ways or not at all."""
    if isinstance(document, Mapping):
        document = document.get("voices", document.get("data"))
    return document if isinstance(document, list) else None


def _voices(listed: list[Any]) -> Iterator[RemoteVoice]:
    for entry in listed:
        if isinstance(entry, str):
            yield RemoteVoice(entry)
        elif isinstance(entry, Mapping):
            named = [entry[key] for key in ("id", "voice_id", "name") if isinstance(entry.get(key), str)]
            about = [entry[key] for key in ("description", "title", "name") if isinstance(entry.get(key), str)]
            if named:
                yield RemoteVoice(named[0], next((words for words in about if words and words != named[0]), ""))
