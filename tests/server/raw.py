"""A client that has its own way with the connection: it leaves, reads slowly, or does not read at all."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode, urlsplit

SPEECH = "/v1/audio/speech"
TTS = "/tts"
_USUAL: dict[str, dict[str, object]] = {
    SPEECH: {"model": "tts-1", "voice": "alloy", "input": "Hello."},
    TTS: {"text": "Hello.", "text_lang": "en", "ref_audio_path": "default", "prompt_lang": "en", "streaming_mode": 1},
}


class RawClient:
    """One connection over which one request has been sent."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.received = b""

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def read(self, count: int) -> bytes:
        """Wait for so many bytes of the answer, headers and all; fewer only if it ends."""
        while len(self.received) < count and (data := self.connection.recv(min(65536, count - len(self.received)))):
            self.received += data
        return self.received

    def kill(self) -> None:
        """Leave without a word: what is under way is thrown away on both sides."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.connection.close()


@contextmanager
def asked(url: str, *, path: str = SPEECH, window: int | None = None, **fields: object) -> Iterator[RawClient]:
    """Send fields: to VoxCPM's paths as a form, to others as JSON.

    window: how many bytes the system takes in before they are read.
    """
    if path in _USUAL:
        kind, body = "application/json", json.dumps(_USUAL[path] | fields)
    else:
        kind, body = "application/x-www-form-urlencoded", urlencode({"text": "Hello."} | fields)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {kind}\r\n"
    with connected(url, window=window) as client:
        client.send(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        yield client


@contextmanager
def connected(url: str, *, window: int | None = None) -> Iterator[RawClient]:
    """Say nothing yet."""
    parts = urlsplit(url)
    with socket.socket() as connection:
        connection.settimeout(20)
        if window:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        connection.connect((parts.hostname, parts.port))
        yield RawClient(connection)
