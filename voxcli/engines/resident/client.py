"""Client of a resident engine: an `Engine` whose model is loaded in another process of this user."""

import json
import secrets
import threading
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from typing import Any, NoReturn
from urllib.parse import quote, urlencode

from voxcli.engines.resident.connection import Exchange, NotListening, ask
from voxcli.engines.resident.identity import to_wire
from voxcli.engines.resident.registry import SEE_LOG, EngineEntry, kill
from voxcli.errors import DeviceError, error_from_dict
from voxcli.protocols.voxcpm.exact import exact_form, reference_to
from voxcli.synthesis.identity import ModelIdentity
from voxcli.synthesis.request import Abilities, Clip, Speech, SynthesisRequest

_PATH = "/api/tts/stream"
_SILENCE_SECONDS = 5.0
"""Without data after which an engine is asked whether it still works."""
_ATTEMPTS = 2
_SEED_BITS = 32
_OK = 200
_CUT_OFF = 499
"""Status of a request that the engine was told to give up before the first sound."""

StartAgain = Callable[[EngineEntry], EngineEntry]
"""Replaces an engine that has ended or hangs, and returns the entry of the new one."""


class _Unsent(Exception):
    """The engine does not hold a clip of the request."""


class ResidentEngine:
    """A model in another process, which stays loaded when this process ends."""

    def __init__(
        self,
        entry: EngineEntry,
        start_again: StartAgain,
        keep_alive: float,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            entry: of an engine that is ready.
            keep_alive: seconds that the engine stays loaded after each request; infinity for ever.
            meanwhile: called when a request has left, before its answer is waited for.
        """
        self._entry = entry
        self._start_again = start_again
        self._keep_alive = keep_alive
        self._meanwhile = meanwhile
        self._begun: tuple[SynthesisRequest, Exchange] | None = None
        self._hold: Exchange | None = None
        """Open while this engine may be asked to speak further parts of a text, so that it does not end before."""
        self._hold_name = secrets.token_hex(8)
        self._lock = threading.Lock()
        card = entry.values["card"]
        self.slots: int = card["slots"]
        self.draws_voices: bool = card["draws_voices"]
        self.voice_names = frozenset(card["voice_names"])
        self.sample_rate: int = card["sample_rate"]
        sets = {name: frozenset(card["abilities"][name]) for name in ("tags", "phonemes")}
        self.abilities = Abilities(**{**card["abilities"], **sets})
        self.identity = ModelIdentity.from_dict(card.get("model_identity") or {"name": entry.model})

    @property
    def entry(self) -> EngineEntry:
        """Of the engine that spoke last."""
        return self._entry

    def draw_seed(self) -> int:
        """Draw a seed for a request that names none, so that it can be reported and used again."""
        return secrets.randbits(_SEED_BITS)

    def begin(self, request: SynthesisRequest) -> None:
        """Send a request before its speech is wanted. If the next one to be streamed is another, it is cancelled."""
        with suppress(NotListening):
            self._begun = request, self._send(request)

    def stream(self, request: SynthesisRequest) -> Speech:
        for _ in range(_ATTEMPTS):
            try:
                yield from self._attempt(request)
                return
            except NotListening:
                self._release()
                self._entry = self._start_again(self._entry)
        raise DeviceError(
            f"The engine of {self._entry.model} ended twice before it spoke.",
            on_command_line=SEE_LOG,
        )

    def close(self) -> None:
        """Cancel what was begun. The engine stays loaded."""
        if self._begun:
            self._begun[1].close()
            self._begun = None
        self._release()

    def _keep_hold(self) -> None:
        """Hold the engine, once it has something to do."""
        with self._lock, suppress(NotListening):
            headers = {"x-request-id": self._hold_name}
            self._hold = self._hold or Exchange(self._entry, "POST", "/private/hold", headers)

    def _release(self) -> None:
        with self._lock:
            hold, self._hold = self._hold, None
            if hold:
                hold.close()

    def _attempt(self, request: SynthesisRequest) -> Speech:
        """Stream once. Raises NotListening if nothing was heard because the engine ended."""
        try:
            yield from self._received(self._take_begun(request) or self._send(request))
        except _Unsent:
            yield from self._received(self._send(request, with_clips=True))

    def _take_begun(self, request: SynthesisRequest) -> Exchange | None:
        if self._begun is None:
            return None
        (begun, exchange), self._begun = self._begun, None
        if begun == request:
            return exchange
        exchange.close()
        return None

    def _send(self, request: SynthesisRequest, *, with_clips: bool = False) -> Exchange:
        fields, clips = exact_form(request)
        content_type, body = _encode(fields, clips, with_clips=with_clips)
        headers = {
            "content-type": content_type,
            "x-request-id": secrets.token_hex(8),
            "x-voxcli-hold": self._hold_name,
            "x-voxcli-keep-alive": f"{to_wire(self._keep_alive):g}",
        }
        return Exchange(self._entry, "POST", _PATH, headers, body)

    def _received(self, exchange: Exchange) -> Speech:
        from voxcli.audio.pcm import read_floats
        from voxcli.engines.resident.answers import Lost

        seconds = 0.0
        with exchange:
            reader = exchange.answer()
            self._keep_hold()
            self._meanwhile()
            try:
                while True:
                    with suppress(TimeoutError):
                        head = reader.head(_SILENCE_SECONDS)
                        break
                    self._check_alive()
                pieces = reader.pieces(_SILENCE_SECONDS, self._check_alive)
                if head.status != _OK:
                    self._refuse(head.status, b"".join(pieces))
                rate = int(head.headers["content-type"].partition("rate=")[2])
                with closing(read_floats(pieces, rate)) as chunks:
                    for chunk in chunks:
                        yield chunk
                        seconds += chunk.seconds
            except (Lost, NotListening) as error:
                if not seconds:
                    raise NotListening(str(error)) from error
                self._explain(head.headers.get("x-request-id", ""), seconds, error)

    def _check_alive(self) -> None:
        """Kill an engine that does not tell its state any more.

        Raises:
            NotListening: it was killed.
        """
        try:
            ask(self._entry, "GET", "/private/state")
        except NotListening:
            pass  # it takes nothing new, and finishes this
        except TimeoutError:
            kill(self._entry)
            raise NotListening("it did not answer any more") from None

    def _refuse(self, status: int, body: bytes) -> NoReturn:
        """Raise the error of an answer, as it would be raised in this process."""
        try:
            answer: Mapping[str, Any] = json.loads(body)
        except ValueError:
            answer = {}
        error = answer.get("error") or {}
        match error.get("code"):
            case "stopping":
                raise NotListening("it is ending")
            case "unknown_clip":
                raise _Unsent
        if error.get("kind"):
            raise error_from_dict(error)
        if status == _CUT_OFF:
            raise DeviceError(f"The engine of {self._entry.model} was stopped while it was speaking.")
        why = error.get("message") or f"it answered with status {status}."
        raise DeviceError(f"The engine of {self._entry.model} refused: {why}", on_command_line=SEE_LOG)

    def _explain(self, request_id: str, seconds: float, cause: Exception) -> NoReturn:
        """Raise the reason why speech ended too early."""
        error: Any = None
        with suppress(NotListening, TimeoutError):
            error = ask(self._entry, "GET", f"/private/errors/{request_id}")
        if error:
            raise error_from_dict(error) from cause
        raise DeviceError(
            f"The engine of {self._entry.model} ended after {seconds:.1f} s of speech.",
            on_command_line=SEE_LOG,
        ) from cause


def _encode(fields: Mapping[str, str], clips: Mapping[str, Clip], *, with_clips: bool) -> tuple[str, bytes]:
    """Return the content type and the body of a form: clips in it, or only their digests."""
    if not with_clips:
        digests = {name: reference_to(clip) for name, clip in clips.items()}
        return "application/x-www-form-urlencoded", urlencode({**fields, **digests}).encode()
    boundary = secrets.token_hex(16)
    parts = [_part(boundary, name, None, text.encode()) for name, text in fields.items()]
    parts += [_part(boundary, name, clip, clip.data) for name, clip in clips.items()]
    return f"multipart/form-data; boundary={boundary}", b"".join(parts) + f"--{boundary}--\r\n".encode()


def _part(boundary: str, name: str, clip: Clip | None, data: bytes) -> bytes:
    """Return one field: https://www.rfc-editor.org/rfc/rfc7578, its file name as in RFC 5987."""
    file = ""
    if clip:
        file = f"; filename*=UTF-8''{quote(clip.name, safe='')}\r\ncontent-type: application/octet-stream"
    return f'--{boundary}\r\ncontent-disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + data + b"\r\n"
