"""Service behind all routes: a model, a voice library, and the steps from a request to its response."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from starlette.requests import Request

from voxcli.errors import ConsumerClosed, NotFound, RequestError
from voxcli.protocols.dialect import Problem, ServerRequest
from voxcli.server.admission import Admission
from voxcli.server.errors import Refusal
from voxcli.server.middleware import CLIENT
from voxcli.server.model_lifecycle import ModelLifecycle
from voxcli.server.monitoring import Ending, EngineHeartbeat, Metrics, RequestRecord
from voxcli.server.settings import ServerSettings
from voxcli.server.streaming.rendering import Rendering
from voxcli.server.streaming.response import DisconnectWatcher, ResponseStream, SpeechResponse
from voxcli.server.streaming.spool import SpooledSpeech, SpoolSpace
from voxcli.server.streaming.worker import Threads, Worker
from voxcli.synthesis.request import (
    Abilities,
    Engine,
    HasVoices,
    Parameter,
    SynthesisRequest,
    Voice,
    abilities_of,
    can_speak_with,
    check_description,
)
from voxcli.voices import VoiceLibrary
from voxcli.voices.named import DEFAULT, EVERY_MODEL_HAS_IT, find_named

_log = logging.getLogger(__name__)

PROBE = SynthesisRequest(text="One.")
"""What a model speaks to show that it works."""

_NO_WORDS = Problem(status=400, message="The text has no words: there is nothing to speak.", code="no_words")

AnswerHeaders: TypeAlias = Callable[[ServerRequest, int], dict[str, str]]
"""Builds response headers from a request and the sample rate of the response in Hz."""


class Service:
    """One model behind HTTP. Used on the event loop; blocking work runs on `threads`."""

    def __init__(
        self,
        settings: ServerSettings,
        voices: VoiceLibrary,
        models: ModelLifecycle,
        *,
        knows_voice: Callable[[str], bool] = lambda name: False,
        why_reserved: Callable[[str], str | None] = lambda name: EVERY_MODEL_HAS_IT if find_named(name) else None,
        probe: SynthesisRequest | None = PROBE,
    ) -> None:
        """
        Args:
            knows_voice: whether the engine has a voice of that name. The library takes precedence.
            why_reserved: returns why no new voice can have a name; None if one can.
            probe: request for readiness checks; None where speech costs money.
        """
        self.settings = settings
        self.voices = voices
        self.models = models
        self.threads = Threads("speech")
        self.metrics = Metrics()
        self.heartbeat = EngineHeartbeat()
        self.probe = probe
        self.admission = Admission(models.slots, settings.queue, settings.wait_seconds)
        self.why_reserved = why_reserved
        self._knows_voice = knows_voice
        self._space = SpoolSpace(
            self.threads, memory_bytes=settings.spool_memory_bytes, file_bytes=settings.spool_file_bytes
        )
        self._watchers: set[DisconnectWatcher] = set()
        """Of requests that have no answer yet, or not all of it."""
        self._all_answered = asyncio.Event()
        self._all_answered.set()
        self.metrics.queue_limit.set_function(lambda: self.admission.queue)
        self.metrics.slots.set_function(lambda: self.admission.slots)
        self.metrics.slots_used.set_function(lambda: self.admission.used)
        self.metrics.queue_depth.set_function(lambda: self.admission.depth)
        self.metrics.answers_open.set_function(lambda: len(self._watchers))
        self.metrics.spooled_bytes.set_function(lambda: self._space.used_bytes)
        self.metrics.model_loaded.set_function(lambda: self.models.loaded)

    def find_voice(self, name: str) -> Voice | None:
        """Find a voice: of the library, the server's default, or of the engine.

        Reads files: from the event loop, call it on `threads`.
        """
        if own := self.voices.find(name):
            return own
        if self.settings.voice and name.lower() == DEFAULT:
            return self.default_voice
        return Voice(name=name) if self._has_voice(name) else None

    @property
    def default_voice(self) -> Voice | None:
        """The voice of requests that name none; None if the engine chooses. Reads files."""
        if name := self.settings.voice:
            return self.voices.find(name) or Voice(name=name)
        return Voice(name=DEFAULT) if self._has_voice(DEFAULT) else None

    def with_voice(self, request: SynthesisRequest, engine: Engine) -> SynthesisRequest:
        """Set the default voice if a request names none. Reads files.

        A seed, or a description that the engine follows, asks for a voice that is drawn. Then only a voice that was
        chosen for this server takes its place.
        """
        voice = request.voice
        if voice.name or voice.reference or voice.prompt:
            return request
        drawn = request.sampling.seed is not None or (voice.style and abilities_of(engine).styles)
        if (default := self.default_voice) is None or (drawn and not self.settings.voice):
            return request
        return replace(request, voice=replace(default, style=voice.style or default.style))

    def _has_voice(self, name: str) -> bool:
        engine = self.models.engine
        return self._knows_voice(name) or (isinstance(engine, HasVoices) and name.lower() in engine.voice_names)

    def voice_names(self) -> list[str]:
        """Return the voices of the library that the engine can speak with, and then its own. Reads files."""
        engine = self.models.engine
        abilities = abilities_of(engine) if engine else Abilities()
        described = ((name, self.voices.describe(name)) for name in self.voices.names())
        kept = [name for name, found in described if found and can_speak_with(found[0], abilities)]
        own: list[str] = sorted(engine.voice_names) if isinstance(engine, HasVoices) else []
        return [*kept, *(name for name in own if name not in kept)]

    async def start(self) -> None:
        """Load the model, unless that is lazy. Raises VoxError."""
        await self.models.start()
        self.admission.slots = self.models.slots

    async def drain(self) -> bool:
        """Accept no new requests and wait until every answer has been taken. After the deadline, return False.

        Answers that are not taken by then are aborted.
        """
        self.admission.drain()
        try:
            async with asyncio.timeout(self.settings.drain_seconds):
                await self._all_answered.wait()
        except TimeoutError:
            _log.warning("aborted %d streams that did not finish in time", len(self._watchers))
            for watcher in list(self._watchers):
                watcher.stop_watching()
            return False
        return True

    async def close(self) -> None:
        """Unload the model for good."""
        await self.models.close()
        self._space.close()
        self.threads.close()

    async def speak(self, http: Request, server_request: ServerRequest, headers: AnswerHeaders) -> SpeechResponse:
        """Admit a request, generate its first chunk, and return the response that streams the rest.

        Args:
            http: the request, whose body has been read.
            headers: of the response.

        Raises:
            Refusal: the request was not admitted, or its text has no words.
            VoxError: generation failed before the first chunk.
            ConsumerClosed: the client disconnected.
        """
        record, watcher = RequestRecord(), DisconnectWatcher(http.receive)
        self._watchers.add(watcher)
        self._all_answered.clear()

        def end(record: RequestRecord, ending: Ending) -> None:
            watcher.stop_watching()
            self.metrics.note(record, ending)
            self._watchers.discard(watcher)
            if not self._watchers:
                self._all_answered.set()

        try:
            self._check(server_request)
            async with AsyncExitStack() as held:
                rendering, worker = await self._begin(http, server_request, watcher, held, record)
                speech = SpooledSpeech(worker, held.pop_all(), self._space)
            try:
                first = await watcher.run_until_disconnect(_first(speech, rendering))
            except BaseException:
                await speech.close()
                raise
            stream = ResponseStream(
                speech=speech,
                first=first,
                form=server_request.form,
                watcher=watcher,
                record=record,
                send_seconds=self.settings.send_seconds,
                pause_seconds=self.settings.pause_seconds,
            )
            more = {**headers(server_request, rendering.sample_rate), **rendering.headers()}
            return SpeechResponse(stream, more, end)
        except BaseException as error:
            end(record, _ending(error))
            raise

    async def try_out(self) -> None:
        """Generate the first chunk of the probe. Raises VoxError if that fails."""
        if not self.probe:
            return
        probe = self.probe
        async with self.models.in_use(1.0, counts=False) as engine:
            worker = Worker(self.threads, lambda: self.heartbeat.watched(engine.stream(probe)))
            try:
                if await worker.next() is None:
                    raise _no_sound()
            finally:
                await worker.close()

    def _check(self, server_request: ServerRequest) -> None:
        most = self.settings.max_characters
        if len(server_request.request.text) > most:
            message = f"The text is too long: at most {most} characters are allowed."
            raise Refusal(Problem(status=400, message=message, code="string_above_max_length"))

    async def _begin(
        self,
        http: Request,
        server_request: ServerRequest,
        watcher: DisconnectWatcher,
        held: AsyncExitStack,
        record: RequestRecord,
    ) -> tuple[Rendering, Worker[bytes]]:
        """Take a slot and the engine, and start generating. What must be released is pushed onto `held`."""
        wait = self.settings.wait_seconds
        client = getattr(http.state, CLIENT, "")
        await watcher.run_until_disconnect(self.admission.enter(client))
        record.admitted = time.perf_counter()
        held.push(partial(self._leave, record))
        engine = await watcher.run_until_disconnect(held.enter_async_context(self.models.in_use(wait)))
        self.admission.slots = self.models.slots
        request = await self.threads.call(lambda: self.with_voice(server_request.request, engine))
        server_request = replace(server_request, request=request)
        if Parameter.STYLE not in server_request.parameters.values():
            check_description(server_request.request.voice, abilities_of(engine))
        rendering = Rendering(engine, server_request, self.heartbeat)
        record.timings = rendering.timings
        record.asked = time.perf_counter()
        worker = Worker(self.threads, rendering.pieces)
        held.push_async_callback(worker.close)
        held.callback(rendering.stop)  # is called before the worker is closed
        return rendering, worker

    def _leave(self, record: RequestRecord, kind: type[BaseException] | None, *_: object) -> None:
        """Release the slot. What a request takes is known only if it was finished, and counts without the loading."""
        measured = kind is None and record.asked is not None
        self.admission.leave(time.perf_counter() - record.asked if measured and record.asked else None)


async def _first(speech: SpooledSpeech, rendering: Rendering) -> bytes:
    try:
        first = await speech.next()
    except NotFound as error:  # the requested language or voice
        raise Refusal(Problem(status=400, message=str(error), code="not_found")) from error
    if first is None:
        raise _no_sound() if rendering.has_words else Refusal(_NO_WORDS)
    return first


def _no_sound() -> Refusal:
    return Refusal(Problem(status=500, message="The model generated no audio.", code="no_sound"))


def _ending(error: BaseException) -> Ending:
    match error:
        case ConsumerClosed():
            return Ending.CLIENT_LEFT
        case Refusal() | RequestError() | NotFound():
            return Ending.REFUSED
        case _:
            return Ending.FAILED
