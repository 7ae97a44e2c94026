"""A server that does what no library would let it do: every byte it sends is written by hand."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.encode import encoded
from voxcli.audio.format import AudioFormat

RATE = 16000


@dataclass
class Connection:
    """To somebody who has asked for something."""

    sock: socket.socket

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def pause(self, seconds: float) -> None:
        """Let time pass: that is what is measured."""
        time.sleep(seconds)

    def head(self, status: str = "200 OK", length: int | None = None, content: str = "audio/wav") -> None:
        size = f"Content-Length: {length}\r\n" if length is not None else "Transfer-Encoding: chunked\r\n"
        self.send(f"HTTP/1.1 {status}\r\nContent-Type: {content}\r\n{size}Connection: close\r\n\r\n".encode())

    def chunk(self, data: bytes) -> None:
        self.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def end(self) -> None:
        self.send(b"0\r\n\r\n")


Answer = Callable[[Connection], None]


def not_found(connection: Connection) -> None:
    body = b'{"detail":"Not Found"}'
    connection.head("404 Not Found", len(body), "application/json")
    connection.send(body)


@contextmanager
def wired(answers: Mapping[str, Answer]) -> Iterator[str]:
    """Answer each path in its own way, everything else with 404; give the base URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, answers), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def _accept(listener: socket.socket, answers: Mapping[str, Answer]) -> None:
    with contextlib.suppress(OSError):  # closed
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=_answer, args=(sock, answers), daemon=True).start()


def _answer(sock: socket.socket, answers: Mapping[str, Answer]) -> None:
    with sock, contextlib.suppress(OSError):
        path = _read_request(sock)
        answers.get(path, not_found)(Connection(sock))
        sock.shutdown(socket.SHUT_WR)


def _read_request(sock: socket.socket) -> str:
    data = b""
    while b"\r\n\r\n" not in data:
        data += sock.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    while len(body) < length:
        body += sock.recv(65536)
    return head.split()[1].decode()


def wav(seconds: float, loudness: float = 0.3) -> bytes:
    samples = (loudness * np.sin(np.arange(round(seconds * RATE)) / 9)).astype(np.float32)
    return b"".join(encoded(iter([AudioChunk(samples, RATE)]), AudioFormat.WAV))
