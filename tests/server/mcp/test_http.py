"""The tools at `/mcp` of a real server on a real socket, with the official client in both eras of the protocol."""

import asyncio
import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import Client

from tests.server.mcp.agents import ERAS, Loudspeaker, ask, fail, words
from tests.server.running import Running, running
from tests.server.tone import ToneEngine, until
from voxcli.errors import DeviceError
from voxcli.server.app import create_app
from voxcli.server.mcp.endpoint import McpEndpoint
from voxcli.server.mcp.outputs import Folder
from voxcli.server.mcp.settings import AgentSettings
from voxcli.server.service import Service

pytestmark = pytest.mark.anyio
TEXT = "This is the first sentence. And this is the second one. Here is the third one."
HEADERS = {"accept": "application/json, text/event-stream", "content-type": "application/json"}


def with_tools(turns: Path, **settings: Any) -> Any:
    def new_app(service: Service) -> Any:
        agents = AgentSettings(turns=turns, own=False, max_characters=service.settings.max_characters, **settings)
        return create_app(service, McpEndpoint(service, agents))

    return new_app


@pytest.fixture(scope="module")
def engine() -> ToneEngine:
    return ToneEngine()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("speech")


@pytest.fixture(scope="module")
def server(engine: ToneEngine, folder: Path) -> Iterator[Running]:
    new_app = with_tools(folder / "turns", plays=False, folder=Folder(folder))
    with running(engine, new_app=new_app) as server:
        yield server


@pytest.mark.parametrize("era", ["auto", *ERAS])
async def test_tools_are_listed_and_work_in_every_era(server: Running, era: str) -> None:
    async with Client(f"{server.url}/mcp", mode=era) as client:
        tools = (await client.list_tools()).tools
        assert [tool.name for tool in tools] == [
            *("list_voices", "synthesize_to_file", "text_to_speech", "voice_cloning", "get_gpu_status"),
            "offload_model",
        ]
        assert all(tool.description and tool.input_schema["type"] == "object" for tool in tools)
        names = {voice["name"] for voice in (await ask(client, "list_voices"))["voices"]}
        assert {"default", "alloy"} <= names
        assert await ask(client, "get_gpu_status") == {"status": "error", "error": "CUDA not available"}


@pytest.mark.parametrize("era", ERAS)
async def test_a_tool_speaks_as_the_http_route_does(server: Running, era: str) -> None:
    told: list[Any] = []

    async def note(*progress: Any) -> None:
        told.append(progress)

    arguments = {"text": TEXT, "voice": "default", "seed": 7, "format": "wav"}
    async with Client(f"{server.url}/mcp", mode=era) as client:
        result = await client.call_tool("text_to_speech", arguments, progress_callback=note)
    assert not result.is_error, words(result)
    assert result.structured_content
    assert result.structured_content["status"] == "success"
    sound: Any = result.content[1]
    assert sound.mime_type == "audio/wav"
    form = {"text": TEXT, "seed": "7", "inference_timesteps": "10", "retry_badcase": "true", "voice_id": "default"}
    assert base64.b64decode(sound.data) == httpx.post(f"{server.url}/api/tts", data=form).content
    assert told == [(number, 3, f"sentence {number} of 3") for number in (1, 2, 3)]


@pytest.mark.parametrize("era", ERAS)
async def test_cancelling_stops_the_engine_within_a_patch(folder: Path, era: str) -> None:
    engine = ToneEngine(chunks=10_000, pace=0.25)
    with running(engine, new_app=with_tools(folder / "turns")) as server:
        async with Client(f"{server.url}/mcp", mode=era) as client:
            speaking = asyncio.create_task(client.call_tool("text_to_speech", {"text": "An endless text."}))
            await asyncio.to_thread(until, lambda: engine.made > 3)
            speaking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await speaking
            assert await asyncio.to_thread(engine.idle.wait, 5)
            assert (await ask(client, "get_gpu_status"))["status"] == "error"  # the session goes on
        assert server.service.admission.used == 0


async def test_a_client_that_dies_stops_the_engine(folder: Path) -> None:
    engine = ToneEngine(chunks=10_000, pace=0.25)
    with running(engine, new_app=with_tools(folder / "turns")) as server:
        call = {"name": "text_to_speech", "arguments": {"text": "An endless text."}}
        async with httpx.AsyncClient() as client:
            sending = asyncio.create_task(client.post(f"{server.url}/mcp", **modern("tools/call", call)))
            await asyncio.to_thread(until, lambda: engine.made > 3)
            sending.cancel()
        assert await asyncio.to_thread(engine.idle.wait, 5)
        await asyncio.to_thread(until, lambda: server.service.admission.used == 0)


async def test_files_are_written_below_the_folder_and_nowhere_else(
    server: Running, engine: ToneEngine, folder: Path
) -> None:
    async with Client(f"{server.url}/mcp") as client:
        written = await ask(client, "synthesize_to_file", text=TEXT, path="talks/one.flac")
        assert Path(written["path"]) == folder / "talks" / "one.flac"
        assert Path(written["path"]).read_bytes().startswith(b"fLaC")
        assert "exists already" in await fail(client, "synthesize_to_file", text=TEXT, path="talks/one.flac")
        await ask(client, "synthesize_to_file", text="Anew.", path="talks/one.flac", overwrite=True)
        assert "is not below the folder" in await fail(client, "synthesize_to_file", text=TEXT, path="../one.wav")
        made = await ask(client, "text_to_speech", text=TEXT)
        assert Path(made["output_path"]).parent == folder
        assert set(made) == {"status", "output_path", "sample_rate"}
        given = await ask(client, "text_to_speech", text=TEXT, output_path="given.wav")
        error = json.loads(await fail(client, "voice_cloning", text=TEXT, reference_audio="/etc/passwd"))
        assert error["status"] == "error"
        assert "is not below the folder" in error["error"]
        await ask(client, "voice_cloning", text="Hi.", reference_audio="given.wav", reference_text="It.")
    prompt = engine.requests[-1].voice.prompt
    assert prompt
    assert (prompt.clip.data, prompt.transcript) == (Path(given["output_path"]).read_bytes(), "It.")
    assert not [path for path in folder.rglob("*") if path.name.startswith(".")]


async def test_what_is_not_offered_says_so(server: Running, folder: Path) -> None:
    async with Client(f"{server.url}/mcp") as client:
        assert "plays no speech for its clients" in await fail(client, "speak", text=TEXT)
    with running(ToneEngine(), new_app=with_tools(folder / "turns")) as other:
        async with Client(f"{other.url}/mcp") as client:
            error = await fail(client, "synthesize_to_file", text=TEXT, path="x.wav")
            assert error.startswith("The user has chosen no folder for files")
            assert "has chosen no folder" in await fail(client, "voice_cloning", text=TEXT, reference_audio="x.wav")


async def test_each_session_stops_and_sees_its_own_speech_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    speaker = Loudspeaker()
    monkeypatch.setattr("voxcli.server.mcp.tools.Speaker", speaker.open)
    monkeypatch.setattr("voxcli.server.mcp.tools.check_loudspeaker", lambda device: None)
    with running(ToneEngine(), new_app=with_tools(folder / "turns")) as server:
        address = f"{server.url}/mcp"
        async with Client(address, mode="legacy") as one, Client(address, mode="legacy") as two:
            speaker.fault = DeviceError("It was unplugged.")
            failed = await one.call_tool("speak", {"text": "This is never heard."})
            assert "It was unplugged." in words(failed) or await fail(one, "await_speech") == "It was unplugged."
            speaker.fault = None
            speaker.go.clear()
            first = await ask(one, "speak", text="This is of the first one.")
            second = await ask(two, "speak", text="This is of the second one.")
            assert "You have no speech" in await fail(two, "stop_speaking", id=first["id"])
            assert (await ask(two, "stop_speaking"))["stopped"][0]["id"] == second["id"]
            speaker.go.set()
            assert (await ask(one, "await_speech"))["state"] == "done"
            seen = [speech["id"] for speech in (await ask(one, "speech_status"))["speeches"]]
            assert seen[1:] == [first["id"]]
        metrics = httpx.get(f"{server.url}/metrics").text
        assert 'voxcli_utterances_total{ending="done",protocol="mcp"} 1.0' in metrics
    assert len(speaker.played) == 1


def modern(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """Return a request of the newest protocol version as httpx takes it."""
    prefix = "io.modelcontextprotocol"
    about = {f"{prefix}/protocolVersion": "2026-07-28", f"{prefix}/clientCapabilities": {}}
    headers = {**HEADERS, "mcp-protocol-version": "2026-07-28", "mcp-method": method}
    if "name" in params:
        headers["mcp-name"] = params["name"]
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": about}}
    return {"headers": headers, "json": body}


def test_keys_hosts_and_origins_are_checked_as_everywhere(folder: Path) -> None:
    with running(ToneEngine(), new_app=with_tools(folder / "turns"), keys=frozenset({"secret"})) as server:
        asked = modern("tools/list", {})

        def post(**more: str) -> httpx.Response:
            return httpx.post(f"{server.url}/mcp", json=asked["json"], headers={**asked["headers"], **more})

        key = {"authorization": "Bearer secret"}
        assert post(**key).status_code == 200
        for status, headers in (
            (401, {}),
            (401, {"authorization": "Bearer wrong"}),
            (403, {**key, "origin": "https://evil.example"}),
            (421, {**key, "host": "evil.example"}),
        ):
            answer = post(**headers)
            assert answer.status_code == status
            assert answer.json()["error"]["message"]
            assert answer.json()["jsonrpc"] == "2.0"


def test_a_text_of_ten_megabytes_is_refused(server: Running) -> None:
    call = {"name": "text_to_speech", "arguments": {"text": "a" * 10_000_000}}
    answer = httpx.post(f"{server.url}/mcp", **modern("tools/call", call))
    assert answer.status_code == 413
    assert answer.json()["error"]["message"].startswith("The request body is too large")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b'{"jsonrpc": "2.0"}', b'"text"'])
def test_what_is_no_request_is_an_error_of_the_protocol(server: Running, body: bytes) -> None:
    answer = httpx.post(f"{server.url}/mcp", headers=HEADERS, content=body)
    assert answer.status_code == 400
    assert "error" in answer.json()


async def test_the_end_of_the_server_ends_sessions_and_what_they_make(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voxcli.server.host._LAST_SECONDS", 60)  # of which nothing is needed
    engine = ToneEngine(chunks=10_000, pace=0.25)
    with running(engine, new_app=with_tools(folder / "turns"), drain_seconds=0.1) as server:
        async with Client(f"{server.url}/mcp", mode="legacy") as client:
            speaking = asyncio.create_task(client.call_tool("text_to_speech", {"text": "An endless text."}))
            await asyncio.to_thread(until, lambda: engine.made > 3)
            server.call(server.host.stop)
            await asyncio.to_thread(until, lambda: not server.loop.is_running())
            assert engine.idle.is_set()
            speaking.cancel()
