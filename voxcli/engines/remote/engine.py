"""Remote engine: synthesis on a server, over any of the supported protocols."""

import hashlib
import logging
import re
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from http import HTTPStatus
from itertools import chain
from typing import NoReturn

import httpx
from filelock import FileLock

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.format import AudioFormat
from voxcli.backoff import RetryableError
from voxcli.engines.remote.fallbacks import DIALECT_CLIENTS, NOT_FOUND_STATUSES, FallbackPlan
from voxcli.engines.remote.http import Transport, lower_case_headers, read_start
from voxcli.engines.remote.identification import Identification
from voxcli.engines.remote.openai_plan import MODEL, VOICE, OpenAiPlan, find_subject, listing
from voxcli.engines.remote.probe import serves_model
from voxcli.engines.remote.response_audio import decode_response
from voxcli.engines.remote.settings import RemoteSettings, is_openai, root_of
from voxcli.engines.remote.text_settings import open_text_stream
from voxcli.engines.remote.voices import RemoteVoice, VoiceList
from voxcli.errors import NotFound, RemoteCut, RemoteError, RemoteRefused, VoxError
from voxcli.protocols.dialect import DRAWS_VOICES, ClientOptions, HttpCall, read_identity
from voxcli.protocols.gptsovits.messages import without_failure
from voxcli.protocols.names import Dialect
from voxcli.protocols.openai.servers import Catalog, Choice, choose_model, draws_voices
from voxcli.protocols.voxcpm.engines import ServerState
from voxcli.protocols.voxcpm.exact import reference_to
from voxcli.synthesis.identity import SERVER, ModelIdentity
from voxcli.synthesis.pipeline import Delivery, WrittenText
from voxcli.synthesis.request import LEAST_SYLLABLES, Abilities, Parameter, Piece, Sampling, Speech, SynthesisRequest
from voxcli.synthesis.timing import Stopwatch
from voxcli.text.marks import VOXCPM2_TAGS
from voxcli.text.phonemes import Alphabet

_CONCURRENT_STREAMS = 64
"""Limit for servers that handle concurrent streams. They refuse requests beyond their own limit."""

_MOST_HELD = 64
"""Recordings that a server is taken to hold still. It says when it does not."""

_log = logging.getLogger(__name__)

_STALE_STATUSES = (400, 404, 405, 422)
"""Statuses with which a server refuses a model that it does not serve any more."""


def _kind_of(request: SynthesisRequest) -> tuple[bool, bool]:
    """Return what a choice depends on."""
    return request.voice.style is not None, request.speed == 1.0


def _has_gaps(options: ClientOptions) -> bool:
    """Whether GPT-SoVITS would stream AAC, whose parts are longer than their speech and cannot be joined."""
    return options.format is AudioFormat.AAC and options.stream and options.mode != 0


class _NextVariant(Exception):
    """The server refused this variant of the request, and the plan has another one."""


class RemoteEngine:
    """A server as an `Engine`.

    Some servers mix up concurrent streams. Requests to them wait for each other, across all processes of this user.
    """

    def __init__(self, settings: RemoteSettings) -> None:
        """Detect the server's protocol, unless it is cached.

        Raises:
            RemoteError: the server cannot be reached, or its protocol is not recognized.
            RequestError: the key is not valid.
        """
        self._settings = settings
        self._transport = Transport(settings)
        with ExitStack() as undo:
            undo.callback(self._transport.close)
            self._identification = Identification(self._transport, settings)
            self.server = self._identification.identify()
            undo.pop_all()
        dialect = self.server.dialect
        if dialect is Dialect.GPT_SOVITS and _has_gaps(settings.options):
            _log.warning(
                "GPT-SoVITS makes every part of a stream an AAC file of its own, with silence at its ends. "
                "WAV is requested instead."
            )
            self._settings = replace(settings, options=replace(settings.options, format=AudioFormat.WAV))
        self._lock = threading.Lock()
        self._voices = VoiceList(self._transport)
        mixes_streams_up = dialect is not Dialect.OPENAI and not self.server.is_voxcli
        self._one_at_a_time = mixes_streams_up and not settings.concurrent
        self.slots = 1 if self._one_at_a_time else _CONCURRENT_STREAMS
        self.state: ServerState | None = None
        """What one of our own servers last told of itself."""
        self.draws_voices = (dialect is Dialect.VOXCPM and not self.server.route) or self._holds_no_voice()
        self._accepted: dict[tuple[bool, bool], Choice] = {}
        """What the server has accepted, for requests with and without a description, at the usual speed or another."""
        self._held: deque[str] = deque(maxlen=_MOST_HELD)
        """References to the recordings that the server has got last."""
        self._warned = False
        self._identity: ModelIdentity | None = None
        # A server of VoxCPM's protocol leaves out by itself the tags that its model does not perform.
        self.abilities = Abilities(
            least_syllables=LEAST_SYLLABLES,
            tags=VOXCPM2_TAGS if dialect is Dialect.VOXCPM else frozenset(),
            phonemes=frozenset({Alphabet.ARPABET, Alphabet.PINYIN} if dialect is Dialect.VOXCPM else ()),
        )
        if self.server.is_voxcli and dialect is Dialect.VOXCPM:
            with suppress(RemoteError):  # the request for speech tells
                self.refresh()
        has_clip = "ref_audio_path" in settings.options.extra
        self.wants_recording = dialect is Dialect.GPT_SOVITS and self.server.version > 1 and not has_clip
        """Whether each request needs a voice with a recording."""

    @property
    def identity(self) -> ModelIdentity:
        """The model that answered last, as far as the server tells."""
        catalog, options = self.server.catalog or Catalog(), self._settings.options
        name = options.model or choose_model(catalog, styled=False) or "a server"
        return self._identity or ModelIdentity(name=re.split(r"[/\\]", name)[-1], device=SERVER)

    def refresh(self, read_seconds: float | None = None) -> None:
        """Read again what the server tells of itself, if it is one of our own.

        read_seconds: for its answer; None waits as long as for speech.

        Raises:
            RemoteError: it cannot be reached.
        """
        self.state = state = self._identification.read_state(self.server, read_seconds)
        if state and (engine := state.engine):
            # The text is split here, as for an engine of this machine, and so every byte is the same.
            self._settings = replace(self._settings, options=replace(self._settings.options, as_is=True))
            self.abilities, self.draws_voices = engine.to_abilities(), engine.draws_voices
            self._identity = engine.to_identity()
        if state and state.model_loaded and state.slots:
            self.slots = state.slots

    def stream(self, request: SynthesisRequest) -> Speech:
        yield from self.stream_watched(request, lambda data: None)

    def stream_watched(self, request: SynthesisRequest, on_bytes: Callable[[bytes], None]) -> Speech:
        """Stream, and call `on_bytes` with the encoded audio as it arrives, before it is decoded."""
        self._check_voice(request)
        with self._exclusive_access():
            plan = self._new_plan(request)
            try:
                first, rest = self._transport.with_retries(lambda: self._start(plan, on_bytes))
            except RemoteRefused as refused:
                if refused.status not in _STALE_STATUSES:
                    raise
                found = self._identification.identify_again(self.server)
                if found is None:
                    raise
                self.server = found
                self._accepted.clear()
                plan = self._new_plan(request)
                first, rest = self._transport.with_retries(lambda: self._start(plan, on_bytes))
            if isinstance(plan, OpenAiPlan):
                self._accepted[_kind_of(request)] = plan.choice
                self.server = replace(self.server, prefix=plan.prefix)
            with closing(rest):
                yield from self._relay(first, rest)

    def stream_text(self, text: WrittenText, delivery: Delivery, stopwatch: Stopwatch) -> Generator[Piece] | None:
        """Send a text while it is being written; None if the server does not take it, or not in this manner."""
        stream = open_text_stream(self.server, self._settings, delivery, markdown=text.markdown)
        return stream.pieces(text, stopwatch) if stream else None

    def _new_plan(self, request: SynthesisRequest) -> FallbackPlan | OpenAiPlan:
        server, options, no_fallback = self.server, self._settings.options, self._settings.no_fallback
        if server.dialect is not Dialect.OPENAI:
            return FallbackPlan(server, request, options, no_fallback=no_fallback, held=frozenset(self._held))
        catalog, accepted = server.catalog or Catalog(), self._accepted.get(_kind_of(request))
        return OpenAiPlan(
            catalog, server.prefix, request, options, self._voice_names, accepted, no_fallback=no_fallback
        )

    def left_out(self, request: SynthesisRequest) -> frozenset[Parameter]:
        """Return the sampling parameters that are left out of a request, because the protocol cannot express them."""
        if request.sampling == Sampling():
            return frozenset()
        try:
            return self._new_plan(request).left_out
        except VoxError:  # raised again when it is to be spoken
            return frozenset()

    def voices(self) -> list[RemoteVoice] | None:
        """Return the server's named voices; None if it has no list of them.

        Raises:
            RemoteError: it cannot be reached.
        """
        return self._voices.read(self._base_of(self.server.prefix), self.server)

    def _voice_names(self) -> list[str]:
        try:
            return [voice.name for voice in self.voices() or []]
        except RemoteError:
            return []

    def _base_of(self, prefix: str) -> str:
        """Return the URL that paths are appended to."""
        url = self.server.base or self._settings.url
        return url + prefix if self.server.dialect is Dialect.OPENAI else root_of(url)

    def knows_voice(self, name: str) -> bool:
        """Whether the server has a voice of that name, for a gateway that checks names before it forwards them.

        Raises:
            RemoteError: it cannot be reached.
        """
        return self._voices.knows(name, self._base_of(self.server.prefix), self.server)

    def takes_clips(self) -> bool:
        """Whether the server may imitate a recording, as far as it says so."""
        if self.server.dialect is not Dialect.VOXCPM:
            return False
        return not (self.server.is_voxcli and serves_model(self._transport, root_of(self._settings.url), "espeak"))

    def close(self) -> None:
        self._transport.close()

    def _start(self, plan: FallbackPlan | OpenAiPlan, on_bytes: Callable[[bytes], None]) -> tuple[AudioChunk, Speech]:
        """Return the first chunk, and the stream of the others."""
        while True:
            chunks = self._request_once(plan, on_bytes)
            if self.server.dialect is Dialect.GPT_SOVITS:
                chunks = without_failure(chunks)
            try:
                return next(chunks), chunks
            except StopIteration:
                raise RemoteError(f"{self._settings.url} sent audio without any samples.") from None
            except _NextVariant:
                _log.debug("%s refused the request; trying another variant of it", self._settings.url)
            except RemoteCut as error:
                if not plan.next_after_cut():
                    raise RetryableError(RemoteError(str(error))) from error
                _log.debug("%s Requesting the whole audio instead", error)

    def _request_once(self, plan: FallbackPlan | OpenAiPlan, on_bytes: Callable[[bytes], None]) -> Speech:
        """Send the current variant of the request and decode the response. Closing the generator closes it."""
        call, client = plan.call, DIALECT_CLIENTS[self.server.dialect]
        prefix = plan.prefix if isinstance(plan, OpenAiPlan) else ""
        with self._transport.send(self._base_of(prefix), call) as response:
            status, headers = response.status_code, lower_case_headers(response)
            if status != HTTPStatus.OK:
                body = read_start(response)
                if plan.next_after_refusal(status, body):
                    raise _NextVariant
                if status in NOT_FOUND_STATUSES:
                    self._identification.forget()  # perhaps another server runs there now
                self._refuse(response, body, call)
            if self.state and self.state.takes_hashes:
                self._held.extend(map(reference_to, call.files.values()))
            if DRAWS_VOICES in headers:
                self.draws_voices = headers[DRAWS_VOICES] == "true"
            self._identity = read_identity(headers) or self._identity
            form = client.answer_form(headers, call)
            is_unknown = form.format is AudioFormat.PCM and form.rate_is_guessed
            if is_unknown and isinstance(plan, OpenAiPlan) and plan.next_without_rate():
                raise _NextVariant
            yield from decode_response(
                response.iter_bytes(),
                form,
                self._settings.url,
                lambda body: client.error_message(status, body),
                on_bytes,
                self._warn_of_rate,
            )

    def _refuse(self, response: httpx.Response, body: bytes, call: HttpCall) -> NoReturn:
        """Raise the error for a response that is not a success; it lists what the server has instead."""
        status = response.status_code
        reason = DIALECT_CLIENTS[self.server.dialect].error_message(status, body)
        subject = find_subject(body) if status in _STALE_STATUSES else None
        given, catalog = call.json or call.form or {}, self.server.catalog
        if subject == MODEL and catalog and catalog.models:
            unknown = f"{reason.rstrip('.')}. Its models: {listing(catalog.models)}"
            self._transport.refuse(response, unknown, on_command_line="Choose one with --model NAME.", is_unknown=True)
        name = given.get("voice") or given.get("voice_id")
        if subject == VOICE and name and (known := self._voice_names()):
            unknown = reason if name in known else f"{reason.rstrip('.')}. Its voices: {listing(known)}"
            self._transport.refuse(
                response, unknown, on_command_line="Choose one with --voice NAME.", is_unknown=name not in known
            )
        self._transport.refuse(response, reason)

    def _warn_of_rate(self, rate: int) -> None:
        """Say once that a sample rate is a guess."""
        if not self._warned and not self.server.is_voxcli and not is_openai(self._settings.url):
            self._warned = True
            _log.warning(
                "%s does not say the sample rate of its samples, so %d Hz is a guess. If the pitch is wrong, request "
                "another format, such as WAV.",
                self._settings.url,
                rate,
            )

    def _holds_no_voice(self) -> bool:
        """Whether a server with OpenAI's protocol speaks each request without a voice in another one."""
        catalog = self.server.catalog or Catalog()
        return draws_voices(catalog, self._settings.options.model or choose_model(catalog, styled=False))

    def _relay(self, first: AudioChunk, rest: Speech) -> Speech:
        """Pass the chunks on. Errors are not retried any more, since part of the audio is out."""
        seconds = 0.0
        try:
            for chunk in chain([first], rest):
                yield chunk
                seconds += chunk.seconds
        except RemoteError as error:
            raise RemoteCut(f"{error} {seconds:.1f} s of audio had arrived.") from error

    def _check_voice(self, request: SynthesisRequest) -> None:
        """Refuse an unknown name of a voice, for which VoxCPM's own server would use another voice."""
        name = request.voice.name
        if name is None or self.server.is_voxcli or self.server.dialect is not Dialect.VOXCPM:
            return
        listed = self.voices()
        known = [voice.name for voice in listed or []]
        if name not in known and (listed is not None or not self.server.route):
            raise NotFound(f"{self._settings.url} has no voice {name!r}. Its voices: {', '.join(known) or 'none'}.")

    @contextmanager
    def _exclusive_access(self) -> Iterator[None]:
        """Wait for other requests of this user, if the server can handle only one at a time."""
        if not self._one_at_a_time:
            yield
            return
        with ExitStack() as held:
            held.enter_context(self._lock)
            if cache := self._settings.cache:
                name = hashlib.sha256(self._base_of("").encode()).hexdigest()[:16]
                with suppress(OSError, NotImplementedError):  # without a lock file, only this process is excluded
                    cache.mkdir(parents=True, exist_ok=True)
                    held.enter_context(FileLock(cache / f"{name}.lock"))
            yield
