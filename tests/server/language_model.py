"""A language model on a real socket that writes, stalls, dies and sends garbage as a test says."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

Script = Callable[["Exchange"], None]


@dataclass
class Exchange:
    """One request, and the connection that it came over."""

    connection: socket.socket
    path: str
    headers: dict[str, str]
    fields: dict[str, Any]
    left: threading.Event = field(default_factory=threading.Event)
    """Set when the client has closed the connection."""

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def head(self, status: int = 200, kind: str = "text/event-stream", **headers: str) -> None:
        lines = [f"HTTP/1.1 {status} X", f"content-type: {kind}", "connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.send("\r\n".join([*lines, "", ""]).encode())

    def write(self, text: str, **delta: Any) -> None:
        """Write a piece of the answer."""
        self.event({"choices": [{"index": 0, "delta": {"content": text, **delta}, "finish_reason": None}]})

    def event(self, value: Any) -> None:
        self.send(f"data: {json.dumps(value)}\n\n".encode())

    def done(self, reason: str = "stop") -> None:
        self.event({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        self.send(b"data: [DONE]\n\n")

    def document(self, value: Any, status: int = 200, **headers: str) -> None:
        body = json.dumps(value)
        self.head(status, "application/json", content_length=str(len(body)), **headers)
        self.send(body.encode())

    def wait_until_left(self, seconds: float = 10.0) -> None:
        """Write nothing more until the client is gone."""
        self.connection.settimeout(seconds)
        with suppress(ConnectionError):
            assert not self.connection.recv(1)
        self.left.set()


def writing(*pieces: str, reason: str = "stop") -> Script:
    """Write an answer piece by piece, and end properly."""

    def script(exchange: Exchange) -> None:
        exchange.head()
        for piece in pieces:
            exchange.write(piece)
        exchange.done(reason)

    return script


class LanguageModelStub:
    """The model: what it is asked, and what it does then."""

    def __init__(self, script: Script, models: tuple[str, ...] | None) -> None:
        self.script = script
        self.models = models
        self.exchanges: list[Exchange] = []
        """The chats so far."""
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1"
        self._threads = [threading.Thread(target=self._accept, name="language model")]
        self._threads[0].start()

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for exchange in self.exchanges:
            with suppress(OSError):
                exchange.connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive(), "the language model did not end"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), name="language model")
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(ConnectionError, TimeoutError):
            exchange = _read(connection)
            if exchange is None:
                return
            if exchange.path.endswith("/models"):
                self._list(exchange)
                return
            self.exchanges.append(exchange)
            self.script(exchange)

    def _list(self, exchange: Exchange) -> None:
        if self.models is None:
            exchange.document({"error": {"message": "no such path"}}, 404)
        else:
            exchange.document({"object": "list", "data": [{"id": name} for name in self.models]})


def _read(connection: socket.socket) -> Exchange | None:
    received = b""
    while b"\r\n\r\n" not in received:
        if not (data := connection.recv(65536)):
            return None
        received += data
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        if not (data := connection.recv(65536)):
            return None
        body += data
    return Exchange(connection, first.split()[1], headers, json.loads(body) if body else {})


@contextmanager
def language_model(script: Script, models: tuple[str, ...] | None = ("small", "large")) -> Iterator[LanguageModelStub]:
    """Run a model until the block ends."""
    stub = LanguageModelStub(script, models)
    try:
        yield stub
    finally:
        stub.close()
