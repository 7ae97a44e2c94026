"""Response: one text of a session, from its events before the first sound to its end."""

import asyncio
import logging

from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.audio.pcm import to_alaw, to_int16, to_mulaw
from voxcli.errors import ConsumerClosed, VoxError
from voxcli.protocols.dialect import Problem
from voxcli.protocols.openai.realtime import RealtimeFormat
from voxcli.protocols.openai.realtime_events import ResponseEvents
from voxcli.server.errors import note, problem_of
from voxcli.server.service import Service
from voxcli.server.streaming.response import Stalled
from voxcli.server.streaming.utterance import StreamedUtterance, UtteranceSettings
from voxcli.server.streaming.websocket import FAULT, Socket
from voxcli.server.utterances import Caller
from voxcli.synthesis.pipeline import Delivery
from voxcli.synthesis.request import Sampling, SentenceMark
from voxcli.synthesis.transcript import Spoken, Transcript

_log = logging.getLogger(__name__)

PROTOCOL = "realtime"
_ENCODERS = {RealtimeFormat.PCM: to_int16, RealtimeFormat.MULAW: to_mulaw, RealtimeFormat.ALAW: to_alaw}


class SpokenResponse:
    """Speaks one text."""

    def __init__(
        self,
        service: Service,
        socket: Socket,
        caller: Caller,
        events: ResponseEvents,
        text: str,
        sampling: Sampling,
        turns: asyncio.Semaphore,
    ) -> None:
        """turns: how many responses of a session may want a slot at once."""
        self.events, self.text = events, text
        self.seconds = 0.0
        """Of sound that was sent."""
        self._service, self._socket, self._caller, self._turns = service, socket, caller, turns
        self._sampling = sampling
        self._utterance: StreamedUtterance | None = None
        self._transcript = Transcript()
        self._told = 0  # characters of the text, in transcript events
        self._begun = self._ending = False
        self.task: asyncio.Task[None] = asyncio.create_task(self._run())

    @property
    def is_open(self) -> bool:
        return not self.task.done()

    def played(self, seconds: float) -> Spoken:
        """Return what was heard in the first seconds of the sound."""
        return self._transcript.until(seconds)

    async def cancel(self) -> None:
        """Speak nothing more, and tell when the engine has stopped and the slot is free."""
        if self._utterance:
            await self._utterance.cancel()
        elif not self._ending:
            self.task.cancel()
        await asyncio.wait({self.task})
        if not self._ending:
            await self._end("cancelled")

    async def abort(self) -> None:
        """Speak nothing more, and wait until the slot is free."""
        if self.is_open:
            self.task.cancel()
            await asyncio.wait({self.task})

    async def _run(self) -> None:
        try:
            with self._socket.in_use():
                async with self._turns:
                    await self._speak()
        except (ConsumerClosed, Stalled):
            pass  # the task that receives ends as well
        except Exception:  # noqa: BLE001 - the outermost handler of a task
            _log.exception("a fault of voxcli itself")
            await self._socket.close(FAULT, "Internal server error.")

    async def _speak(self) -> None:
        manner = self.events.manner
        how = UtteranceSettings(
            delivery=Delivery(voice=manner.voice, speed=manner.speed, sampling=self._sampling),
            sample_rate=manner.format.sample_rate,
            most_characters=self._service.settings.max_utterance_characters,
        )
        try:
            async with self._service.utterance(PROTOCOL, self._caller, how) as utterance:
                self._utterance, self._transcript = utterance, utterance.transcript
                utterance.append(self.text)
                utterance.finish()
                await self._send_all(*self.events.begun())
                self._begun = True
                async for piece in utterance.pieces():
                    if isinstance(piece, SentenceMark):
                        await self._note(piece)
                    elif isinstance(piece, AudioChunk):
                        self.seconds = utterance.seconds
                        await self._send_audio(piece.samples)
                cancelled = utterance.cancelled
        except VoxError as error:
            note(error)
            await self._end("failed", problem_of(error))
        else:
            await self._end("cancelled" if cancelled else "completed")

    async def _note(self, mark: SentenceMark) -> None:
        """Tell the text of a sentence that begins, with what stands before it."""
        if mark.end is None and mark.span:
            await self._tell_until(mark.span[1])

    async def _tell_until(self, end: int) -> None:
        if end > self._told:
            told, self._told = self._told, end
            await self._socket.send_json(self.events.transcript(self.text[told:end]))

    async def _send_audio(self, samples: Samples) -> None:
        await self._socket.send_json(self.events.audio(_ENCODERS[self.events.manner.format](samples)))

    async def _end(self, status: str, problem: Problem | None = None) -> None:
        self._ending = True
        if self._begun:
            if status == "completed":
                await self._tell_until(len(self.text))
            await self._send_all(*self.events.ended(self.text[: self._told], completed=status == "completed"))
        told = self.text[: self._told] if self._begun else None
        await self._socket.send_json(self.events.done(status, self.text, told, self.seconds, problem))

    async def _send_all(self, *events: dict[str, object]) -> None:
        for event in events:
            await self._socket.send_json(event)
