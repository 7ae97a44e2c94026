"""Session of OpenAI's Realtime API: the events of a client, the conversation, and the responses that are open."""

import asyncio
from typing import Any

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from voxcli.protocols.dialect import FieldError, Problem
from voxcli.protocols.fields import read_object
from voxcli.protocols.openai.fields import steps_of
from voxcli.protocols.openai.realtime import (
    INVALID_JSON,
    PATH,
    Item,
    ItemCreate,
    ItemDelete,
    ItemTruncate,
    Manner,
    ResponseCancel,
    ResponseCreate,
    ResponseFields,
    SessionUpdate,
    is_beta,
    quoted_text,
    read_event,
    text_of,
    texts_of_user,
)
from voxcli.protocols.openai.realtime_events import (
    ResponseEvents,
    error_event,
    event,
    item_object,
    new_id,
    session_object,
)
from voxcli.server.errors import Refusal, problem_of
from voxcli.server.routes.realtime.response import PROTOCOL, SpokenResponse
from voxcli.server.service import Service
from voxcli.server.streaming.websocket import POLICY, Socket
from voxcli.server.utterances import Caller
from voxcli.synthesis.request import Sampling

_MOST_RESPONSES = 32
"""Open at once on one socket; of these, some want a slot, and the others wait."""
_TURNS = 4
_REMEMBERED = 32
"""Responses that have ended, of which a client may still ask what was heard."""
_MOST_ITEMS = 256
_BETA_HEADER, _BETA_PROTOCOL = "realtime=v1", "openai-beta.realtime-v1"


def realtime_route(service: Service) -> WebSocketRoute:
    """Return the route."""

    async def speak(websocket: WebSocket) -> None:
        async with service.sockets.accepted(websocket, PROTOCOL) as socket:
            if socket:
                await _Session(service, socket, websocket).run()

    return WebSocketRoute(PATH, speak)


class _Session:
    """Takes the events of one client."""

    def __init__(self, service: Service, socket: Socket, websocket: WebSocket) -> None:
        self._service, self._socket, self._caller = service, socket, Caller.of(websocket)
        self._id, self._conversation_id = new_id("sess"), new_id("conv")
        self._model = websocket.query_params.get("model", "")[:256]
        offered = websocket.scope.get("subprotocols", [])
        self._beta = _BETA_HEADER in websocket.headers.get("openai-beta", "") or _BETA_PROTOCOL in offered
        self._manner = Manner()
        self._items: dict[str, Item] = {}
        self._unspoken: list[str] = []  # ids of a user's items since the last response
        self._responses: list[SpokenResponse] = []
        self._turns = asyncio.Semaphore(_TURNS)

    async def run(self) -> None:
        """Serve the client until it leaves."""
        self._socket.text_is_complete = True  # each response has its whole text
        try:
            if problem := self._wrong_model():
                await self._socket.send_json(error_event(problem))
                await self._socket.close(POLICY, problem.message)
                return
            await self._tell_session("session.created")
            while True:
                await self._take(await self._socket.receive())
        except Refusal as error:
            await self._socket.send_json(error_event(error.problem))
            await self._socket.close(POLICY, error.problem.message)
        finally:
            for response in reversed(self._responses):  # the last one first, so that none of them begins
                await response.abort()

    def _wrong_model(self) -> Problem | None:
        if not self._service.settings.strict_models or self._model in ("", self._service.models.name):
            return None
        message = f"Model {self._model[:80]!r} not found. GET /v1/models lists the models."
        return Problem(status=404, message=message, code="model_not_found", field="model")

    async def _take(self, data: str | bytes) -> None:
        event_id: str | None = None
        try:
            fields = read_object(data, what="event", codes=INVALID_JSON)
            if isinstance(given := fields.get("event_id"), str):
                event_id = given[:512].encode(errors="replace").decode()
            await self._obey(read_event(fields))
        except (FieldError, Refusal) as error:
            await self._socket.send_json(error_event(problem_of(error), event_id))

    async def _obey(self, message: Any) -> None:
        match message:
            case SessionUpdate(session=session):
                beta = is_beta(session)
                self._manner = await self._changed(session)
                self._beta = self._beta if beta is None else beta
                await self._tell_session("session.updated")
            case ItemCreate(item=item):
                await self._add(item)
            case ItemDelete(item_id=item_id):
                self._item(item_id)
                self._forget(item_id)
                await self._socket.send_json(event("conversation.item.deleted", item_id=item_id))
            case ItemTruncate():
                await self._truncate(message)
            case ResponseCreate(response=response):
                await self._respond(response or ResponseFields())
            case ResponseCancel(response_id=response_id):
                await self._cancel(response_id)

    async def _changed(self, given: Any) -> Manner:
        find_voice = self._service.choice.find
        return await self._service.threads.call(lambda: self._manner.changed(given, find_voice))

    async def _tell_session(self, kind: str) -> None:
        model = self._model or self._service.models.name
        session = session_object(self._id, model, self._manner, beta=self._beta)
        await self._socket.send_json(event(kind, session=session))

    def _item(self, item_id: str) -> Item:
        if item := self._items.get(item_id):
            return item
        message = f"The conversation has no item {item_id[:80]!r}."
        raise FieldError(message, "item_id", "item_not_found")

    def _forget(self, item_id: str) -> None:
        del self._items[item_id]
        if item_id in self._unspoken:
            self._unspoken.remove(item_id)

    async def _add(self, item: Item) -> None:
        text, item_id = text_of(item), item.id or new_id("item")
        if item.role is None:
            raise FieldError("'item.role' is missing: 'user' for a text to speak.", "item.role", "missing")
        if item_id in self._items:
            raise FieldError(f"The conversation has an item {item_id!r} already.", "item.id", "item_exists")
        waiting = sum(len(text_of(self._items[one])) for one in self._unspoken)
        self._check_length(waiting + len(text))
        if len(self._unspoken) >= _MOST_ITEMS:
            message = f"Too many items wait for a response: at most {_MOST_ITEMS} are allowed."
            raise Refusal(Problem(status=429, message=message, code="too_many_items"))
        if len(self._items) >= _MOST_ITEMS:
            self._forget(next(one for one in self._items if one not in self._unspoken))
        previous = next(reversed(self._items), None)
        self._items[item_id] = item
        if item.role == "user":
            self._unspoken.append(item_id)
        shown = item_object(item_id, item.role, text)
        for what in ("created",) if self._beta else ("added", "done"):
            await self._socket.send_json(
                event(f"conversation.item.{what}", previous_item_id=previous, item=shown),
            )

    def _check_length(self, characters: int) -> None:
        most = self._service.settings.max_utterance_characters
        if characters > most:
            message = f"The text is too long: at most {most} characters are allowed in one response."
            raise Refusal(Problem(status=413, message=message, code="text_too_long"))

    async def _respond(self, given: ResponseFields) -> None:
        own = given.conversation != "none"
        self._responses = self._kept()
        active = [one for one in self._responses if one.is_open]
        if own and any(one.events.conversation_id for one in active):
            message = "A response of the conversation is being spoken. Wait for response.done, or send response.cancel."
            raise Refusal(Problem(status=409, message=message, code="conversation_already_has_active_response"))
        if len(active) >= _MOST_RESPONSES:
            message = f"Too many responses are open: at most {_MOST_RESPONSES} are allowed on one socket."
            raise Refusal(Problem(status=429, message=message, code="too_many_responses"))
        manner = await self._changed(given)
        text = self._text(given)
        self._check_length(len(text))
        events = ResponseEvents(
            id=new_id("resp"),
            item_id=new_id("item"),
            manner=manner,
            conversation_id=self._conversation_id if own else None,
            metadata=given.metadata,
            beta=self._beta,
        )
        steps = steps_of(self._model) if self._service.models.samples else None
        sampling = Sampling(steps=steps) if steps else Sampling()
        if given.input is None:
            self._unspoken.clear()
        await self._socket.send_json(events.created())
        self._responses.append(
            SpokenResponse(self._service, self._socket, self._caller, events, text, sampling, self._turns)
        )

    def _text(self, given: ResponseFields) -> str:
        """Return what a response speaks: its own input, the new items, what instructions quote, or the last item."""
        users = [one for one, item in self._items.items() if item.role == "user"]
        if given.input is not None:
            named = [self._item(item.id or "") if item.type == "item_reference" else item for item in given.input]
            texts = texts_of_user(named)
        else:
            texts = texts_of_user([self._items[one] for one in self._unspoken])
        quoted = quoted_text(given.instructions) if given.instructions and not texts else None
        if quoted and quoted.strip():
            texts = [quoted]
        elif not texts and given.input is None and users:
            texts = texts_of_user([self._items[users[-1]]])
        if not texts:
            message = (
                "There is no text to speak: send a user's item with 'input_text', 'input' in the response, or "
                "instructions with the text in quotation marks."
            )
            raise FieldError(message, "response.input", "no_text")
        return "\n".join(texts)

    def _kept(self) -> list[SpokenResponse]:
        ended = [one for one in self._responses if not one.is_open][-_REMEMBERED:]
        return [one for one in self._responses if one.is_open or one in ended]

    async def _cancel(self, response_id: str | None) -> None:
        active = [one for one in self._responses if one.is_open]
        if response_id is None:
            chosen = [one for one in active if one.events.conversation_id] or active
        else:
            chosen = [one for one in active if one.events.id == response_id]
        if not chosen:
            message = "Nothing is being spoken that could be cancelled."
            raise FieldError(message, "response_id", "response_cancel_not_active")
        for response in reversed(chosen):
            await response.cancel()

    async def _truncate(self, asked: ItemTruncate) -> None:
        """Tell what was heard of an item. Speech that goes on is cancelled."""
        response = next((one for one in self._responses if one.events.item_id == asked.item_id), None)
        if response is None:
            message = f"There is no speech of an item {asked.item_id[:80]!r}."
            raise FieldError(message, "item_id", "item_not_found")
        if asked.content_index:
            raise FieldError("'content_index' must be 0: each item has one part.", "content_index")
        if response.is_open:
            await response.cancel()
        if asked.audio_end_ms > response.seconds * 1000 + 1:
            sent = round(response.seconds * 1000)
            message = f"'audio_end_ms' is beyond the end of the audio: {sent} ms were sent."
            raise FieldError(message, "audio_end_ms")
        played = response.played(asked.audio_end_ms / 1000)
        place: dict[str, Any] = {
            "item_id": asked.item_id,
            "content_index": 0,
            "audio_end_ms": round(asked.audio_end_ms),
        }
        told = event("conversation.item.truncated", **place, transcript=played.text, position=played.position)
        await self._socket.send_json(told)
