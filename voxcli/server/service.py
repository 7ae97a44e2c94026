"""What stands behind all routes: a model, a library of voices, and the way from an order to an answer."""

import asyncio
import logging
import time
import weakref
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TypeAlias

from starlette.requests import Request

from voxcli.errors import ConsumerClosed, NotFound, RequestError
from voxcli.protocols.dialect import Problem, ServerRequest
from voxcli.server.admission import Admission
from voxcli.server.errors import Refusal
from voxcli.server.middleware import CLIENT
from voxcli.server.model_lifecycle import ModelLifecycle
from voxcli.server.monitoring import Ending, EngineHeartbeat, Metrics, Record
from voxcli.server.settings import ServerSettings
from voxcli.server.streaming.rendering import Rendering
from voxcli.server.streaming.response import DisconnectWatcher, SpeechResponse, Stream
from voxcli.server.streaming.worker import Threads, Worker
from voxcli.synthesis.request import SynthesisRequest, Voice
from voxcli.text.characters import is_speakable
from voxcli.voices import VoiceLibrary

_log = logging.getLogger(__name__)

PROBE = SynthesisRequest(text="One.")
"""What a model says to show that it works."""

_NO_WORDS = Problem(status=400, message="There is nothing to say: the text has no words.", code="no_words")

AnswerHeaders: TypeAlias = Callable[[ServerRequest, int], dict[str, str]]
"""Of an order and the sample rate, in Hz, at which its sound leaves."""


class Service:
    """One model behind HTTP. It lives on the event loop; what takes long is done by `threads`."""

    def __init__(
        self,
        settings: ServerSettings,
        voices: VoiceLibrary,
        models: ModelLifecycle,
        *,
        knows_voice: Callable[[str], bool] = lambda name: False,
        probe: SynthesisRequest | None = PROBE,
    ) -> None:
        """
        Args:
            knows_voice: whether the engine has a voice of that name. The library comes first.
            probe: what shows that it works; None where speaking costs somebody something.
        """
        self.settings = settings
        self.voices = voices
        self.models = models
        self.threads = Threads("speech")
        self.metrics = Metrics()
        self.heartbeat = EngineHeartbeat()
        self.probe = probe
        self.admission = Admission(models.slots, settings.queue)
        self._knows_voice = knows_voice
        self._watchers: weakref.WeakSet[DisconnectWatcher] = weakref.WeakSet()
        self.metrics.slots.set_function(lambda: self.admission.slots)
        self.metrics.slots_used.set_function(lambda: self.admission.used)
        self.metrics.queue_depth.set_function(lambda: self.admission.depth)
        self.metrics.model_loaded.set_function(lambda: self.models.loaded)

    def find_voice(self, name: str) -> Voice | None:
        """Find a voice. It reads files: on the event loop, have `threads` call it."""
        return self.voices.find(name) or (Voice(name=name) if self._knows_voice(name) else None)

    async def start(self) -> None:
        """Load the model, unless that is to wait. Raises what hinders it."""
        await self.models.start()
        self.admission.slots = self.models.slots

    async def drain(self) -> bool:
        """Take no new requests, and see out those that run. Break them off after the deadline, and return False."""
        self.admission.drain()
        try:
            async with asyncio.timeout(self.settings.drain_seconds):
                await self.admission.wait_idle()
        except TimeoutError:
            _log.warning("%d streams are broken off: they took too long to end", self.admission.used)
            for watcher in list(self._watchers):
                watcher.stop_watching()
            return False
        return True

    async def close(self) -> None:
        """Unload the model for good."""
        await self.models.close()
        self.threads.close()

    async def speak(self, http: Request, server_request: ServerRequest, headers: AnswerHeaders) -> SpeechResponse:
        """Return an answer whose first sound is there.

        Args:
            http: the request, whose body has been read.
            headers: of the answer.

        Raises:
            Refusal: it is not this one's turn, or it will never be.
            VoxError: there is no sound.
            ConsumerClosed: the client did not wait for it.
        """
        record, watcher = Record(), DisconnectWatcher(http.receive)
        self._watchers.add(watcher)
        try:
            self._check(server_request)
            async with AsyncExitStack() as held:
                rendering, worker = await self._begin(http, server_request, watcher, held, record)
                first = await watcher.run_until_disconnect(_first(worker, server_request.request.text))
                more = {**headers(server_request, rendering.sample_rate), **rendering.headers()}
                stream = Stream(
                    worker=worker,
                    first=first,
                    form=server_request.form,
                    watcher=watcher,
                    held=held.pop_all(),
                    record=record,
                    send_seconds=self.settings.send_seconds,
                )
                return SpeechResponse(stream, more, self.metrics)
        except BaseException as error:
            watcher.stop_watching()
            self.metrics.note(record, _ending(error))
            raise

    async def try_out(self) -> None:
        """Have the model begin to speak, where nobody hears it. Raises VoxError if it does not."""
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
            message = f"The text is too long: {most} characters are the most."
            raise Refusal(Problem(status=400, message=message, code="string_above_max_length"))

    async def _begin(
        self,
        http: Request,
        server_request: ServerRequest,
        watcher: DisconnectWatcher,
        held: AsyncExitStack,
        record: Record,
    ) -> tuple[Rendering, Worker[bytes]]:
        """Have the engine begin as soon as it can. What is taken for it is put onto `held`."""
        wait = self.settings.wait_seconds
        client = getattr(http.state, CLIENT, "")
        await watcher.run_until_disconnect(self.admission.enter(client, wait))
        record.admitted = time.perf_counter()
        held.callback(self._leave, record.admitted)
        engine = await watcher.run_until_disconnect(held.enter_async_context(self.models.in_use(wait)))
        self.admission.slots = self.models.slots
        rendering = Rendering(engine, server_request, self.heartbeat)
        record.timings = rendering.timings
        record.asked = time.perf_counter()
        worker = Worker(self.threads, rendering.pieces)
        held.push_async_callback(worker.close)
        return rendering, worker

    def _leave(self, admitted: float) -> None:
        self.admission.leave(time.perf_counter() - admitted)


async def _first(worker: Worker[bytes], text: str) -> bytes:
    try:
        first = await worker.next()
    except NotFound as error:  # the language or the voice that was asked for
        raise Refusal(Problem(status=400, message=str(error), code="not_found")) from error
    if first is None:
        raise _no_sound() if is_speakable(text) else Refusal(_NO_WORDS)
    return first


def _no_sound() -> Refusal:
    return Refusal(Problem(status=500, message="The model has made no sound of it.", code="no_sound"))


def _ending(error: BaseException) -> Ending:
    match error:
        case ConsumerClosed():
            return Ending.CLIENT_LEFT
        case Refusal() | RequestError() | NotFound():
            return Ending.REFUSED
        case _:
            return Ending.FAILED
