"""MCP servers: the tools behind the protocol, on standard input and output and at `/mcp` over HTTP."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from io import TextIOWrapper
from typing import Any, BinaryIO

import anyio
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
    ToolAnnotations,
)
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from voxcli.errors import DeviceError, NotFound, VoxError, did_you_mean
from voxcli.protocols.fields import json_schema, shown
from voxcli.server.admission import ending_refusal
from voxcli.server.errors import Refusal, error_body_at, note, problem_of, refuse
from voxcli.server.mcp.arguments import (
    AwaitArguments,
    FileArguments,
    NoArguments,
    SpeakArguments,
    SpeechIdArguments,
    TextToSpeechArguments,
    VoiceCloningArguments,
    read_arguments,
)
from voxcli.server.mcp.settings import AgentSettings
from voxcli.server.mcp.tools import Call, Toolbox
from voxcli.server.service import Service
from voxcli.version import __version__

_INSTRUCTIONS = (
    "speak says a text aloud and returns at once; await_speech waits until it was heard, and stop_speaking stops it. "
    "Text is spoken as it is written: write prose, without code, tables and addresses."
)
_INSTRUCTIONS_WITHOUT_SOUND = "text_to_speech returns speech, which this server does not play itself."
_FAULT = "A fault of voxcli itself. Its log has the details."
_MOST_LINE = 64 * 2**20
"""Bytes of a message from a client that is a program of this user."""
_LINES_AHEAD = 64
_LAST_SECONDS = 0.2
"""For the last answers to a script that has sent its requests, and reads them after that."""


@dataclass(frozen=True, slots=True)
class AgentTool:
    """One tool."""

    arguments: type[BaseModel]
    run: Callable[[Toolbox, Call, Any], Awaitable[CallToolResult]]
    of_original: bool = False
    """Whether the original server has it, whose answers are objects with a `status`."""
    plays: bool = False
    """Whether it is for a loudspeaker."""
    reads: bool = False
    """Whether it changes nothing."""


TOOLS = {
    "speak": AgentTool(SpeakArguments, Toolbox.speak, plays=True),
    "stop_speaking": AgentTool(SpeechIdArguments, Toolbox.stop_speaking, plays=True),
    "speech_status": AgentTool(SpeechIdArguments, Toolbox.speech_status, plays=True, reads=True),
    "await_speech": AgentTool(AwaitArguments, Toolbox.await_speech, plays=True, reads=True),
    "list_voices": AgentTool(NoArguments, Toolbox.list_voices, reads=True),
    "synthesize_to_file": AgentTool(FileArguments, Toolbox.synthesize_to_file),
    "text_to_speech": AgentTool(TextToSpeechArguments, Toolbox.text_to_speech, of_original=True),
    "voice_cloning": AgentTool(VoiceCloningArguments, Toolbox.voice_cloning, of_original=True),
    "get_gpu_status": AgentTool(NoArguments, Toolbox.get_gpu_status, of_original=True, reads=True),
    "offload_model": AgentTool(NoArguments, Toolbox.offload_model, of_original=True),
}


def new_server(toolbox: Toolbox) -> Server[Any]:
    """Build the server of the protocol, for any transport."""
    plays = toolbox.settings.plays

    async def list_tools(call: Call, params: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=[_described(*item) for item in TOOLS.items() if plays or not item[1].plays])

    async def call_tool(call: Call, params: CallToolRequestParams) -> CallToolResult:
        tool = TOOLS.get(params.name)
        try:
            if tool is None:
                near = did_you_mean(params.name, TOOLS)
                raise NotFound(f"There is no tool {shown(params.name)}.{near}")
            return await tool.run(toolbox, call, read_arguments(tool.arguments, params.arguments))
        except Exception as error:  # noqa: BLE001 - the outermost handler of a tool
            note(error)
            return _failed(_message(error, toolbox.settings), tool)

    return Server(
        "voxcli",
        version=__version__,
        instructions=_INSTRUCTIONS if plays else _INSTRUCTIONS_WITHOUT_SOUND,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def _described(name: str, tool: AgentTool) -> Tool:
    schema = json_schema(tool.arguments) if tool.arguments.model_fields else {"type": "object", "properties": {}}
    texts = ("title", "description")
    return Tool(
        name=name,
        description=tool.run.__doc__,
        input_schema={key: value for key, value in schema.items() if key not in texts} | _NOTHING_ELSE,
        annotations=ToolAnnotations(read_only_hint=tool.reads, destructive_hint=False, open_world_hint=False),
    )


_NOTHING_ELSE = {"additionalProperties": False}


def _message(error: Exception, settings: AgentSettings) -> str:
    """Return what a client is told. Clients of a public server learn no more than those of its other protocols."""
    if not isinstance(error, VoxError):
        return _FAULT
    if settings.own and isinstance(error, Refusal) and isinstance(error.__cause__, VoxError):
        return str(error.__cause__)  # why the model cannot be loaded
    of_loudspeaker = settings.plays and isinstance(error, DeviceError)
    return str(error) if settings.own or of_loudspeaker else problem_of(error).message


def _failed(message: str, tool: AgentTool | None) -> CallToolResult:
    values = {"status": "error", "error": message} if tool and tool.of_original else None
    text = json.dumps(values, ensure_ascii=False) if values else message
    return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=values, is_error=True)


class McpEndpoint:
    """Application at `/mcp`: streamable HTTP, with sessions for the protocol versions that have them."""

    def __init__(self, service: Service, settings: AgentSettings) -> None:
        self._toolbox = Toolbox(service, settings)
        self._manager = StreamableHTTPSessionManager(new_server(self._toolbox))
        self._serving: asyncio.Task[None] | None = None
        self._ready, self._ending = asyncio.Event(), asyncio.Event()
        service.at_end.append(self.close)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._ending.is_set():
            await refuse(ending_refusal().problem, error_body_at(scope), scope, receive, send)
            return
        if self._serving is None:
            self._serving = asyncio.create_task(self._serve())
        await self._ready.wait()
        await self._manager.handle_request(scope, receive, send)

    async def close(self) -> None:
        """End all sessions, and what they say."""
        self._ending.set()
        await self._toolbox.close()
        if self._serving:
            await self._serving

    async def _serve(self) -> None:
        async with self._manager.run():
            self._ready.set()
            await self._ending.wait()


async def serve_streams(
    service: Service, settings: AgentSettings, streams: tuple[BinaryIO, BinaryIO], stop: asyncio.Event
) -> None:
    """Serve one client, until it leaves or `stop` is set.

    streams: from the client and to it.
    """
    toolbox = Toolbox(service, settings)

    async def serve() -> None:
        output = anyio.wrap_file(TextIOWrapper(streams[1], encoding="utf-8"))
        lines: Any = _Lines(streams[0])
        async with stdio_server(lines, output) as (read, write):
            server = new_server(toolbox)
            await server.run(read, write, server.create_initialization_options())

    serving, stopping = asyncio.create_task(serve()), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            with suppress(BrokenPipeError):  # the client has left
                serving.result()
    finally:
        await toolbox.close()
        for task in (serving, stopping):
            task.cancel()
        await asyncio.gather(serving, stopping, return_exceptions=True)


class _Lines:
    """Lines of a stream, read on a thread that does not keep the process from ending."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._loop = asyncio.get_running_loop()
        self._lines: asyncio.Queue[str] = asyncio.Queue()
        self._room = threading.Semaphore(_LINES_AHEAD)
        threading.Thread(target=self._read, name="messages", daemon=True).start()

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        line = await self._lines.get()
        self._room.release()
        if not line:
            await asyncio.sleep(_LAST_SECONDS)
            raise StopAsyncIteration
        return line

    def _read(self) -> None:
        line = b"more"
        while line:
            try:
                line = self._stream.readline(_MOST_LINE)
            except (OSError, ValueError):  # closed
                line = b""
            self._room.acquire()
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._lines.put_nowait, line.decode("utf-8", "replace"))
