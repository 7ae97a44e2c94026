"""The speech stream, whatever a client sends in whatever order."""

import asyncio
import json
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Message
from starlette.websockets import WebSocket

from tests.server.tone import ToneEngine
from voxcli.errors import ModelError
from voxcli.server.model_lifecycle import ModelLifecycle
from voxcli.server.routes.speech_stream.route import speech_stream_route
from voxcli.server.service import Service
from voxcli.server.settings import ServerSettings
from voxcli.voices import VoiceLibrary

STREAMED = {"type": "session.config", "stream_audio": True}
SENT: list[Any] = [
    {"type": "session.config", "response_format": "flac"},
    STREAMED,
    {"type": "session.config", "session": {"word_timestamps": True}},
    {"type": "session.config", "split_granularity": "none"},
    {"type": "session.config", "voice": "nobody"},
    {"type": "input.text", "text": "Hello there, you. And"},
    {"type": "input.text", "text": " a second [pause 50ms] sentence. "},
    {"type": "input.text", "text": "🙂\ud83d"},
    {"type": "input.text", "text": "a" * 300},
    {"type": "input.commit"},
    {"type": "input.done"},
    {"type": "input.cancel"},
    {"type": "playback.position", "samples": 2000},
    {"type": "playback.truncate"},
    {"type": "session.close"},
    {"type": "nonsense"},
    "{",
    b"\0",
    0.0,
]
"""What a client sends; a number is a pause in seconds."""


class Client:
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


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tmp_path_factory.mktemp("voices")


async def talk(sent: list[Any], engine: ToneEngine, service: Service) -> list[Message]:
    """Send everything, leave, and return what came."""
    client = Client(sent)
    scope = {"type": "websocket", "path": "/", "headers": [], "query_string": b"", "subprotocols": [], "state": {}}
    route = speech_stream_route(service)
    async with asyncio.timeout(20):
        await route.endpoint(WebSocket(scope, client.receive, client.send))
    return client.got


async def check_order(sent: list[Any], fail_at: int | None, folder: Any) -> None:
    engine = ToneEngine(chunks=3, chunk_seconds=0.02, fail_at=fail_at, error=ModelError("It broke."))
    chosen = ServerSettings(voices=folder, slots=1, max_utterance_characters=400)
    service = Service(chosen, VoiceLibrary(folder), ModelLifecycle("tone", lambda: engine, chosen))
    await service.start()
    try:
        tasks = len(asyncio.all_tasks())
        got = await talk(sent, engine, service)
        assert not [message for message in got if message.get("code") == 1011]
        kinds = [json.loads(message["text"])["type"] for message in got if message.get("text")]
        assert kinds.count("audio.done") <= kinds.count("audio.start")
        assert (service.admission.used, service.admission.depth, engine.running) == (0, 0, 0)
        assert (len(service.sockets), len(service.utterances)) == (0, 0)
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == tasks
    finally:
        await service.close()


@settings(max_examples=60)
@given(sent=st.lists(st.sampled_from(SENT), max_size=12), fail_at=st.sampled_from([None, None, 0, 2]))
def test_any_order_of_messages_ends_without_a_fault_and_leaves_nothing(
    folder: Any, sent: list[Any], fail_at: int | None
) -> None:
    threads = threading.active_count()
    asyncio.run(check_order(sent, fail_at, folder))
    for thread in threading.enumerate():
        if thread.name in ("speech", "model"):
            thread.join(10)
    assert threading.active_count() <= threads
