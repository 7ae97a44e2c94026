"""Connection to a resident engine: requests are written by hand, since httpx takes longer to import than to answer."""

import json
import socket
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from voxcli.engines.resident.registry import EngineEntry

if TYPE_CHECKING:
    from voxcli.engines.resident.answers import AnswerReader

_CONNECT_SECONDS = 5.0
_SEND_SECONDS = 30.0
_STATE_SECONDS = 5.0
"""After which an engine that does not tell its state counts as hung."""


class NotListening(Exception):
    """An engine does not take requests: it has ended, or is ending."""


class Exchange:
    """One request and its answer, on a connection of its own. Closing it cancels what the engine does for it."""

    def __init__(
        self,
        entry: EngineEntry,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        seconds: float = _CONNECT_SECONDS,
    ) -> None:
        """Send the request.

        seconds: to wait for the connection.

        Raises:
            NotListening: the engine does not take it.
        """
        more = {"host": "localhost", "connection": "close", "content-length": str(len(body)), **(headers or {})}
        if key := entry.values.get("key"):
            more["authorization"] = f"Bearer {key}"
        head = "".join(f"{name}: {value}\r\n" for name, value in more.items())
        try:
            self._socket = entry.connect(seconds)
        except OSError as error:
            raise NotListening(str(error)) from error
        try:
            self._socket.settimeout(_SEND_SECONDS)
            self._socket.sendall(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body)
        except OSError as error:
            self._socket.close()
            raise NotListening(str(error)) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes a thread that reads
        self._socket.close()

    def answer(self) -> "AnswerReader":
        """Return the reader of the answer."""
        from voxcli.engines.resident.answers import AnswerReader  # loads h11

        return AnswerReader(self._socket)


def ask(entry: EngineEntry, method: str, path: str, document: Any = None, *, seconds: float = _STATE_SECONDS) -> Any:
    """Ask an engine about itself, or tell it something, and return the JSON of its answer.

    Args:
        document: JSON to send.
        seconds: until it counts as hung.

    Raises:
        NotListening: it has ended, or does not do that.
        TimeoutError: it does not answer.
    """
    from voxcli.engines.resident.answers import Lost

    def give_up() -> None:
        raise TimeoutError

    headers = {"content-type": "application/json"}
    body = b"" if document is None else json.dumps(document).encode()
    with Exchange(entry, method, path, headers, body, seconds=seconds) as exchange:
        reader = exchange.answer()
        try:
            head = reader.head(seconds)
            answer = b"".join(reader.pieces(seconds, give_up))
        except Lost as error:
            raise NotListening(str(error)) from error
    if head.status >= 400:
        raise NotListening(f"status {head.status}")
    return json.loads(answer)
