"""Sockets whose client sends anything in any order: nothing hangs, nothing fails inside, and nothing is left."""

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.routing import WebSocketRoute
from starlette.types import Message
from starlette.websockets import WebSocket

from tests.server.tone import ToneEngine
from voxcli.errors import ModelError
from voxcli.server.model_lifecycle import ModelLifecycle
from voxcli.server.service import Service
from voxcli.server.settings import ServerSettings
from voxcli.voices import VoiceLibrary


def messages_after(
    sent: list[Any],
    route: Callable[[Service], WebSocketRoute],
    folder: Path,
    *,
    fail_at: int | None = None,
    **scope: Any,
) -> list[Message]:
    """Send messages to a socket, leave, check that nothing is left, and return what came.

    sent: objects, texts and bytes; a number is a pause in seconds.
    fail_at: the chunk, from 0, at which the engine fails.
    scope: more of the socket's scope.
    """
    threads = threading.active_count()
    got = asyncio.run(_talk(sent, route, folder, fail_at, scope))
    for thread in threading.enumerate():
        if thread.name in ("speech", "model"):
            thread.join(10)
    assert threading.active_count() <= threads
    return got


async def _talk(
    sent: list[Any], route: Callable[[Service], WebSocketRoute], folder: Path, fail_at: int | None, more: dict[str, Any]
) -> list[Message]:
    engine = ToneEngine(chunks=3, chunk_seconds=0.02, fail_at=fail_at, error=ModelError("It broke."))
    chosen = ServerSettings(voices=folder, slots=1, max_utterance_characters=400)
    service = Service(
        chosen,
        VoiceLibrary(folder),
        ModelLifecycle("tone", lambda: engine, chosen),
        knows_voice=lambda name: name == "tone",
    )
    await service.start()
    try:
        tasks = len(asyncio.all_tasks())
        client = _Client(sent)
        scope = {"type": "websocket", "path": "/", "headers": [], "query_string": b"", "subprotocols": [], "state": {}}
        async with asyncio.timeout(20):
            await route(service).endpoint(WebSocket(scope | more, client.receive, client.send))
        assert not [message for message in client.got if message.get("code") == 1011]
        assert (service.admission.used, service.admission.depth, engine.running) == (0, 0, 0)
        assert (len(service.sockets), len(service.utterances)) == (0, 0)
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == tasks
        return client.got
    finally:
        await service.close()


class _Client:
    """An ASGI server's side of one socket."""

    def __init__(self, sent: list[Any]) -> None:
        self.got: list[Message] = []
        self._sent = iter([{"type": "websocket.connect"}, *map(_message, sent)])

    async def receive(self) -> Message:
        message = next(self._sent, None)
        while isinstance(message, float):
            await asyncio.sleep(message)
            message = next(self._sent, None)
        return message or {"type": "websocket.disconnect", "code": 1000}

    async def send(self, message: Message) -> None:
        await asyncio.sleep(0)
        self.got.append(message)


def _message(sent: Any) -> Message | float:
    if isinstance(sent, float):
        return sent
    if isinstance(sent, bytes):
        return {"type": "websocket.receive", "bytes": sent}
    return {"type": "websocket.receive", "text": sent if isinstance(sent, str) else json.dumps(sent)}
