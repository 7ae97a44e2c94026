"""Speech stream at `/v1/audio/speech/stream`: text in as it is written, speech out sentence by sentence."""

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from voxcli.protocols.dialect import FieldError, Problem
from voxcli.protocols.speech_stream.config import StreamSettings, read_config
from voxcli.protocols.speech_stream.messages import (
    PATH,
    AudioCancelled,
    InputCancel,
    InputCommit,
    InputCommitted,
    InputDone,
    InputText,
    PlaybackPosition,
    PlaybackTruncate,
    PlaybackTruncated,
    ServerMessage,
    SessionClose,
    SessionConfigured,
    SessionDone,
    error_message,
    read_message,
)
from voxcli.server.bodies import check_clip
from voxcli.server.errors import Refusal, problem_of
from voxcli.server.routes.speech_stream.output import Session
from voxcli.server.routes.speech_stream.utterance import PROTOCOL, SpokenUtterance
from voxcli.server.service import Service
from voxcli.server.streaming.websocket import POLICY, Socket
from voxcli.server.utterances import Caller
from voxcli.synthesis.request import Voice, abilities_of, without_effect

_MOST_UTTERANCES = 16
"""That may wait, finished, for the one that is being spoken."""
_CLOSES, _KEEPS = "close", "keep"
"""Values of `on_done` in the query: whether `input.done` ends the session."""


def speech_stream_route(service: Service) -> WebSocketRoute:
    """Return the route."""

    async def speak(websocket: WebSocket) -> None:
        async with service.sockets.accepted(websocket, PROTOCOL) as socket:
            if socket:
                await _SpeechStream(service, socket, websocket).run()

    return WebSocketRoute(PATH, speak)


class _SpeechStream:
    """Takes the messages of one client."""

    def __init__(self, service: Service, socket: Socket, websocket: WebSocket) -> None:
        self._service, self._socket = service, socket
        self._session = Session(service, socket, Caller.of(websocket), f"speech_{secrets.token_hex(8)}")
        self._settings = read_config({}, service.choice.find, steps_by_model=service.models.samples)
        self._on_done = websocket.query_params.get("on_done", "")
        self._closes = False
        self._closing: asyncio.Task[None] | None = None
        self._spoken: list[SpokenUtterance] = []  # open ones, and the newest that has ended
        self._count = 0

    async def run(self) -> None:
        """Serve the client until it leaves."""
        try:
            while True:
                data = await self._socket.receive()
                try:
                    if await self._take(data):
                        return
                except (FieldError, Refusal) as error:
                    await self._send(error_message(problem_of(error)))
                self._socket.text_is_complete = self._newest is None or not self._newest.is_open
        except Refusal as error:
            await self._send(error_message(error.problem))
            await self._cancel(by_client=False)
            await self._socket.close(POLICY, error.problem.message)
        finally:
            if self._closing:
                self._closing.cancel()
                await asyncio.wait({self._closing})
            await self._cancel(by_client=False)

    async def _take(self, data: str | bytes) -> bool:
        """Obey a message. Return whether the session ends."""
        match read_message(data):
            case dict() as fields:
                await self._configure(fields)
            case InputText(text=text):
                if text:
                    self._open().append(text)
            case InputCommit():
                await self._commit()
            case InputDone():
                await self._finish()
            case InputCancel():
                await self._cancel_and_tell("client_cancel")
            case PlaybackPosition(samples=samples):
                if (newest := self._newest) and newest.utterance:
                    newest.utterance.played_samples = samples
            case PlaybackTruncate(samples=samples):
                await self._truncate(samples)
            case SessionClose():
                return True
        return False

    @property
    def _newest(self) -> SpokenUtterance | None:
        return self._spoken[-1] if self._spoken else None

    def _open(self) -> SpokenUtterance:
        """Return the utterance that text belongs to, and begin one if there is none."""
        newest = self._newest
        if newest and not newest.is_finished:
            return newest
        self._spoken = [one for one in self._spoken if not one.task.done()]
        if len(self._spoken) > _MOST_UTTERANCES:
            message = f"Too many utterances are waiting: at most {_MOST_UTTERANCES} are allowed."
            raise Refusal(Problem(status=429, message=message, code="too_many_utterances"))
        after = self._newest
        self._spoken.append(SpokenUtterance(self._session, self._count, self._settings, after))
        self._count += 1
        return self._spoken[-1]

    async def _commit(self) -> None:
        self._closes = True  # only clients of SGLang-Omni send it
        if (newest := self._newest) and newest.is_open:
            newest.commit()
        else:
            await self._send(InputCommitted(session_id=self._session.id))

    async def _finish(self) -> None:
        newest = self._newest
        if newest is None or newest.is_finished:
            await self._send(SessionDone(session_id=self._session.id, utterance_index=self._count))
            self._count += 1
        else:
            await newest.finish()
        closes = self._on_done == _CLOSES or (self._closes and self._on_done != _KEEPS)
        if closes and self._closing is None:
            self._closing = asyncio.create_task(self._close_when_done())

    async def _close_when_done(self) -> None:
        for one in self._spoken:
            await asyncio.wait({one.task})
        await self._socket.close()

    async def _configure(self, fields: Mapping[str, Any]) -> None:
        if any(not one.task.done() or one.is_open for one in self._spoken):
            message = "The settings cannot change while an utterance is open. Send input.done or input.cancel first."
            raise Refusal(Problem(status=409, message=message, code="utterance_open"))
        settings, models = self._service.settings, self._service.models
        read = await self._service.threads.call(lambda: self._read(fields))
        if settings.strict_models and read.model not in (None, models.name):
            message = f"Model {str(read.model)[:80]!r} not found. GET /v1/models lists the models."
            raise Refusal(Problem(status=404, message=message, code="model_not_found", field="model"))
        self._settings, self._closes = read, read.closes
        for one in self._spoken:
            one.is_finished = True  # what failed gets no more text
        await self._send(
            SessionConfigured(
                session_id=self._session.id,
                response_format=read.format.value,
                stream_audio=read.streams,
                split_granularity=read.granularity,
                server="voxcli",
                ignored=list(self._ignored(read)) or None,
            )
        )

    def _read(self, fields: Mapping[str, Any]) -> StreamSettings:
        """Read the settings, and check the recording. On a thread: both take a while."""
        read = read_config(fields, self._service.choice.find, steps_by_model=self._service.models.samples)
        voice: Voice = read.delivery.voice
        for clip in (voice.reference, voice.prompt and voice.prompt.clip):
            if clip:
                check_clip(clip, self._service.settings, "ref_audio")
        return read

    def _ignored(self, read: StreamSettings) -> list[str]:
        """Name the settings that make no difference, as far as the engine is known."""
        engine = self._service.models.engine
        idle = without_effect(read.delivery.voice, abilities_of(engine)) if engine else frozenset()
        return [*(name for name, one in (read.parameters or {}).items() if one in idle), *read.ignored]

    async def _truncate(self, samples: int | None) -> None:
        """Stop, and tell what was heard. The newest utterance may have been sent long before it is heard."""
        newest = self._newest
        await self._cancel()
        played = newest.played(samples) if newest else None
        await self._send(PlaybackTruncated(utterance_index=newest.index if newest else 0, played=played))

    async def _cancel_and_tell(self, reason: str) -> None:
        spoken = [one for one in self._spoken if not one.task.done() or not one.is_finished]
        await self._cancel()
        for one in spoken:
            await self._send(one.cancelled_message(reason))
        if not spoken:
            await self._send(AudioCancelled(utterance_index=max(self._count - 1, 0), reason=reason))

    async def _cancel(self, *, by_client: bool = True) -> None:
        """Cancel what is open, the last one first, so that none of them begins."""
        for one in reversed(self._spoken):
            if not one.task.done():
                await one.cancel(by_client=by_client)
            one.is_finished = True

    async def _send(self, message: ServerMessage) -> None:
        await self._socket.send_json(message.to_json())
