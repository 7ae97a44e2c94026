"""Sockets of ElevenLabs' protocol: their messages on the way in."""

from collections.abc import Callable

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from voxcli.protocols.dialect import FieldError, Problem
from voxcli.protocols.elevenlabs.messages import (
    MULTI_PATH,
    PATH,
    ClientMessage,
    SocketSettings,
    error_message,
    final_message,
    read_message,
    read_settings,
)
from voxcli.server.errors import Refusal, problem_of
from voxcli.server.routes.elevenlabs.context import PROTOCOL, SocketContext
from voxcli.server.service import Service
from voxcli.server.streaming.websocket import POLICY, Socket
from voxcli.server.utterances import Caller

_MOST_CONTEXTS = 16
"""Open at once on one socket."""


def elevenlabs_routes(service: Service) -> list[WebSocketRoute]:
    """Return the routes."""

    def route(path: str, serve: "Callable[[Service, Socket, WebSocket, SocketSettings], _Session]") -> WebSocketRoute:
        async def speak(websocket: WebSocket) -> None:
            async with service.sockets.accepted(websocket, PROTOCOL) as socket:
                if socket is None:
                    return
                try:
                    name, query = websocket.path_params["voice_id"], dict(websocket.query_params)
                    samples = service.models.samples
                    settings = await service.threads.call(
                        lambda: read_settings(name, query, service.choice.find, steps_by_model=samples)
                    )
                except FieldError as error:
                    await _refuse(socket, problem_of(error))
                    return
                await serve(service, socket, websocket, settings).run()

        return WebSocketRoute(path, speak)

    return [route(PATH, _Single), route(MULTI_PATH, _Multi)]


async def _refuse(socket: Socket, problem: Problem) -> None:
    """Tell what is wrong with the socket as a whole, and close it."""
    await socket.send_json(error_message(None, problem, POLICY))
    await socket.close(POLICY, problem.message)


class _Session:
    """Takes the messages of one client."""

    def __init__(self, service: Service, socket: Socket, websocket: WebSocket, settings: SocketSettings) -> None:
        self._service, self._socket, self._settings = service, socket, settings
        self._caller = Caller.of(websocket)
        self._contexts: dict[str, SocketContext] = {}

    async def run(self) -> None:
        """Serve the client until it leaves."""
        try:
            while True:
                data = await self._socket.receive()
                try:
                    if await self._take(read_message(data)):
                        return
                except (FieldError, Refusal) as error:
                    await self._tell(problem_of(error))
                self._socket.text_is_complete = not any(one.awaits_text for one in self._contexts.values())
        except Refusal as error:
            await _refuse(self._socket, error.problem)
        finally:
            for context in reversed(self._contexts.values()):  # the last one first, so that none of them begins
                await context.abort()

    async def _take(self, message: ClientMessage) -> bool:
        """Obey a message. Return whether the session ends."""
        raise NotImplementedError

    async def _tell(self, problem: Problem) -> None:
        """Tell of a problem with a message."""
        raise NotImplementedError

    def _new_context(self, id: str | None) -> SocketContext:
        return SocketContext(self._service, self._socket, self._caller, self._settings, id)


class _Single(_Session):
    """A socket with one text, which is closed when that has been spoken."""

    def __init__(self, service: Service, socket: Socket, websocket: WebSocket, settings: SocketSettings) -> None:
        super().__init__(service, socket, websocket, settings)
        self._context = self._contexts[""] = self._new_context(None)

    async def _take(self, message: ClientMessage) -> bool:
        context = self._context
        if message.close_socket:
            return True
        if message.voice_settings and message.voice_settings.speed:
            context.speed = message.voice_settings.speed
        if message.text == "":
            await context.finish()
            return context.task is None
        if message.text and not context.is_finished:
            context.append(message.text)
        if message.flush:
            context.flush()
        return False

    async def _tell(self, problem: Problem) -> None:
        await self._context.abort()
        await self._context.fail(problem)


class _Multi(_Session):
    """A socket with several texts at once, which stays open."""

    async def _take(self, message: ClientMessage) -> bool:
        if message.close_socket:
            return True
        name = message.context_id or ""
        if message.close_context:
            await self._close(name)
            return False
        context = self._contexts.get(name)
        if context is None:
            if not message.text:  # keeps the connection alive
                return False
            context = self._contexts[name] = self._opened(name)
        if message.voice_settings and message.voice_settings.speed:
            context.speed = message.voice_settings.speed
        if message.text:
            context.append(message.text)
        if message.flush:
            context.flush()
        return False

    def _opened(self, name: str) -> SocketContext:
        self._contexts = {key: one for key, one in self._contexts.items() if not (one.is_finished and _is_done(one))}
        if len(self._contexts) >= _MOST_CONTEXTS:
            message = f"Too many contexts are open: at most {_MOST_CONTEXTS} are allowed on one socket."
            raise Refusal(Problem(status=429, message=message, code="too_many_contexts"))
        return self._new_context(name)

    async def _close(self, name: str) -> None:
        context = self._contexts.get(name)
        if context is None:
            await self._socket.send_json(final_message(name))
            return
        # The name is free again at once, while what was flushed is still spoken.
        del self._contexts[name]
        if context.task and not context.task.done():
            self._contexts[f"{name}\0{id(context)}"] = context
        await context.end()

    async def _tell(self, problem: Problem) -> None:
        await self._socket.send_json(error_message(None, problem, POLICY))


def _is_done(context: SocketContext) -> bool:
    return context.task is None or context.task.done()
