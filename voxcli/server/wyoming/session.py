"""Session of one Wyoming client: frames in, texts spoken one after another, frames out."""

import asyncio
import logging
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.pcm import to_int16
from voxcli.errors import ConsumerClosed, RequestError, VoxError
from voxcli.protocols.dialect import Problem
from voxcli.protocols.fields import shown
from voxcli.protocols.wyoming import messages as wyoming
from voxcli.protocols.wyoming.frames import Frame, FrameReader
from voxcli.server.errors import Refusal, note, problem_of
from voxcli.server.service import Service
from voxcli.server.streaming.held_text import HeldText
from voxcli.server.streaming.response import Stalled
from voxcli.server.streaming.utterance import UtteranceSettings
from voxcli.server.utterances import Caller
from voxcli.synthesis.pipeline import Delivery
from voxcli.synthesis.request import Voice
from voxcli.version import __version__

_log = logging.getLogger(__name__)

PROTOCOL = "wyoming"
_MOST_WAITING = 16
"""Texts of one connection that may wait for those before them."""
_READ_BYTES = 1 << 16
_LINGER_SECONDS = 1.0
_LISTED = 20
_TOO_MANY = Problem(status=503, message="This server has too many connections. Try again later.", code="busy")
_LANGUAGES = "en zh de fr es it pt nl pl ru ja ko ar hi tr sv da fi no el he id vi th"
"""Of a voice whose engine does not tell which ones it speaks: Home Assistant shows no voice without a language."""


@runtime_checkable
class _HasLanguages(Protocol):
    """An engine that tells which languages its voices speak."""

    def languages_of(self, voice: str) -> Sequence[str]:
        """Return codes such as "en" or "en-us", the main one first; of a voice that it does not know, all it speaks."""
        ...


@dataclass(slots=True)
class _Text:
    """A text that is to be spoken, which may still be arriving."""

    settings: UtteranceSettings
    streamed: bool
    """Whether it comes in pieces."""
    held: HeldText = field(default_factory=HeldText)
    characters: int = 0
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    """Set with the first text, and at the end."""

    def append(self, text: str) -> None:
        """Take more text. Raises RequestError if it is too long as a whole."""
        most = self.settings.most_characters
        if self.characters + len(text) > most:
            raise RequestError(f"The text is too long: at most {most} characters are allowed.")
        self.characters += len(text)
        self.held.append(text)
        self.begun.set()

    def finish(self) -> None:
        self.held.finish()
        self.begun.set()


class _Ended(ConsumerClosed):
    """The client sends nothing more. It may still read."""


class WyomingSession:
    """One connection. Texts are spoken one after another; an error ends it."""

    def __init__(self, service: Service, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._service, self._reader, self._writer = service, reader, writer
        peer = writer.get_extra_info("peername")
        self._client = str(peer[0]) if isinstance(peer, tuple) else PROTOCOL
        sock: socket.socket = writer.get_extra_info("socket")
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._texts: asyncio.Queue[_Text | None] = asyncio.Queue()
        self._open: _Text | None = None
        """Is still arriving."""
        self._speaks = False

    async def run(self, *, full: bool) -> None:
        """Serve until the client leaves, or something is wrong, of which it is told.

        full: whether there are too many connections already.
        """
        try:
            if full:
                raise Refusal(_TOO_MANY)
            await self._run()
        except VoxError as error:
            note(error)
            await self._tell(problem_of(error))

    async def _run(self) -> None:
        reading = asyncio.create_task(self._read_frames())
        speaking = asyncio.create_task(self._speak_texts())
        try:
            await asyncio.wait({reading, speaking}, return_when=asyncio.FIRST_COMPLETED)
            if reading.done() and isinstance(reading.exception(), _Ended) and self._open is None:
                self._texts.put_nowait(None)  # it may have closed its sending half only
                await speaking
                return
            for task in (speaking, reading):
                if task.done():
                    task.result()
        finally:
            for task in (reading, speaking):
                task.cancel()
            await asyncio.wait({reading, speaking})

    async def _tell(self, problem: Problem) -> None:
        """Tell the client of an error, and nothing more.

        What it still sends is read and dropped for a moment: a socket that is closed with unread data is reset, which
        may cost the client the error.
        """
        await self._send(wyoming.error(problem.message, problem.code))
        with suppress(TimeoutError, OSError):
            self._writer.write_eof()
            async with asyncio.timeout(_LINGER_SECONDS):
                while await self._reader.read(_READ_BYTES):
                    pass

    def drain(self) -> None:
        """End when everything that was asked for has been spoken."""
        self._texts.put_nowait(None)

    async def _read_frames(self) -> None:
        """Take frames. Raises _Ended at their end, and VoxError for one that is wrong."""
        frames, settings = FrameReader(), self._service.settings
        deadline: float | None = None
        """Of a frame that is arriving."""
        now = asyncio.get_running_loop().time
        while True:
            idle = settings.writer_seconds if self._open else settings.socket_idle_seconds
            try:
                async with asyncio.timeout_at(now() + idle if deadline is None else deadline):
                    data = await self._reader.read(_READ_BYTES)
            except ConnectionError:
                raise ConsumerClosed("the client") from None
            except TimeoutError:
                if deadline is None and self._open is None and (self._speaks or not self._texts.empty()):
                    continue
                raise RequestError("The client has sent nothing for too long.") from None
            if not data:
                raise _Ended("the client")
            for frame in frames.feed(data):
                await self._take(frame)
                deadline = None
            if frames.is_between:
                deadline = None
            elif deadline is None:
                deadline = now() + settings.receive_seconds

    async def _take(self, frame: Frame) -> None:
        """Do what a frame asks. Types that are not known are for other services, and are passed over."""
        match frame.type:
            case wyoming.DESCRIBE:
                await self._send(await self._service.threads.call(self._info))
            case wyoming.PING:
                await self._send(wyoming.pong(wyoming.read_message(wyoming.Ping, frame).text))
            case wyoming.SYNTHESIZE if self._open is None:
                whole = wyoming.read_message(wyoming.Synthesize, frame)
                text = self._add(_Text(await self._settings_for(whole.voice), streamed=False))
                text.append(whole.text)
                text.finish()
            case wyoming.START if self._open is not None:
                raise RequestError("A text has begun, and its end has not come yet: send synthesize-stop first.")
            case wyoming.START:
                start = wyoming.read_message(wyoming.SynthesizeStart, frame)
                self._open = self._add(_Text(await self._settings_for(start.voice), streamed=True))
            case wyoming.CHUNK:
                chunk = wyoming.read_message(wyoming.SynthesizeChunk, frame)
                self._arriving().append(chunk.text)
            case wyoming.STOP:
                self._arriving().finish()
                self._open = None

    def _arriving(self) -> _Text:
        if self._open is None:
            raise RequestError("No text has begun: send synthesize-start first.")
        return self._open

    def _add(self, text: _Text) -> _Text:
        if self._texts.qsize() >= _MOST_WAITING:
            raise RequestError(f"More than {_MOST_WAITING} texts are waiting on this connection.")
        self._texts.put_nowait(text)
        return text

    async def _settings_for(self, wanted: wyoming.SynthesizeVoice | None) -> UtteranceSettings:
        """Return how a text is spoken with a voice.

        Raises:
            RequestError: there is no such voice.
        """
        wanted = wanted or wyoming.SynthesizeVoice()
        voice, language = Voice(), (wanted.language or "").replace("_", "-") or None
        if wanted.name:
            found = await self._service.threads.call(lambda: self._service.choice.find(wanted.name or ""))
            if found is None:
                names = await self._service.threads.call(self._service.choice.names)
                listing = ", ".join(names[:_LISTED]) + (", …" if len(names) > _LISTED else "")
                raise RequestError(f"There is no voice named {shown(wanted.name)}. The voices here: {listing}.")
            voice, language = found, None
        if wanted.speaker:
            raise RequestError(f"The voices here have no speakers, so there is no {shown(wanted.speaker)} among them.")
        return UtteranceSettings(
            delivery=Delivery(voice=voice, language=language),
            most_characters=self._service.settings.max_utterance_characters,
        )

    async def _speak_texts(self) -> None:
        """Speak texts until None comes. Raises VoxError if one cannot be spoken."""
        while text := await self._texts.get():
            self._speaks = True
            await self._speak(text)
            self._speaks = False

    async def _speak(self, text: _Text) -> None:
        started, seconds = time.perf_counter(), 0.0
        await text.begun.wait()
        async with self._service.utterance(PROTOCOL, Caller(self._client), text.settings) as utterance:
            text.held.release(utterance)
            async for piece in utterance.pieces():
                if isinstance(piece, AudioChunk):
                    if not seconds:
                        await self._send(wyoming.audio_start(piece.sample_rate))
                    await self._send(wyoming.audio_chunk(to_int16(piece.samples), piece.sample_rate, seconds))
                    seconds += len(piece.samples) / piece.sample_rate
        await self._send(wyoming.AUDIO_STOP)
        if text.streamed:
            await self._send(wyoming.STOPPED)
        _log.info("%s wyoming: spoke %.1f s after %.3f s", self._client, seconds, time.perf_counter() - started)

    async def _send(self, frame: Frame) -> None:
        """Send a frame. Raises ConsumerClosed or Stalled if the client does not take it."""
        self._writer.write(frame.to_bytes())
        try:
            async with asyncio.timeout(self._service.settings.send_seconds):
                await self._writer.drain()
        except TimeoutError:
            _log.warning("aborted a connection whose client stopped reading")
            raise Stalled from None
        except ConnectionError:
            raise ConsumerClosed("the client") from None

    def _info(self) -> Frame:
        service, engine = self._service, self._service.models.engine

        def languages_of(name: str) -> Sequence[str]:
            return engine.languages_of(name) if isinstance(engine, _HasLanguages) else _LANGUAGES.split()

        names = service.choice.names() or ["default"]
        return wyoming.info(service.models.name, __version__, [(name, languages_of(name)) for name in names])
