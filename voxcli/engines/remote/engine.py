"""The engine that lets a server speak."""

import hashlib
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from http import HTTPStatus
from itertools import chain

from filelock import FileLock

from voxcli.audio.chunk import AudioChunk
from voxcli.engines.remote.fallbacks import WORDS, Ways
from voxcli.engines.remote.http import Transport, Trouble, beginning_of, lower_case
from voxcli.engines.remote.probe import Memory, Server, find_out, look_closer
from voxcli.engines.remote.response_audio import heard
from voxcli.engines.remote.settings import RemoteSettings, root_of, versioned
from voxcli.engines.remote.voices import RemoteVoice, list_voices
from voxcli.errors import NotFound, RemoteCut, RemoteError
from voxcli.protocols.dialect import DRAWS_VOICES
from voxcli.protocols.gptsovits.messages import without_failure
from voxcli.protocols.names import Dialect
from voxcli.synthesis.request import Speech, SynthesisRequest

_MANY = 64
"""Streams that a server may be asked for at once. It says itself how many are too many."""
_GONE = (404, 405)
_LIST_SECONDS = 60.0
"""So long a list of voices is taken for true."""

_log = logging.getLogger(__name__)


class _AnotherWay(Exception):
    """This way did not work, and there is another one."""


class RemoteEngine:
    """A server as an `Engine`. Where a server mixes streams up, they take turns, whoever of this user asks for them."""

    def __init__(self, settings: RemoteSettings) -> None:
        """Find out what the server is, if that is not known.

        Raises:
            RemoteError: it cannot be reached, or nothing tells what it speaks.
            RequestError: the key cannot be one.
        """
        self._settings = settings
        self._memory = Memory(settings.cache / "servers.json") if settings.cache else None
        self._transport = Transport(settings)
        with ExitStack() as undo:
            undo.callback(self._transport.close)
            self.server = self._identified()
            undo.pop_all()
        dialect = self.server.dialect
        self._base = versioned(settings.url) if dialect is Dialect.OPENAI else root_of(settings.url)
        self._lock = threading.Lock()
        self._listed: list[RemoteVoice] | None = None
        self._listed_at = -math.inf
        self.slots = _MANY if self.server.is_voxcli or dialect is Dialect.OPENAI else 1
        self.draws_voices = dialect is Dialect.VOXCPM
        named = "ref_audio_path" in settings.options.extra
        self.wants_recording = dialect is Dialect.GPT_SOVITS and self.server.version > 1 and not named
        """Whether it says nothing for those who name no voice."""

    def stream(self, request: SynthesisRequest) -> Speech:
        yield from self.stream_watched(request, lambda data: None)

    def stream_watched(self, request: SynthesisRequest, on_bytes: Callable[[bytes], None]) -> Speech:
        """Stream, and tell of encoded sound as soon as it is there, before it is decoded."""
        ways = Ways(self.server, request, self._settings.options, as_asked=self._settings.as_asked)
        self._check_voice(request)
        with self._turn():
            first, rest = self._transport.persistently(lambda: self._begun(ways, on_bytes))
            with closing(rest):
                yield from self._told(first, rest)

    def voices(self) -> list[RemoteVoice] | None:
        """Ask who can speak there; None if the server does not tell.

        Raises:
            RemoteError: it cannot be reached.
        """
        return list_voices(self._transport, self._base, self.server.dialect)

    def knows_voice(self, name: str) -> bool:
        """Tell whether the server has a voice of that name, for whoever speaks through us to others.

        What a server does not tell is left to it where a wrong name is refused, and denied where it is a path.

        Raises:
            RemoteError: it cannot be reached.
        """
        if time.monotonic() - self._listed_at > _LIST_SECONDS:
            self._listed, self._listed_at = self.voices(), time.monotonic()
        if self._listed is None:
            return self.server.dialect is Dialect.OPENAI
        return any(voice.name == name for voice in self._listed)

    def close(self) -> None:
        self._transport.close()

    def _begun(self, ways: Ways, on_bytes: Callable[[bytes], None]) -> tuple[AudioChunk, Speech]:
        """Return the first chunk, and what brings the others."""
        while True:
            sound = self._answer(ways, on_bytes)
            if self.server.dialect is Dialect.GPT_SOVITS:
                sound = without_failure(sound)
            try:
                return next(sound), sound
            except StopIteration:
                raise RemoteError(f"{self._settings.url} sends nothing that could be heard.") from None
            except _AnotherWay:
                _log.debug("%s is asked in another way", self._settings.url)
            except RemoteCut as error:
                if not ways.after_silence():
                    raise Trouble(RemoteError(str(error))) from error
                _log.debug("%s Asking for the whole instead", error)

    def _answer(self, ways: Ways, on_bytes: Callable[[bytes], None]) -> Speech:
        """Ask once. The connection is closed when the generator is."""
        call, words = ways.call, WORDS[self.server.dialect]
        with self._transport.answered(self._base, call) as response:
            status, headers = response.status_code, lower_case(response)
            if status != HTTPStatus.OK:
                body = beginning_of(response)
                if ways.after_refusal(status, body):
                    raise _AnotherWay
                if status in _GONE:
                    self._forget()
                self._transport.refuse(response, words.error_message(status, body))
            if DRAWS_VOICES in headers:
                self.draws_voices = headers[DRAWS_VOICES] == "true"
            form = words.answer_form(headers, call)
            yield from heard(
                response.iter_bytes(),
                form,
                self._settings.url,
                lambda body: words.error_message(status, body),
                on_bytes,
            )

    def _told(self, first: AudioChunk, rest: Speech) -> Speech:
        """Pass all on. Whatever goes wrong by now, it is the end."""
        seconds = 0.0
        try:
            for chunk in chain([first], rest):
                yield chunk
                seconds += chunk.seconds
        except RemoteError as error:
            raise RemoteCut(f"{error} {seconds:.1f} s of sound came before.") from error

    def _check_voice(self, request: SynthesisRequest) -> None:
        """Refuse a name that a server of VoxCPM's does not know: it would let somebody else speak."""
        name = request.voice.name
        if name is None or self.server.is_voxcli or self.server.dialect is not Dialect.VOXCPM:
            return
        known = [voice.name for voice in self.voices() or []]
        if name not in known:
            raise NotFound(f"{self._settings.url} has no voice {name!r}. It has: {', '.join(known) or 'none'}.")

    def _identified(self) -> Server:
        """Find out what the server is, or remember it."""
        url, dialect, now = self._settings.url, self._settings.dialect, time.time()
        if self._memory and (known := self._memory.find(self._name, now)):
            return known
        server = look_closer(self._transport, url, dialect) if dialect else find_out(self._transport, url)
        _log.debug("%s is %s", url, server)
        if self._memory:
            self._memory.keep(self._name, server, now)
        return server

    def _forget(self) -> None:
        if self._memory:
            self._memory.forget(self._name)

    @property
    def _name(self) -> str:
        """Under which the server is remembered: what it is depends on how it is to be spoken to."""
        return f"{self._settings.dialect or 'auto'} {self._settings.url}"

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait until nobody else of this user has the server speak, if it can do one thing at a time only."""
        if self.slots > 1:
            yield
            return
        with ExitStack() as held:
            held.enter_context(self._lock)
            if cache := self._settings.cache:
                name = hashlib.sha256(self._base.encode()).hexdigest()[:16]
                with suppress(OSError):  # who cannot write there takes turns with nobody else
                    cache.mkdir(parents=True, exist_ok=True)
                    held.enter_context(FileLock(cache / f"{name}.lock"))
            yield
