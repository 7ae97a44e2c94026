"""Answers of a resident engine, read from its socket with h11. Imported when the request has left."""

import socket
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

import h11

_PIECE = 1 << 16  # bytes


class Lost(Exception):
    """The connection ended before the answer did."""


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers, by lower-case names."""

    status: int
    headers: Mapping[str, str]


class AnswerReader:
    """Reads one answer from a socket that carries no other."""

    def __init__(self, sock: socket.socket) -> None:
        """sock: to which a whole request has been written."""
        self._socket = sock
        self._protocol = h11.Connection(h11.CLIENT)
        # h11 wants to know that a request was made; it is not sent again.
        self._protocol.send(h11.Request(method="POST", target="/", headers=[("host", "localhost")]))
        self._protocol.send(h11.EndOfMessage())

    def head(self, seconds: float | None) -> Head:
        """Wait for status and headers.

        seconds: to wait for data; None for ever.

        Raises:
            TimeoutError: none came. The head can be waited for again.
            Lost: the engine ended.
        """
        event = self._next(seconds)
        if not isinstance(event, h11.Response):
            raise Lost("it did not answer with HTTP")
        return Head(event.status_code, {name.decode(): value.decode("latin-1") for name, value in event.headers})

    def pieces(self, seconds: float | None, on_silence: Callable[[], None]) -> Generator[bytes]:
        """Yield the body as it arrives.

        Args:
            seconds: without data after which `on_silence` is called, which raises to give up.

        Raises:
            Lost: the body is not complete.
        """
        while True:
            try:
                event = self._next(seconds)
            except TimeoutError:
                on_silence()
                continue
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return
            else:
                raise Lost("it ended in the middle of its answer")

    def _next(self, seconds: float | None) -> Any:
        try:
            while (event := self._protocol.next_event()) is h11.NEED_DATA:
                self._socket.settimeout(seconds)
                self._protocol.receive_data(self._socket.recv(_PIECE))
        except TimeoutError:
            raise
        except (OSError, h11.RemoteProtocolError) as error:
            raise Lost(str(error)) from error
        return event
