"""Engine on a server of OpenAI's Realtime API: each request is a response of its own, outside the conversation."""

import json
import logging
import threading
from base64 import b64decode
from collections.abc import Generator, Mapping
from contextlib import ExitStack, closing, suppress
from typing import Any, NoReturn
from urllib.parse import urlencode

import httpx
import numpy as np
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.format import AudioFormat
from voxcli.connections import find_proxy
from voxcli.engines.remote.settings import RemoteSettings, root_of
from voxcli.errors import RemoteCut, RemoteError, RemoteRefused, RemoteTimeout, RequestError
from voxcli.protocols.openai.realtime import PATH
from voxcli.synthesis.request import Abilities, Speech, SynthesisRequest
from voxcli.version import __version__

_log = logging.getLogger(__name__)

_MODEL = "gpt-realtime"
_READ_ALOUD = "Read the user's text aloud, word for word. Do not answer it, and say nothing else."
_RATE = 24000
_SLOWEST, _FASTEST = 0.25, 1.5
_MOST_SOCKETS = 4
_MOST_MESSAGE_BYTES = 2**26
_CLOSE_SECONDS = 0.3
_NEEDS_KEY = (401, 403)
_INVALID, _FAILED = 400, 500
_AUDIO = ("response.output_audio.delta", "response.audio.delta")
_TRANSCRIPT = ("response.output_audio_transcript.delta", "response.audio_transcript.delta")


class RealtimeEngine:
    """A server as an `Engine`. Its model may say something else than the text, which is told."""

    slots = _MOST_SOCKETS
    draws_voices = False
    abilities = Abilities(sampling=False, clips=False)

    def __init__(self, settings: RemoteSettings) -> None:
        """settings: of which nothing is asked before the first request. Raises RequestError."""
        options = settings.options
        if options.format not in (None, AudioFormat.PCM) or options.extra or options.mode or not options.stream:
            raise RequestError(
                "The Realtime API streams PCM alone, and takes no further fields.",
                on_command_line="Leave out --wire-format, --extra, --streaming-mode and --no-stream.",
            )
        self._settings = settings
        self._lock = threading.Lock()
        self._idle: list[ClientConnection] = []

    def stream(self, request: SynthesisRequest) -> Speech:
        response = _response(request)
        socket = self._take()
        finished = False
        try:
            with closing(self._spoken(socket, request.text, response)) as speech:
                yield from speech
            finished = True
        finally:
            if finished:
                with self._lock:
                    self._idle.append(socket)
            else:
                _leave(socket)

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for socket in idle:
            socket.close()

    def _take(self) -> ClientConnection:
        """Return a socket on which nothing is spoken."""
        while True:
            with self._lock:
                socket = self._idle.pop() if self._idle else None
            if socket is None:
                return self._connected()
            with suppress(ConnectionClosed):
                try:
                    while True:
                        socket.recv(0)  # what the server has said since, such as its limits
                except TimeoutError:
                    return socket

    def _connected(self) -> ClientConnection:
        settings, url = self._settings, self._settings.url
        proxy = find_proxy(url)
        address = f"{root_of(url)}{PATH}?{urlencode({'model': settings.options.model or _MODEL})}"
        try:
            opening = connect(
                "ws" + address.removeprefix("http"),
                additional_headers={"Authorization": f"Bearer {settings.key}"} if settings.key else {},
                user_agent_header=f"voxcli/{__version__}",
                compression=None,
                proxy=proxy.url if proxy else None,
                ssl=httpx.create_ssl_context() if address.startswith("https") else None,
                open_timeout=settings.connect_seconds,
                close_timeout=_CLOSE_SECONDS,
                max_size=_MOST_MESSAGE_BYTES,
            )
            return ExitStack().enter_context(opening)  # left open: it is closed by itself
        except InvalidStatus as error:
            status = error.response.status_code
            advice = f"Store its key with: voxcli keys set {url}" if status in _NEEDS_KEY else ""
            reason = f"{url} refuses a session of the Realtime API (status {status})."
            raise RemoteRefused(reason, status, on_command_line=advice) from error
        except (WebSocketException, OSError, ValueError, ImportError) as error:
            raise RemoteError(f"{url} has no Realtime API: {error}.") from error

    def _spoken(self, socket: ClientConnection, text: str, response: Mapping[str, Any]) -> Speech:
        transcript, odd, sounded = "", b"", False
        try:
            socket.send(json.dumps({"type": "response.create", "response": response}))
            for event in self._events(socket):
                kind = event.get("type")
                if kind in _AUDIO:
                    data = odd + b64decode(event["delta"])
                    whole = len(data) - len(data) % 2
                    odd = data[whole:]
                    if whole:
                        sounded = True
                        samples = np.frombuffer(data[:whole], "<i2").astype(np.float32) / np.float32(32768)
                        yield AudioChunk(samples, _RATE)
                elif kind in _TRANSCRIPT:
                    transcript += event["delta"]
                elif kind == "error":
                    self._fail(event.get("error"), sounded=sounded)
                elif kind == "response.done":
                    self._check_ended(event["response"], sounded=sounded)
                    break
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise RemoteError(f"{self._settings.url} sent an event that cannot be read.") from error
        except ConnectionClosed as error:
            why = f": {error.rcvd.reason}" if error.rcvd and error.rcvd.reason else ""
            raise RemoteCut(f"{self._settings.url} closed the connection{why}.") from error
        if not sounded:
            raise RemoteError(f"{self._settings.url} sent no audio.")
        if _words(transcript) != _words(text):
            _log.warning("The server reworded the text %r as %r.", text, transcript)

    def _events(self, socket: ClientConnection) -> Generator[dict[str, Any]]:
        while True:
            try:
                yield json.loads(socket.recv(self._settings.read_seconds))
            except TimeoutError:
                raise RemoteTimeout(
                    f"{self._settings.url}: timed out waiting for speech.",
                    on_command_line="Raise the limit with --timeout SECONDS.",
                ) from None

    def _check_ended(self, response: Mapping[str, Any], *, sounded: bool) -> None:
        if (status := response["status"]) == "completed":
            return
        details = response.get("status_details") or {}
        if error := details.get("error"):
            self._fail(error, sounded=sounded)
        raise RemoteCut(f"{self._settings.url} ended early ({status}: {details.get('reason') or 'no reason given'}).")

    def _fail(self, error: Mapping[str, Any] | None, *, sounded: bool) -> NoReturn:
        """Raise what an error of the server means.

        sounded: whether a part of the speech is there already.
        """
        error = error or {}
        said = str(error.get("message") or "It gave no reason").rstrip(".")
        if sounded:
            raise RemoteCut(f"{self._settings.url} broke off: {said}.")
        refused = error.get("type") == "invalid_request_error"
        verb = "rejected the text" if refused else "failed"
        raise RemoteRefused(f"{self._settings.url} {verb}: {said}.", _INVALID if refused else _FAILED)


def _response(request: SynthesisRequest) -> dict[str, Any]:
    """Return what a response is asked for. Raises RequestError if the protocol cannot express it."""
    voice = request.voice
    unsaid = (
        (voice.reference, "a clip to imitate", "--ref-audio"),
        (voice.prompt, "an audio prompt", "--prompt-audio and --prompt-text"),
        (request.language is not None, "the language", "--language"),
        (request.normalize, "text normalization", "--normalize"),
        (request.denoise, "denoising", "--denoise"),
    )
    for is_there, what, option in unsaid:
        if is_there:
            raise RequestError(f"The Realtime API cannot express {what}.", on_command_line=f"Leave out {option}.")
    if not _SLOWEST <= request.speed <= _FASTEST:
        raise RequestError(f"The Realtime API speaks at {_SLOWEST} to {_FASTEST} times the usual speed.")
    output: dict[str, Any] = {"format": {"type": "audio/pcm", "rate": _RATE}}
    if voice.name:
        output["voice"] = {"id": voice.name} if voice.name.startswith("voice_") else voice.name
    if request.speed != 1.0:
        output["speed"] = request.speed
    manner = f" In this manner: {voice.style}" if voice.style else ""
    content = [{"type": "input_text", "text": request.text}]
    return {
        "conversation": "none",
        "output_modalities": ["audio"],
        "instructions": _READ_ALOUD + manner,
        "audio": {"output": output},
        "input": [{"type": "message", "role": "user", "content": content}],
    }


def _words(text: str) -> str:
    """Return what is heard of a text, for comparison."""
    return "".join(character for character in text.casefold() if character.isalnum())


def _leave(socket: ClientConnection) -> None:
    """Stop what is being spoken, and close the socket."""
    with suppress(ConnectionClosed, OSError):
        socket.send(json.dumps({"type": "response.cancel"}))
    socket.close()
