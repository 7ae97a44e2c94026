"""Chat at `/api/chat`: what a language model writes, and its speech while it is still writing."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter
from fastapi.requests import Request
from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.format import AudioFormat
from voxcli.audio.headers import streaming_header
from voxcli.audio.pcm import to_int16
from voxcli.errors import ConsumerClosed, RemoteError, VoxError
from voxcli.protocols.dialect import IGNORED, Problem, ServerRequest
from voxcli.protocols.gptsovits.chat import (
    PATH,
    AudioChunkEvent,
    AudioCompleteEvent,
    AudioStartEvent,
    ChatEvent,
    ChatRequest,
    CompleteEvent,
    ErrorEvent,
    TextEvent,
    chat_schema,
    read_chat,
    to_bytes,
)
from voxcli.protocols.openai.chat import ChatMessage
from voxcli.protocols.voxcpm.messages import error_body
from voxcli.server.bodies import read_json
from voxcli.server.errors import Refusal, note, problem_of
from voxcli.server.language_model import LanguageModel
from voxcli.server.routes.dialect_route import dialect_route, error_responses, json_body
from voxcli.server.routes.gptsovits import gptsovits_problem, with_known_voices
from voxcli.server.routes.voxcpm_schema import ERROR_SCHEMA
from voxcli.server.service import Service
from voxcli.server.streaming.response import DisconnectWatcher, Stalled, aborting, sent
from voxcli.server.streaming.utterance import NO_WORDS, StreamedUtterance, UtteranceSettings
from voxcli.server.utterances import Caller
from voxcli.synthesis.pipeline import Delivery
from voxcli.text.reasoning import SpokenText

_EXAMPLE = {"message": "Tell me a story."}
_NO_MODEL = Problem(
    status=404,
    message="This server has no language model, so it cannot chat. Its operator can connect one.",
    code="no_language_model",
)
_EVENTS_AHEAD = 64
"""Events that the model and the speech may be ahead of the client."""
_MOST_CHUNK_BYTES = 1 << 15
"""Of sound in one event: some clients read no longer lines than 64 KiB."""
_MOST_CHARACTERS = 1 << 20
"""Of an answer; the model is stopped before."""
_SILENT_SECONDS = 15.0
"""After which a comment is sent, so that no proxy takes the connection for a dead one."""
_COMMENT = b": waiting\n\n"
_HEADERS = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache", "x-accel-buffering": "no"}


def router(service: Service) -> APIRouter:
    """Return the route of the chat."""
    routes = APIRouter(
        route_class=dialect_route(error_body, gptsovits_problem, malformed_status=422),
        responses=error_responses(ERROR_SCHEMA, [422, _NO_MODEL.status]),
        tags=["GPT-SoVITS"],
    )
    events = {
        "description": "Server-sent events: text, complete, audio_start, audio_chunk, audio_complete, error.",
        "content": {"text/event-stream": {}},
    }

    @routes.post(
        PATH,
        summary="Chat with a language model",
        response_class=Response,
        responses={200: events},
        openapi_extra=json_body(chat_schema()),
    )
    async def chat(request: Request) -> Response:
        fields = await read_json(request, _EXAMPLE)
        if service.language_model is None:
            raise Refusal(_NO_MODEL)
        asked, speech = await service.threads.call(lambda: _read(fields, service))
        caller = Caller.of(request)
        service.admission.check(caller.name)
        answer = _Answer(service, service.language_model, caller, asked, speech)
        return _EventResponse(answer, service.settings.send_seconds, speech.ignored)

    return routes


def _read(fields: Mapping[str, Any], service: Service) -> tuple[ChatRequest, ServerRequest]:
    with with_known_voices(service):
        return read_chat(fields, service.choice.find, max_characters=service.settings.max_characters)


class _Answer:
    """One answer, as text and as speech. The model writes, and the speech begins with its first sentence."""

    def __init__(
        self, service: Service, model: LanguageModel, caller: Caller, asked: ChatRequest, speech: ServerRequest
    ) -> None:
        self._service, self._model, self._caller = service, model, caller
        self._messages = [*asked.history, ChatMessage(role="user", content=asked.message)]
        self._form = speech.form
        self._settings = UtteranceSettings(
            delivery=Delivery.of(speech.request),
            sample_rate=speech.form.sample_rate,
            markdown=True,
            most_characters=_MOST_CHARACTERS,
        )
        self._events: asyncio.Queue[ChatEvent | None] = asyncio.Queue(_EVENTS_AHEAD)
        self._without_reasoning = SpokenText()
        self._text = ""
        self._begun = asyncio.Event()
        """Set with the first text, and at the end."""
        self._finished = False
        """Whether the model writes nothing more."""
        self._utterance: StreamedUtterance | None = None
        self._chunks = 0
        self._problems: list[str] = []

    async def next(self) -> ChatEvent | None:
        """Return the next event; None after the last."""
        return await self._events.get()

    async def run(self) -> None:
        """Produce all events. Cancelling stops the model and the speech."""
        speaking = asyncio.create_task(self._speak())
        try:
            await self._write()
            await speaking
        except Exception as error:  # noqa: BLE001 - the outermost handler of a response that has begun
            self._note(error, problem_of(error).message)
        finally:
            speaking.cancel()
            await asyncio.wait({speaking})
        if self._problems:
            await self._events.put(ErrorEvent(error=" ".join(self._problems)))
        await self._events.put(None)

    async def _write(self) -> None:
        """Pass on what the model writes."""
        try:
            reason = await self._model.answer(self._messages, self._take)
            await self._pass_on(self._without_reasoning.finish())
            if not self._text.strip():
                raise self._model.empty_answer(reason)
            await self._events.put(CompleteEvent(text=self._text, finish_reason=None if reason == "stop" else reason))
        except RemoteError as error:
            await self._pass_on(self._without_reasoning.finish())
            self._note(error, str(error))
        finally:
            self._finished = True
            self._begun.set()
            if self._utterance:
                self._utterance.finish()

    async def _take(self, text: str) -> None:
        await self._pass_on(self._without_reasoning.feed(text))

    async def _pass_on(self, text: str) -> None:
        if not text:
            return
        self._text += text
        if self._utterance:
            self._utterance.append(text)
        self._begun.set()
        await self._events.put(TextEvent(content=text))

    async def _speak(self) -> None:
        """Speak the text, with what has been written since the first of it while there was no slot yet."""
        await self._begun.wait()
        if not self._text:
            return
        try:
            async with self._service.utterance("chat", self._caller, self._settings) as utterance:
                utterance.append(self._text)
                self._utterance = utterance
                if self._finished:
                    utterance.finish()
                async for piece in utterance.pieces():
                    if isinstance(piece, AudioChunk):
                        await self._send_sound(piece)
        except Refusal as error:
            if error.problem is not NO_WORDS:
                self._note(error, str(error))
                return
        except VoxError as error:
            self._note(error, problem_of(error).message)
            return
        finally:
            self._utterance = None
        if not self._chunks:
            await self._events.put(AudioStartEvent(media_type=self._media_type, sample_rate=None))
        await self._events.put(AudioCompleteEvent(total_chunks=self._chunks))

    async def _send_sound(self, chunk: AudioChunk) -> None:
        if not self._chunks:
            await self._events.put(AudioStartEvent(media_type=self._media_type, sample_rate=chunk.sample_rate))
            if self._form.format is AudioFormat.WAV:
                await self._send_chunk(streaming_header(chunk.sample_rate))
        data = to_int16(chunk.samples)
        for start in range(0, len(data), _MOST_CHUNK_BYTES):
            await self._send_chunk(data[start : start + _MOST_CHUNK_BYTES])

    async def _send_chunk(self, data: bytes) -> None:
        await self._events.put(AudioChunkEvent.of(data, self._chunks))
        self._chunks += 1

    @property
    def _media_type(self) -> str:
        return "wav" if self._form.format is AudioFormat.WAV else "raw"

    def _note(self, error: Exception, message: str) -> None:
        note(error)
        self._problems.append(message)


class _EventResponse(Response):
    """Sends an answer as it comes, and stops it if the client leaves."""

    def __init__(self, answer: _Answer, send_seconds: float, ignored: tuple[str, ...]) -> None:
        """send_seconds: for the client to accept an event."""
        headers = {**_HEADERS, IGNORED: ", ".join(dict.fromkeys(ignored))} if ignored else _HEADERS
        self.status_code = 200
        self.background = None
        self.raw_headers = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        self._answer, self._send_seconds = answer, send_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        watcher = DisconnectWatcher(receive)
        running = asyncio.create_task(self._answer.run())
        try:
            async with aborting(scope):
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                async with aclosing(self._data(watcher)) as pieces:
                    async for data in pieces:
                        await self._send(watcher, send, data)
                await self._send(watcher, send, b"", more=False)
        except (ConsumerClosed, Stalled):
            return
        finally:
            running.cancel()
            await asyncio.wait({running})
            watcher.stop_watching()

    async def _data(self, watcher: DisconnectWatcher) -> AsyncGenerator[bytes]:
        """Yield the events, and comments while there are none."""
        leaving = asyncio.create_task(watcher.disconnected())
        coming = asyncio.create_task(self._answer.next())
        try:
            while True:
                await asyncio.wait({coming, leaving}, timeout=_SILENT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                watcher.check()
                if not coming.done():
                    yield _COMMENT
                elif event := coming.result():
                    coming = asyncio.create_task(self._answer.next())
                    yield to_bytes(event)
                else:
                    return
        finally:
            for task in (leaving, coming):
                task.cancel()

    async def _send(self, watcher: DisconnectWatcher, send: Send, data: bytes, *, more: bool = True) -> None:
        try:
            async with asyncio.timeout(self._send_seconds):
                message = {"type": "http.response.body", "body": data, "more_body": more}
                await watcher.run_until_disconnect(sent(send, message))
        except TimeoutError:
            raise Stalled from None
