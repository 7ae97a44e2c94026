"""Utterances of all streaming protocols: how each gets its slot, its engine and its voice, and how they end."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial

from starlette.requests import HTTPConnection

from voxcli.server.admission import Admission, ending_refusal
from voxcli.server.keys import CLIENT
from voxcli.server.model_lifecycle import ModelLifecycle
from voxcli.server.monitoring import EngineHeartbeat, Metrics
from voxcli.server.operating.access import Access, access_of
from voxcli.server.private.keep_alive import KeepAlive
from voxcli.server.private.sockets import is_private
from voxcli.server.settings import ServerSettings
from voxcli.server.streaming.response import ending_of
from voxcli.server.streaming.utterance import StreamedUtterance, UtteranceSettings
from voxcli.server.streaming.worker import Threads
from voxcli.server.voice_choice import VoiceChoice
from voxcli.synthesis.pipeline import Delivery
from voxcli.synthesis.request import Engine

_UNLIMITED_SECONDS = 365 * 24 * 60 * 60.0
_ANY_TEXT = "a"
"""The choice of a voice does not depend on the text."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The client of an utterance, for the queue."""

    name: str
    """Its key or address: clients take turns."""
    private: bool = False
    """Whether it is a program of the user who runs the server."""
    access: Access | None = None
    """What is known of its connection."""

    @classmethod
    def of(cls, connection: HTTPConnection) -> "Caller":
        """Return the client of a request or a WebSocket that has passed the middleware."""
        return cls(getattr(connection.state, CLIENT, ""), is_private(connection.scope), access_of(connection.scope))


class Utterances:
    """Opens utterances, and knows those that are open. Used on the event loop."""

    def __init__(
        self,
        settings: ServerSettings,
        threads: Threads,
        admission: Admission,
        models: ModelLifecycle,
        choice: VoiceChoice,
        metrics: Metrics,
        *,
        heartbeat: EngineHeartbeat,
        keep_alive: KeepAlive,
    ) -> None:
        self._settings, self._threads = settings, threads
        self._admission, self._models, self._choice = admission, models, choice
        self._metrics, self._heartbeat, self._keep_alive = metrics, heartbeat, keep_alive
        self._open: set[StreamedUtterance] = set()
        self._none_open = asyncio.Event()
        self._none_open.set()

    def __len__(self) -> int:
        return len(self._open)

    async def wait_until_none(self) -> None:
        await self._none_open.wait()

    def abort(self) -> None:
        """End all that are open, because the server shuts down."""
        for utterance in list(self._open):
            utterance.abort(ending_refusal())

    @asynccontextmanager
    async def open(
        self, protocol: str, caller: Caller, settings: UtteranceSettings, *, described: bool = False
    ) -> AsyncIterator[StreamedUtterance]:
        """Wait for a slot and the engine, and open an utterance. It ends with the block, if it has not before.

        Args:
            protocol: its name in the metrics.
            described: whether the client itself describes the voice, which an engine may be unable to follow.

        Raises:
            Refusal: it was not admitted.
            VoxError: the voice cannot be used.
        """
        arrived = time.perf_counter()
        self._keep_alive.begin()
        try:
            async with AsyncExitStack() as held:
                await self._admission.enter(caller.name, limited=not caller.private)
                admitted = time.perf_counter()
                held.callback(self._admission.leave, None)  # how long it takes depends on the writer
                wait = _UNLIMITED_SECONDS if caller.private else self._settings.wait_seconds
                engine = await held.enter_async_context(self._models.in_use(wait))
                self._admission.slots = self._models.slots
                if not caller.private:
                    delivery = await self._in_a_voice(settings.delivery, engine, described=described)
                    settings = replace(settings, delivery=delivery)
                utterance = StreamedUtterance(self._threads, engine, settings, self._heartbeat)
                record = utterance.record
                record.arrived, record.admitted = arrived, admitted
                record.model, record.voice = self._models.name, settings.delivery.voice.name
                if caller.access:
                    caller.access.add(record)
                held.callback(self._note, protocol, utterance)
                held.push_async_callback(utterance.close)
                self._open.add(utterance)
                self._none_open.clear()
                try:
                    yield utterance
                except Exception as error:
                    utterance.ending = ending_of(error)
                    raise
        finally:
            self._keep_alive.end()

    def _note(self, protocol: str, utterance: StreamedUtterance) -> None:
        utterance.record.finish()
        self._open.discard(utterance)
        if not self._open:
            self._none_open.set()
        self._metrics.note_utterance(
            protocol,
            utterance.record,
            utterance.ending,
            seconds=utterance.seconds,
            thrown_away=utterance.thrown_away_seconds,
            cancel_seconds=utterance.cancel_seconds,
        )

    async def _in_a_voice(self, delivery: Delivery, engine: Engine, *, described: bool) -> Delivery:
        request = delivery.request(_ANY_TEXT)
        chosen = partial(self._choice.for_everybody, request, engine, described=described)
        return replace(delivery, voice=(await self._threads.call(chosen)).voice)
