"""Speech that agents have asked for: each text on its way into a sink, and the queue of those that are played."""

import asyncio
import itertools
import math
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Any, Protocol, runtime_checkable

from voxcli.audio.chunk import AudioChunk
from voxcli.devices.turns import POLL_SECONDS, Turn, still_speaking
from voxcli.errors import ConsumerClosed
from voxcli.protocols.dialect import ServerRequest
from voxcli.server.service import Service
from voxcli.server.streaming.utterance import StreamedUtterance, UtteranceSettings
from voxcli.server.streaming.worker import Threads
from voxcli.server.utterances import Caller
from voxcli.sinks.base import Sink, write_paced
from voxcli.synthesis.marked_up import read_marked_up
from voxcli.synthesis.pace import StartBuffer, speaking_seconds
from voxcli.synthesis.pipeline import Delivery
from voxcli.synthesis.request import Parameter, SentenceMark, abilities_of
from voxcli.synthesis.transcript import Spoken, Transcript
from voxcli.text.parts import read_parts

PROTOCOL = "mcp"
"""In the metrics."""
_KEPT = 64
"""Speeches that have ended and whose state can still be asked for."""
_SHOWN = 60
"""Characters of a text that tell which one it is."""


class SpeechState(StrEnum):
    """How far a speech has come."""

    QUEUED = "queued"
    SPEAKING = "speaking"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


@runtime_checkable
class PlayingSink(Sink, Protocol):
    """A sink that tells how much of what was written has left the loudspeaker."""

    @property
    def played_seconds(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Client:
    """Who asked for a speech."""

    owner: str
    """Its session or, without one, its key or address: it stops and sees its own speech only."""
    caller: Caller


class SpeechJob:
    """One text on its way into a sink. Used on the event loop."""

    def __init__(self, id: str, client: Client, asked: ServerRequest, *, turn: Turn | None = None) -> None:
        """turn: at the loudspeaker, if it is played there."""
        self.id, self.client, self.turn = id, client, turn
        self.text = asked.request.text
        self.state = SpeechState.QUEUED
        self.error: Exception | None = None
        self.sentences = 0
        """In the text; 0 until the model that speaks them is known."""
        self.sample_rate = 0
        self.seconds = 0.0
        """Of speech that was made so far."""
        self.ended = asyncio.Event()
        self._asked = asked
        self._transcript = Transcript()
        self._utterance: StreamedUtterance | None = None
        self._player: PlayingSink | None = None
        self._stopped = False
        self._cancelling: asyncio.Task[Spoken] | None = None

    @property
    def spoken(self) -> Spoken:
        """The part of the text that was heard, if it is played, or else that was made."""
        if self.state is SpeechState.DONE:
            return replace(self._transcript.until(math.inf), seconds=self.seconds)
        if self.turn is None:
            return self._transcript.until(self.seconds)
        return self._transcript.until(self._player.played_seconds if self._player else 0.0)

    @property
    def sentence(self) -> int:
        """Number of the sentence that is being heard or made, from 1; 0 before the first."""
        begun = self._transcript.sentences
        if self.turn is None or self.state is SpeechState.DONE:
            return len(begun)
        now = self._player.played_seconds if self._player else 0.0
        return sum(1 for mark in begun if mark.start < now)

    def stop(self) -> None:
        """Speak nothing more."""
        if not self.ended.is_set() and not self._stopped:
            self._stopped = True
            if self._utterance:
                self._cancelling = asyncio.create_task(self._utterance.cancel())

    def check(self) -> None:
        """Raise if it was stopped. Called on any thread."""
        if self._stopped:
            raise ConsumerClosed(self.id)

    def describe(self) -> dict[str, Any]:
        """Return its state as values of JSON."""
        spoken = self.spoken
        shown = self.text if len(self.text) <= _SHOWN else self.text[: _SHOWN - 1] + "…"
        found: dict[str, Any] = {"id": self.id, "state": self.state.value, "text": shown}
        if self.state is SpeechState.QUEUED:
            return {**found, "before": self.turn.ahead if self.turn else 0}
        found |= {"sentence": self.sentence, "sentences": self.sentences}
        found |= {"heard_characters": spoken.position, "heard_text": spoken.text, "seconds": round(spoken.seconds, 2)}
        return found | ({"error": str(self.error)} if self.error else {})

    async def run(
        self, service: Service, threads: Threads, new_sink: "NewSink", wait_for_turn: Callable[[], Awaitable[None]]
    ) -> None:
        """Speak it, after those before it. What goes wrong is in `error`.

        Args:
            threads: on which the sink is written.
        """
        try:
            await wait_for_turn()
            await self._speak(service, threads, new_sink)
            self.state = SpeechState.DONE
        except ConsumerClosed:
            self.state = SpeechState.STOPPED
        except asyncio.CancelledError:
            self.state = SpeechState.STOPPED
            raise
        except Exception as error:  # noqa: BLE001 - told to the client
            self.error, self.state = error, SpeechState.STOPPED if self._stopped else SpeechState.FAILED
        finally:
            if self.turn:
                self.turn.leave()
            self.ended.set()

    async def _speak(self, service: Service, threads: Threads, new_sink: "NewSink") -> None:
        asked = self._asked.request
        settings = UtteranceSettings(delivery=Delivery.of(asked), most_characters=len(self.text))
        described = Parameter.STYLE in self._asked.parameters.values()
        async with AsyncExitStack() as model, AsyncExitStack() as sound:  # of these, the sound is the first to end
            opening = service.utterance(PROTOCOL, self.client.caller, settings, described=described)
            self._utterance = utterance = await model.enter_async_context(opening)
            self.check()
            self.sentences = await service.threads.call(partial(count_sentences, self.text, service))
            buffer = StartBuffer(
                utterance.record.timings,
                text_seconds=speaking_seconds(self.text) / asked.speed,
                rate=asked.speed,
                works_ahead=True,
            )
            sink = new_sink(buffer.needed, self.check)
            await sound.enter_async_context(_opened(sink, threads))
            self._player = sink if isinstance(sink, PlayingSink) else None
            utterance.append(self.text)
            utterance.finish()
            await self._write(utterance, partial(_write, threads, sink, buffer))
            self.check()
            await model.aclose()  # another one may speak while the loudspeaker plays the rest

    async def _write(self, utterance: StreamedUtterance, write: "Write") -> None:
        self.state = SpeechState.SPEAKING
        async for piece in utterance.pieces():
            if isinstance(piece, AudioChunk):
                self.seconds += piece.seconds
                self.sample_rate = piece.sample_rate
            elif isinstance(piece, SentenceMark):
                self._transcript.note(piece)
            else:
                continue
            await write(piece)
            self.check()


class NewSink(Protocol):
    """Builds a sink, which the job opens."""

    def __call__(self, start_buffer: Callable[[float], float], check: Callable[[], None]) -> Sink:
        """check: raises if the speech was stopped."""
        ...


class Write(Protocol):
    """Writes a piece, and waits while the sink is full."""

    async def __call__(self, piece: AudioChunk | SentenceMark) -> None: ...


async def _write(threads: Threads, sink: Sink, buffer: StartBuffer, piece: AudioChunk | SentenceMark) -> None:
    await threads.call(lambda: write_paced([piece], [sink], buffer))


@asynccontextmanager
async def _opened(sink: Sink, threads: Threads) -> AsyncIterator[None]:
    await threads.call(sink.__enter__)
    try:
        yield
    except BaseException as error:
        await threads.call(partial(sink.__exit__, type(error), error, error.__traceback__))
        raise
    await threads.call(partial(sink.__exit__, None, None, None))


def count_sentences(text: str, service: Service) -> int:
    """Count the sentences as the model will speak them."""
    abilities = abilities_of(service.models.engine) if service.models.engine else None
    tags, least = (abilities.tags, abilities.least_syllables) if abilities else (frozenset[str](), 0)
    parts = read_parts(read_marked_up(text).pieces, markdown=False, tags=tags, least_syllables=least)
    return sum(1 for part in parts if isinstance(part, str))


class SpeechQueue:
    """The texts that this process plays, one after another, and the others that it is making. On the event loop."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._threads = Threads(PROTOCOL)
        self._ids = itertools.count(1)
        self._jobs: OrderedDict[str, SpeechJob] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(
        self,
        client: Client,
        asked: ServerRequest,
        new_sink: NewSink,
        *,
        turn: Turn | None = None,
        max_wait: float | None = None,
    ) -> SpeechJob:
        """Begin a speech, or queue it for its turn.

        max_wait: seconds to wait for others at the loudspeaker.
        """
        job = SpeechJob(f"speech-{next(self._ids)}", client, asked, turn=turn)
        if turn:
            self._jobs[job.id] = job
            for old in [id for id, one in self._jobs.items() if one.ended.is_set()][:-_KEPT]:
                del self._jobs[old]
        waiting = partial(self._wait_for_turn, job, max_wait)
        task = asyncio.create_task(job.run(self._service, self._threads, new_sink, waiting))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return job

    def of(self, client: Client) -> list[SpeechJob]:
        """Return the speeches that a client has queued, the newest last."""
        return [job for job in self._jobs.values() if job.client.owner == client.owner]

    async def _wait_for_turn(self, job: SpeechJob, seconds: float | None) -> None:
        """Wait for the loudspeaker, behind everyone on this machine who came before."""
        if job.turn is None:
            return
        deadline = math.inf if seconds is None else time.monotonic() + seconds
        while not (self._is_first(job) and job.turn.take()):
            job.check()
            if time.monotonic() >= deadline:
                raise still_speaking(seconds or 0.0)
            await asyncio.sleep(POLL_SECONDS)

    def _is_first(self, job: SpeechJob) -> bool:
        return job is next(one for one in self._jobs.values() if not one.ended.is_set())

    async def stop(self, jobs: Iterable[SpeechJob], seconds: float = 5.0) -> None:
        """Stop speeches, and wait until they are silent."""
        waiting = [asyncio.ensure_future(job.ended.wait()) for job in jobs]
        for job in jobs:
            job.stop()
        if waiting:
            await asyncio.wait(waiting, timeout=seconds)

    async def close(self) -> None:
        """Stop everything."""
        await self.stop([job for job in self._jobs.values() if not job.ended.is_set()], 2.0)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._threads.close()
