"""Context: one text of a socket, spoken while it is being written."""

import asyncio
import logging
from collections.abc import Callable

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.pcm import to_alaw, to_mulaw
from voxcli.errors import ConsumerClosed, VoxError
from voxcli.protocols.dialect import Problem
from voxcli.protocols.elevenlabs.messages import (
    OutputFormat,
    SocketSettings,
    audio_message,
    error_message,
    final_message,
)
from voxcli.server.errors import Refusal, note, problem_of
from voxcli.server.routes.elevenlabs.characters import CharacterTimes
from voxcli.server.service import Service
from voxcli.server.streaming.held_text import HeldText
from voxcli.server.streaming.response import Stalled
from voxcli.server.streaming.sentence_audio import SentenceAudio
from voxcli.server.streaming.utterance import StreamedUtterance, UtteranceSettings
from voxcli.server.streaming.websocket import FAULT, POLICY, Socket
from voxcli.server.utterances import Caller
from voxcli.synthesis.request import SentenceMark

_log = logging.getLogger(__name__)

PROTOCOL = "elevenlabs"

_HELD_SECONDS = 0.4
"""Of audio, which waits for the next character if it has none: clients add up the times of the messages that have."""


class SocketContext:
    """Speaks a text. It takes a slot with its first word, and frees it when everything is spoken."""

    def __init__(
        self, service: Service, socket: Socket, caller: Caller, settings: SocketSettings, id: str | None = None
    ) -> None:
        """id: None on a socket with a single text, which ends with it."""
        self.speed: float | None = None
        self.is_finished = False
        """Whether its text is complete."""
        self.failed = False
        self.task: asyncio.Task[None] | None = None
        """Set once there is something to be spoken."""
        self._service, self._socket, self._caller, self._settings, self._id = service, socket, caller, settings, id
        self._text = HeldText()
        self._characters = 0
        self._flushed = True  # all that was appended
        self._times = CharacterTimes()

    @property
    def awaits_text(self) -> bool:
        return self.task is not None and not self.task.done() and not self.is_finished

    def append(self, text: str) -> None:
        """Take more text. After an error, it is passed over. Raises Refusal if it is too much."""
        if self.failed or not (self.task or text.strip()):
            return
        most = self._service.settings.max_utterance_characters
        self._characters += len(text)
        if self._characters > most:
            message = f"The text is too long: at most {most} characters are allowed in one context."
            raise Refusal(Problem(status=413, message=message, code="text_too_long"))
        self._flushed = False
        self._times.append(text)
        self._text.append(text)
        if self.task is None:
            self.task = asyncio.create_task(self._run())

    def flush(self) -> None:
        """Speak everything so far."""
        self._flushed = True
        if self.task:
            self._text.flush()

    async def finish(self) -> None:
        """Speak the rest, and tell when that is done."""
        if self.is_finished:
            return
        self.is_finished = True
        if self.task:
            self._text.finish()
        elif not self.failed:
            await self._socket.send_json(final_message(self._id))

    async def end(self) -> None:
        """End it as its client asks: what was flushed is spoken, and a text that was interrupted is not."""
        if self._flushed or self.task is None or self.task.done():
            await self.finish()
            return
        self.is_finished = True
        if self._text.utterance:
            await self._text.utterance.cancel()
        else:
            await self.abort()
        await self._socket.send_json(final_message(self._id))

    async def abort(self) -> None:
        """Speak nothing more, without a message, and wait until the slot is free."""
        if self.task and not self.task.done():
            self.task.cancel()
            await asyncio.wait({self.task})

    async def fail(self, problem: Problem) -> None:
        """Tell of a problem with this text, of which nothing more is spoken."""
        self.failed = True
        code = POLICY if problem.status < 500 else FAULT
        await self._socket.send_json(error_message(self._id, problem, code))
        if self._id is None:
            await self._socket.close(code, problem.message)

    async def _run(self) -> None:
        try:
            with self._socket.in_use():
                await self._speak()
            if self._id is None:
                await self._socket.close()
        except (ConsumerClosed, Stalled):
            pass  # the task that receives ends as well
        except Exception:  # noqa: BLE001 - the outermost handler of a task
            _log.exception("a fault of voxcli itself")
            await self._socket.close(FAULT, "Internal server error.")

    async def _speak(self) -> None:
        settings, output = self._settings, self._settings.output
        how = UtteranceSettings(
            delivery=settings.delivery(self.speed),
            sample_rate=output.sample_rate,
            most_characters=self._service.settings.max_utterance_characters,
        )
        try:
            async with self._service.utterance(PROTOCOL, self._caller, how) as utterance:
                self._text.release(utterance)
                await self._send_pieces(utterance)
                cancelled = utterance.cancelled
        except VoxError as error:
            note(error)
            await self.fail(problem_of(error))
        else:
            if not cancelled:
                await self._socket.send_json(final_message(self._id))

    async def _send_pieces(self, utterance: StreamedUtterance) -> None:
        audio, times = _Audio(self._service, self._settings.output), self._times
        data, begin, end = b"", 0.0, 0.0  # audio that is not sent, and its seconds
        async for piece in utterance.pieces():
            if isinstance(piece, SentenceMark):
                times.note(piece, utterance.transcript.pace)
            elif isinstance(piece, AudioChunk):
                data += await audio.feed(piece)
                end += piece.seconds
                following = times.next_start
                soon = following is not None and end <= following < begin + _HELD_SECONDS
                if data and not soon:
                    await self._socket.send_json(audio_message(self._id, data, times.take(begin, end)))
                    data, begin = b"", end
        if utterance.cancelled:
            return
        data += await audio.finish()
        characters = times.take(begin, end, all_of_them=True)
        if data or characters:
            await self._socket.send_json(audio_message(self._id, data, characters))


class _Audio:
    """Encodes one text as one stream."""

    def __init__(self, service: Service, output: OutputFormat) -> None:
        self._by_telephone: Callable[..., bytes] = to_mulaw if output.mulaw else to_alaw
        self._encoded = SentenceAudio(service.threads, output.codec, streams=True) if output.codec else None

    async def feed(self, chunk: AudioChunk) -> bytes:
        return await self._encoded.feed(chunk) if self._encoded else self._by_telephone(chunk.samples)

    async def finish(self) -> bytes:
        return await self._encoded.finish() if self._encoded else b""
