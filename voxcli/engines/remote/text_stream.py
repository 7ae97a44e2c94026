"""Text stream to a server: a text that is still being written travels as it comes, over a WebSocket."""

import json
import logging
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack, suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection, connect

from voxcli.audio.chunk import AudioChunk, amplified
from voxcli.audio.pcm import silence
from voxcli.connections import find_proxy
from voxcli.engines.remote.probe import Server
from voxcli.engines.remote.settings import RemoteSettings, root_of
from voxcli.engines.remote.text_sender import TextSender
from voxcli.errors import RemoteCut, RemoteError, RemoteRefused, RemoteTimeout
from voxcli.protocols.openai.servers import Catalog
from voxcli.protocols.speech_stream import messages
from voxcli.protocols.speech_stream.messages import (
    AudioDone,
    AudioStart,
    ErrorMessage,
    InputCommitted,
    ServerMessage,
    SessionConfigured,
    SessionDone,
    read_server_message,
)
from voxcli.synthesis.pipeline import Delivery, WrittenText
from voxcli.synthesis.request import Piece, SentenceMark
from voxcli.synthesis.timing import Stopwatch
from voxcli.text.marks import Sentence
from voxcli.text.parts import IDLE_SECONDS
from voxcli.version import __version__

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.1
"""Between two looks at whether the work has to stop."""
_PAUSE_SECONDS = 2 * IDLE_SECONDS
"""Since the last text, after which no sentence of it can be on its way."""
_CLOSE_SECONDS = 0.3
_MOST_MESSAGE_BYTES = 2**26
_USUAL_RATE = 24000
"""Hz, of vLLM-Omni where it says none."""
_FULL_SCALE = 32768
_INVALID = 400


class TextStream:
    """One text on its way to a server, and its speech on the way back."""

    def __init__(
        self, server: Server, settings: RemoteSettings, delivery: Delivery, config: Mapping[str, Any], *, markdown: bool
    ) -> None:
        """Connect.

        Raises:
            RemoteError: the server has no such socket, or refuses the settings. Requests over HTTP may succeed.
        """
        self._server, self._settings, self._delivery = server, settings, delivery
        self._url = settings.url
        self._commits = (server.catalog or Catalog()).is_sglang
        self._undo = ExitStack()
        self._socket = self._connected(config)
        self._sender = TextSender(
            self._socket, config, as_written=server.is_voxcli, commits=self._commits, markdown=markdown
        )
        self._answered = 0
        self._text: WrittenText | None = None
        self._odd = b""  # half a sample

    def pieces(self, text: WrittenText, stopwatch: Stopwatch) -> Generator[Piece]:
        """Send a text, read on a thread of its own, and yield its speech and its sentences.

        Closing the generator cancels what is being spoken.

        Raises:
            VoxError: the text cannot be read, the server refuses it, or the connection is lost.
        """
        self._text = text
        self._sender.start(text.pieces, text.playing)
        try:
            yield from self._received(stopwatch)
        finally:
            self._close()

    def _connected(self, config: Mapping[str, Any]) -> ClientConnection:
        settings, proxy = self._settings, find_proxy(self._settings.url)
        address = root_of(self._server.base or self._url) + messages.PATH
        secure = urlsplit(address).scheme == "https"
        headers = {"Authorization": f"Bearer {settings.key}"} if settings.key else {}
        with ExitStack() as undo:
            try:
                opening = connect(
                    "ws" + address.removeprefix("http"),
                    additional_headers=headers,
                    user_agent_header=f"voxcli/{__version__}",
                    compression=None,
                    proxy=proxy.url if proxy else None,
                    ssl=httpx.create_ssl_context() if secure else None,
                    open_timeout=settings.connect_seconds,
                    close_timeout=_CLOSE_SECONDS,
                    max_size=_MOST_MESSAGE_BYTES,
                )
                socket = undo.enter_context(opening)
                socket.send(json.dumps(config))
                if self._server.is_voxcli:
                    self._check_configured(socket.recv(settings.connect_seconds))
            except (WebSocketException, OSError, ValueError, ImportError) as error:
                raise RemoteError(f"{self._url} has no socket for text: {error}.") from error
            self._undo = undo.pop_all()
        return socket

    def _check_configured(self, answer: str | bytes) -> None:
        message = read_server_message(json.loads(answer)) if isinstance(answer, str) else None
        if isinstance(message, ErrorMessage):
            raise RemoteError(f"{self._url} refuses the settings: {message.message}")
        if isinstance(message, SessionConfigured) and message.ignored:
            _log.debug("%s has no use for: %s", self._url, ", ".join(message.ignored))

    def _received(self, stopwatch: Stopwatch) -> Generator[Piece]:
        ended_at = 0.0
        while not self._is_complete():
            message = self._next()
            if message is None:
                continue
            if isinstance(message, bytes):  # the silence after a sentence
                yield from self._chunk(message)
            elif isinstance(message, AudioStart):
                self._sender.rate = message.sample_rate or _USUAL_RATE
                text = Sentence(message.sentence_text or "", None, self._span(message))
                start = self._seconds + (message.silence_ms or 0.0) / 1000
                yield SentenceMark(text=text, start=start)
                stopwatch.begin(max(ended_at, self._sender.sent_at))
                yield from stopwatch.timed(self._sentence())
                yield SentenceMark(text=text, start=start, end=self._seconds)
                ended_at = time.perf_counter()
            elif isinstance(message, InputCommitted | SessionDone):
                self._answered += 1
                yield from self._paused()

    def _is_complete(self) -> bool:
        return self._sender.ended and not self._sender.error and self._answered >= self._sender.owed

    def _sentence(self) -> Generator[AudioChunk]:
        """Yield the audio of a sentence up to its end."""
        while not isinstance(message := self._next(in_sentence=True), AudioDone):
            if isinstance(message, bytes):
                yield from self._chunk(message)
        self._odd = b""

    def _chunk(self, data: bytes) -> Generator[AudioChunk]:
        """Yield the samples of a message, which other servers cut anywhere."""
        data = self._odd + data
        whole = len(data) - len(data) % 2
        self._odd = data[whole:]
        if whole:
            samples = np.frombuffer(data[:whole], "<i2").astype(np.float32) / np.float32(_FULL_SCALE)
            self._sender.samples += len(samples)
            yield AudioChunk(amplified(samples, self._delivery.volume), self._sender.rate)

    def _paused(self) -> Generator[AudioChunk]:
        while self._sender.silences and self._sender.silences[0][0] <= self._answered:
            _, seconds = self._sender.silences.popleft()
            chunk = silence(seconds, self._sender.rate or _USUAL_RATE)
            self._sender.samples += len(chunk.samples)
            yield chunk

    def _next(self, *, in_sentence: bool = False) -> ServerMessage | bytes | None:
        """Return the next message; None for one without meaning here, or if all has been answered."""
        asked = time.monotonic()
        while True:
            if self._sender.error:
                raise self._sender.error
            if self._is_complete():
                return None
            try:
                data = self._socket.recv(_LOOK_SECONDS)
                break
            except TimeoutError:
                self._look(in_sentence=in_sentence)
                if (in_sentence or self._sender.ended) and time.monotonic() - asked > self._settings.read_seconds:
                    raise RemoteTimeout(
                        f"{self._url}: timed out waiting for speech.",
                        on_command_line="Raise the limit with --timeout SECONDS.",
                    ) from None
            except ConnectionClosed as error:
                if self._sender.ended and self._commits and not in_sentence:
                    self._answered = self._sender.owed  # SGLang-Omni closes the socket when it is done
                    return None
                why = f": {error.rcvd.reason}" if error.rcvd and error.rcvd.reason else ""
                raise RemoteCut(f"{self._url} closed the connection{why}.") from error
        if isinstance(data, bytes):
            return data
        return self._read(data)

    def _look(self, *, in_sentence: bool) -> None:
        """Tell the program that nothing is there, and whether more text is waited for."""
        assert self._text
        self._text.check()
        if not in_sentence and not self._sender.ended and time.perf_counter() - self._sender.sent_at > _PAUSE_SECONDS:
            self._text.waiting()

    def _read(self, data: str) -> ServerMessage | None:
        try:
            fields = json.loads(data)
            message = read_server_message(fields) if isinstance(fields, dict) else None
        except (ValueError, RecursionError) as error:
            raise RemoteError(f"{self._url} sent a message that cannot be read.") from error
        if isinstance(message, ErrorMessage):
            reason = f"{self._url} rejected the text: {message.message.rstrip('.')}."
            if message.error_type == "invalid_request_error":
                raise RemoteRefused(reason, _INVALID)
            raise RemoteError(reason)
        return message

    def _span(self, message: AudioStart) -> tuple[int, int] | None:
        if (
            message.text_start is None
            or message.text_end is None
            or message.utterance_index >= len(self._sender.begins)
        ):
            return None
        begin = self._sender.begins[message.utterance_index]
        return begin + message.text_start, begin + message.text_end

    @property
    def _seconds(self) -> float:
        return self._sender.samples / self._sender.rate if self._sender.rate else 0.0

    def _close(self) -> None:
        with suppress(ConnectionClosed, OSError):
            self._sender.stop(cancel=not self._is_complete())
        self._undo.close()
