"""Agents in tests: a service with tools, clients of it, and a loudspeaker that makes no sound."""

import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mcp import Client

from tests.server.tone import ToneEngine
from voxcli.audio.chunk import AudioChunk
from voxcli.server.mcp.endpoint import new_server
from voxcli.server.mcp.settings import AgentSettings
from voxcli.server.mcp.tools import Toolbox
from voxcli.server.model_lifecycle import ModelLifecycle
from voxcli.server.service import Service
from voxcli.server.settings import ServerSettings
from voxcli.synthesis.request import SentenceMark
from voxcli.voices import VoiceLibrary

ERAS = ["legacy", "2026-07-28"]


class Loudspeaker:
    """One for all agents of a machine. Fails if two of them play at once."""

    def __init__(self) -> None:
        self.played: list[float] = []
        """Seconds that each speech was heard."""
        self.go = threading.Event()
        self.go.set()
        self.fault: Exception | None = None
        self._busy = threading.Lock()

    def open(self, *, device: str | None, start_buffer: Callable[[float], float], check: Callable[[], None]) -> "Play":
        if self.fault:
            raise self.fault
        return Play(self, check)


class Play:
    """A sink that plays at once what it gets, unless the loudspeaker is held up."""

    underruns = 0
    heard_at = None

    def __init__(self, speaker: Loudspeaker, check: Callable[[], None]) -> None:
        self._speaker, self._check = speaker, check
        self.played_seconds = 0.0

    def __enter__(self) -> Self:
        assert self._speaker._busy.acquire(blocking=False), "two agents talk at once"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._wait()
        finally:
            self._speaker.played.append(self.played_seconds)
            self._speaker._busy.release()

    def write(self, chunk: AudioChunk) -> None:
        self.played_seconds += chunk.seconds
        self._wait()

    def mark(self, mark: SentenceMark) -> None: ...

    def idle(self) -> None: ...

    def _wait(self) -> None:
        while not self._speaker.go.is_set():
            self._check()
            time.sleep(0.002)


@asynccontextmanager
async def tools(engine: ToneEngine, voices: Path, turns: Path, **settings: Any) -> AsyncIterator[Toolbox]:
    """The tools of one agent, which is a process of its own outside of tests.

    turns: of the machine.
    """
    chosen = ServerSettings(voices=voices, wait_seconds=20.0)
    service = Service(chosen, VoiceLibrary(voices), ModelLifecycle("tone", lambda: engine, chosen))
    await service.start()
    toolbox = Toolbox(service, AgentSettings(turns=turns, **settings))
    try:
        yield toolbox
    finally:
        engine.go.set()
        await toolbox.close()
        await service.close()


@asynccontextmanager
async def agent(toolbox: Toolbox, era: str = "legacy") -> AsyncIterator[Client]:
    async with Client(new_server(toolbox), mode=era) as client:
        yield client


async def ask(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool that succeeds, and return its answer."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, words(result)
    found: dict[str, Any] = result.structured_content
    return found


async def fail(client: Client, tool: str, **arguments: Any) -> str:
    """Call a tool that fails, and return its words."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    return words(result)


def words(result: Any) -> str:
    text: str = result.content[0].text
    return text
