"""Service behind all routes: a model, a voice library, and the steps from a request to its response."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any, TypeAlias

from starlette.requests import Request

from voxcli.errors import NotFound
from voxcli.protocols.dialect import Problem, ServerRequest
from voxcli.server.admission import Admission
from voxcli.server.errors import Refusal, problem_of
from voxcli.server.keys import CLIENT
from voxcli.server.language_model import LanguageModel
from voxcli.server.model_lifecycle import ModelLifecycle
from voxcli.server.monitoring import Ending, EngineHeartbeat, Metrics, Replicas, RequestRecord
from voxcli.server.operating.access import REQUEST_ID, Observer, new_record
from voxcli.server.private.clips import ClipStore
from voxcli.server.private.errors import LateErrors, describe_error
from voxcli.server.private.holds import HOLD_HEADER, Holds
from voxcli.server.private.keep_alive import HEADER, KeepAlive, read_seconds
from voxcli.server.private.sockets import is_private
from voxcli.server.settings import ServerSettings
from voxcli.server.streaming.rendering import Rendering
from voxcli.server.streaming.response import DisconnectWatcher, ResponseStream, SpeechResponse, ending_of
from voxcli.server.streaming.spool import SpooledSpeech, SpoolSpace
from voxcli.server.streaming.utterance import NO_WORDS, StreamedUtterance, UtteranceSettings
from voxcli.server.streaming.websocket import Sockets
from voxcli.server.streaming.worker import Threads, Worker
from voxcli.server.utterances import Caller, Utterances
from voxcli.server.voice_choice import VoiceChoice
from voxcli.synthesis.request import Parameter, SynthesisRequest
from voxcli.voices import VoiceLibrary
from voxcli.voices.named import EVERY_MODEL_HAS_IT, find_named

_log = logging.getLogger(__name__)

PROBE = SynthesisRequest(text="One.")
"""What a model speaks to show that it works."""

_UNLIMITED_SECONDS = 365 * 24 * 60 * 60.0
"""For programs of the user who runs the server: they wait, pause and are suspended as long as that user likes."""

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
        keep_alive: KeepAlive | None = None,
        about: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """
        Args:
            knows_voice: whether the engine has a voice of that name. The library takes precedence.
            why_reserved: returns why no new voice can have a name; None if one can.
            probe: request for readiness checks; None where speech costs money.
            keep_alive: None never ends the server.
            about: what `GET /private/state` says besides.
        """
        self.settings = settings
        self.voices = voices
        self.models = models
        self.threads = Threads("speech")
        self.metrics = Metrics()
        self.heartbeat = EngineHeartbeat()
        self.probe = probe
        self.admission = Admission(models.slots, settings.queue, settings.wait_seconds)
        self.keep_alive = keep_alive or KeepAlive()
        self.about = about
        self.clips, self.clips_of_clients = ClipStore(), ClipStore()
        self.holds = Holds(self.keep_alive)
        self.late_errors = LateErrors()
        self.at_end: list[Callable[[], Awaitable[None]]] = []  # called when everything has been answered
        self.observers: list[Observer] = []  # of each request that has ended
        self.stop: Callable[[bool], None] | None = None
        """Ends the server, at once or after what is being spoken; None if it is not this user's resident engine."""
        self.replicas: Replicas | None = None
        """All copies of this server; None if it is the only one."""
        self.language_model = LanguageModel(settings.language_model) if settings.language_model else None
        self.why_reserved = why_reserved
        self.choice = VoiceChoice(settings.voice, voices, models, knows_voice)
        self._space = SpoolSpace(
            self.threads, memory_bytes=settings.spool_memory_bytes, file_bytes=settings.spool_file_bytes
        )
        self._watchers: dict[DisconnectWatcher, RequestRecord] = {}
        """Of requests that have no answer yet, or not all of it."""
        self._all_answered = asyncio.Event()
        self._all_answered.set()
        self.utterances = Utterances(
            settings,
            self.threads,
            self.admission,
            models,
            self.choice,
            self.metrics,
            heartbeat=self.heartbeat,
            keep_alive=self.keep_alive,
        )
        self.sockets = Sockets(settings, self.metrics)
        self.metrics.queue_limit.set_function(lambda: self.admission.queue)
        self.metrics.slots.set_function(lambda: self.admission.slots)
        self.metrics.slots_used.set_function(lambda: self.admission.used)
        self.metrics.queue_depth.set_function(lambda: self.admission.depth)
        self.metrics.answers_open.set_function(lambda: len(self._watchers))
        self.metrics.spooled_bytes.set_function(lambda: self._space.used_bytes)
        self.metrics.model_loaded.set_function(lambda: self.models.loaded)

    async def start(self) -> None:
        """Load the model, unless that is lazy. Raises VoxError."""
        finding = [self.language_model.start()] if self.language_model else []
        await asyncio.gather(self.models.start(), *finding)
        self.admission.slots = self.models.slots

    async def drain(self) -> bool:
        """Accept no new requests and wait until every answer has been taken. After the deadline, return False.

        Answers that are not taken by then are aborted.
        """
        self.admission.drain()
        self.sockets.drain()
        try:
            async with asyncio.timeout(self.settings.drain_seconds):
                await self.holds.wait_until_none()
                await self._all_answered.wait()
                await self.utterances.wait_until_none()
                await self.sockets.wait_until_none()
        except TimeoutError:
            self.holds.end()
            left = len(self._watchers) + len(self.utterances)
            if not left:
                return True
            _log.warning("aborted %d streams that did not finish in time", left)
            self.utterances.abort()
            for watcher in list(self._watchers):
                watcher.stop_watching()
            return False
        return True

    def abort(self) -> None:
        """Cut off everything that is being spoken, and wait for no further part of it."""
        self.holds.end()
        self.utterances.abort()
        for watcher, record in list(self._watchers.items()):
            if record.admitted is not None:
                watcher.stop_watching()

    async def close(self) -> None:
        """Unload the model for good."""
        self.keep_alive.close()
        await self.models.close()
        if self.language_model:
            await self.language_model.close()
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
        private, record, watcher = is_private(http.scope), new_record(http.scope), DisconnectWatcher(http.receive)
        self._watchers[watcher] = record
        self._all_answered.clear()
        self.keep_alive.begin()

        def end(record: RequestRecord, ending: Ending) -> None:
            watcher.stop_watching()
            self.metrics.note(record, ending)
            if self._watchers.pop(watcher, None):
                self.keep_alive.end()
            if not self._watchers:
                self._all_answered.set()

        try:
            if private:
                self.keep_alive.touch(read_seconds(http.headers.get(HEADER)))
            else:
                self._check(server_request)
            async with AsyncExitStack() as held:
                rendering, worker = await self._begin(http, server_request, watcher, held, record)
                speech = SpooledSpeech(worker, held.pop_all(), self._space)
            try:
                first = await watcher.run_until_disconnect(_first(speech, rendering, may_be_empty=private))
            except BaseException:
                await speech.close()
                raise
            stream = ResponseStream(
                speech=speech,
                first=first,
                form=server_request.form,
                watcher=watcher,
                record=record,
                send_seconds=_UNLIMITED_SECONDS if private else self.settings.send_seconds,
                pause_seconds=_UNLIMITED_SECONDS if private else self.settings.pause_seconds,
            )
            more = {**headers(server_request, rendering.sample_rate), **rendering.headers()}
            return SpeechResponse(stream, more, end, partial(self._keep_error, http))
        except BaseException as error:
            end(record, ending_of(error))
            raise

    def utterance(
        self, protocol: str, caller: Caller, settings: UtteranceSettings, *, described: bool = False
    ) -> AbstractAsyncContextManager[StreamedUtterance]:
        """Open a text that is spoken while it is being written; see `Utterances.open`."""
        return self.utterances.open(protocol, caller, settings, described=described)

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
        private = is_private(http.scope)
        wait = _UNLIMITED_SECONDS if private else self.settings.wait_seconds
        client = getattr(http.state, CLIENT, "")
        holds = private and http.headers.get(HOLD_HEADER) in self.holds
        await watcher.run_until_disconnect(self.admission.enter(client, limited=not private, holds=holds))
        record.admit()
        held.push(partial(self._leave, record))
        engine = await watcher.run_until_disconnect(held.enter_async_context(self.models.in_use(wait)))
        self.admission.slots = self.models.slots
        if not private:
            described = Parameter.STYLE in server_request.parameters.values()
            asked = partial(self.choice.for_everybody, server_request.request, engine, described=described)
            server_request = replace(server_request, request=await self.threads.call(asked))
        find_voice = self.choice.find
        rendering = Rendering(engine, server_request, self.heartbeat, self.models.name, find_voice=find_voice)
        record.begin(self.models.name, server_request.request.voice.name, rendering.timings)
        worker = Worker(self.threads, rendering.pieces)
        held.push_async_callback(worker.close)
        held.callback(rendering.stop)  # is called before the worker is closed
        return rendering, worker

    def _keep_error(self, http: Request, error: Exception) -> None:
        if is_private(http.scope):
            self.late_errors.keep(getattr(http.state, REQUEST_ID), describe_error(error, problem_of(error)))

    def _leave(self, record: RequestRecord, kind: type[BaseException] | None, *_: object) -> None:
        """Release the slot. What a request takes is known only if it was finished, and counts without the loading."""
        taken = record.finish()
        self.admission.leave(taken if kind is None else None)


async def _first(speech: SpooledSpeech, rendering: Rendering, *, may_be_empty: bool) -> bytes:
    try:
        first = await speech.next()
    except NotFound as error:  # the requested language or voice
        raise Refusal(Problem(status=400, message=str(error), code="not_found")) from error
    if first is None and may_be_empty:
        return b""
    if first is None:
        raise _no_sound() if rendering.has_words else Refusal(NO_WORDS)
    return first


def _no_sound() -> Refusal:
    return Refusal(Problem(status=500, message="The model generated no audio.", code="no_sound"))
