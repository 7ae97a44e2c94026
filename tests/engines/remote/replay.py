"""A server made of bytes: it reads requests from a real socket and sends back exactly what a test has built."""

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

NOTHING = b""


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = field(repr=False)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def fields(self) -> dict[str, str]:
        """The texts of a form."""
        if self.headers["content-type"].startswith("multipart/"):
            parts = self.body.split(b"--" + self.headers["content-type"].partition("boundary=")[2].encode())[1:-1]
            found = {}
            for part in parts:
                head, _, value = part.strip(b"\r\n").partition(b"\r\n\r\n")
                name = head.split(b'name="')[1].split(b'"')[0].decode()
                found[name] = value.decode("latin-1")
            return found
        from urllib.parse import parse_qsl

        return dict(parse_qsl(self.body.decode()))


@dataclass
class Answer:
    """Bytes that go out one after another. `hang_up` says how the connection ends after them."""

    pieces: Iterable[bytes]
    hang_up: bool = False
    reset: bool = False


Reply = Callable[[Asked], Answer]


class Replay:
    """What was asked, and how many have connected."""

    def __init__(self, reply: Reply, port: int = 0, *, lists: bool = False) -> None:
        """
        Args:
            lists: let `reply` answer requests for a list of models too. Otherwise there is none, and they are not
                among what was asked.
        """
        self.asked: list[Asked] = []
        self.connections = 0
        self.hung_up = threading.Event()
        """Set when a client has left before its answer was out."""
        self._reply, self._lists = reply, lists
        self._open: set[socket.socket] = set()
        self._socket = socket.create_server(("127.0.0.1", port))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def of(self, method: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.method == method]

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            self._open.add(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            try:
                while (asked := _read(stream)) is not None:
                    if asked.method == "GET" and asked.path.endswith("/models") and not self._lists:
                        self._send(connection, missing())
                        continue
                    self.asked.append(asked)
                    answer = self._reply(asked)
                    self._send(connection, answer)
                    if answer.reset:
                        linger = struct.pack("ii", 1, 0)
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    if answer.hang_up or answer.reset:
                        break
            except OSError:
                pass
            finally:
                self._open.discard(connection)

    def _send(self, connection: socket.socket, answer: Answer) -> None:
        try:
            for piece in answer.pieces:
                connection.sendall(piece)
        except OSError:
            self.hung_up.set()
            raise


def _read(stream: Any) -> Asked | None:
    line = stream.readline().decode()
    if not line:
        return None
    method, path, _ = line.split()
    headers = {}
    while (line := stream.readline().decode().strip()) != "":
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return Asked(method, path, headers, stream.read(int(headers.get("content-length", 0))))


def head(status: int = 200, **headers: str) -> bytes:
    """The head of an answer; `content_type="audio/wav"` and the like become headers."""
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def chunked(pieces: Iterable[bytes], *, end: bool = True) -> Iterator[bytes]:
    for piece in pieces:
        if piece:
            yield b"%x\r\n%b\r\n" % (len(piece), piece)
    if end:
        yield b"0\r\n\r\n"


def streamed(pieces: Iterable[bytes], content_type: str = "audio/wav", *, end: bool = True, **more: str) -> Answer:
    """Sound as it is made; without `end` the connection breaks in the middle."""

    def all_pieces() -> Iterator[bytes]:
        yield head(content_type=content_type, transfer_encoding="chunked", **more)
        yield from chunked(pieces, end=end)

    return Answer(all_pieces(), hang_up=not end)


def whole(body: bytes, content_type: str = "audio/wav", status: int = 200, **more: str) -> Answer:
    return Answer([head(status, content_type=content_type, content_length=str(len(body)), **more) + body])


def said(document: Any, status: int = 200, **more: str) -> Answer:
    return whole(json.dumps(document).encode(), "application/json", status, **more)


def missing() -> Answer:
    return said({"detail": "Not Found"}, 404)


@contextmanager
def replaying(reply: Reply, *, lists: bool = False) -> Iterator[Replay]:
    replay = Replay(reply, lists=lists)
    try:
        yield replay
    finally:
        replay.close()


def posts(reply: Reply, description: Any = None) -> Reply:
    """Answer requests for sound with `reply`, and describe the server if asked."""

    def answer(asked: Asked) -> Answer:
        if asked.method == "POST":
            return reply(asked)
        if asked.path == "/openapi.json" and description is not None:
            return said(description)
        return missing()

    return answer
