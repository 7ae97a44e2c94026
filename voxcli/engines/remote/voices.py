"""Named voices of a server, which lists them in one of many shapes or not at all."""

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from voxcli.engines.remote.http import Transport
from voxcli.engines.remote.probe import Server
from voxcli.protocols.dialect import HttpCall
from voxcli.protocols.names import Dialect
from voxcli.protocols.voxcpm.wrappers import VOICE_PATHS

_VOICE_PATHS = {
    Dialect.VOXCPM: ("/api/voices",),
    Dialect.OPENAI: ("/audio/voices", "/voices", "/audio/speech/voices"),
    Dialect.GPT_SOVITS: ("/speakers",),
}
"""Below the base URL of the protocol. The last two protocols do not define these; other servers have them."""
_REUSED_SECONDS = 60.0
"""How long a list of voices is reused to look up names."""


@dataclass(frozen=True, slots=True)
class RemoteVoice:
    """A named voice of a server."""

    name: str
    title: str = ""
    """The server's description of it."""


class VoiceList:
    """The voices of a server, asked for when they are needed."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._found: list[RemoteVoice] | None = None
        self._found_at = -math.inf

    def read(self, base: str, server: Server) -> list[RemoteVoice] | None:
        """Return the voices; None if the server has no list of them.

        Args:
            base: URL that paths are appended to.

        Raises:
            RemoteError: the server cannot be reached.
        """
        for path in VOICE_PATHS if server.route else _VOICE_PATHS[server.dialect]:
            status, document = self._transport.ask(base, HttpCall(method="GET", path=path))
            if status == HTTPStatus.OK and (listed := _list_in(document)) is not None:
                return list(_voices(listed))
        if server.catalog and server.catalog.voices:
            return [RemoteVoice(name) for name in server.catalog.voices]
        return None

    def knows(self, name: str, base: str, server: Server) -> bool:
        """Whether the server has a voice of that name.

        If it has no list: true for OpenAI's protocol, whose servers refuse unknown names, and false for the others,
        where the name might be a path.

        Raises:
            RemoteError: the server cannot be reached.
        """
        if time.monotonic() - self._found_at > _REUSED_SECONDS:
            self._found, self._found_at = self.read(base, server), time.monotonic()
        if self._found is None:
            return server.dialect is Dialect.OPENAI
        return any(voice.name == name for voice in self._found)


def _list_in(document: Any) -> list[Any] | None:
    """Find the list in a document, which servers wrap in different ways or not at all."""
    if isinstance(document, Mapping):
        names = ("voices", "data", "uploaded_voices", "items", "speakers")
        document = next((found for name in names if (found := document.get(name)) is not None), None)
        if document and isinstance(document, Mapping):  # names to details
            document = [name for name in document if isinstance(name, str)]
    return document if isinstance(document, list) else None


def _voices(listed: list[Any]) -> Iterator[RemoteVoice]:
    for entry in listed:
        if isinstance(entry, str):
            yield RemoteVoice(entry)
        elif isinstance(entry, Mapping):
            named = [entry[key] for key in ("id", "voice_id", "name") if isinstance(entry.get(key), str)]
            about = [entry[key] for key in ("description", "title", "name") if isinstance(entry.get(key), str)]
            if named:
                yield RemoteVoice(named[0], next((text for text in about if text and text != named[0]), ""))
