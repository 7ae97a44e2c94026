"""`voxcli mcp` as an agent's program starts it: the official client, a real process, a real loudspeaker."""

import asyncio
import json
import signal
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mcp import Client, StdioServerParameters

import voxcli
from tests.program import Run, said, started
from tests.pulse import PulseServer, wait_until
from voxcli.installation import install_command

TEXT = "One voice at a time."
LONG = "Once upon a time there was a voice that went on and on. " * 20


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def loudspeaker(pulse: PulseServer, environment: dict[str, str]) -> dict[str, str]:
    client = pulse.client("speaker44")
    names = ("HOME", "XDG_RUNTIME_DIR", "PULSE_SERVER", "PULSE_SINK")
    return environment | {name: client[name] for name in names}


def program(environment: dict[str, str], *arguments: str) -> StdioServerParameters:
    command = ["-m", "voxcli", "mcp", *arguments]
    return StdioServerParameters(command=sys.executable, args=command, env=environment)


async def ask(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    found: dict[str, Any] = result.structured_content
    return found


def spoken_seconds(text: str) -> float:
    with voxcli.open_engine("espeak") as engine:
        samples, rate = engine.speak(text).samples()
    return len(np.trim_zeros(samples)) / rate


@pytest.mark.anyio
@pytest.mark.real_time
async def test_agents_speak_one_after_the_other_and_stop(
    pulse: PulseServer, loudspeaker: dict[str, str], tmp_path: Path
) -> None:
    with pulse.recording("speaker44") as recording:
        async with AsyncExitStack() as held:
            one = await held.enter_async_context(Client(program(loudspeaker, "--folder", str(tmp_path)), mode="legacy"))
            two = await held.enter_async_context(Client(program(loudspeaker), mode="2026-07-28"))
            for client in (one, two):
                await ask(client, "speak", text=TEXT)
            heard = [await ask(client, "await_speech") for client in (one, two)]
            written = await ask(one, "text_to_speech", text=TEXT, output_path="x.wav")
            before = recording.sounding_seconds
            await ask(two, "speak", text=LONG)
            await asyncio.to_thread(wait_until, lambda: recording.sounding_seconds > before + 1, "a second of sound")
            (stopped,) = (await ask(two, "stop_speaking"))["stopped"]
    assert [one["state"] for one in heard] == ["done", "done"]
    assert [one["heard_text"] for one in heard] == [TEXT, TEXT]
    assert before > 1.9 * spoken_seconds(TEXT)
    assert recording.sounding_seconds < before + 8
    assert LONG.startswith(stopped["heard_text"])
    assert 0.3 < stopped["seconds"] < recording.sounding_seconds
    assert Path(written["output_path"]) == tmp_path / "x.wav"


NOISE = """
import os, sys, threading, time
def work():
    while "voxcli.server.mcp.endpoint" not in sys.modules:
        time.sleep(0.02)
    while True:
        print("noise of a library", flush=True)
        os.write(1, b"noise of C\\n")
        time.sleep(0.05)
threading.Thread(target=work, daemon=True).start()
"""


@pytest.mark.parametrize("end", ["close", "kill"])
def test_an_agent_that_leaves_takes_its_voice_along(
    pulse: PulseServer, loudspeaker: dict[str, str], tmp_path: Path, end: str
) -> None:
    command = [sys.executable, "-m", "voxcli", "mcp"]
    (tmp_path / "sitecustomize.py").write_text(NOISE)
    call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call"}
    with (
        pulse.recording("speaker44") as recording,
        started(command, loudspeaker | {"PYTHONPATH": str(tmp_path)}, (subprocess.PIPE,) * 3) as process,
    ):
        assert process.stdin
        for message in (*HELLO, {**call, "params": {"name": "speak", "arguments": {"text": LONG}}}):
            process.stdin.write(json.dumps(message).encode() + b"\n")
        process.stdin.flush()
        wait_until(lambda: recording.sounding_seconds > 0.5, "the voice")
        if end == "close":
            process.stdin.close()
            process.stdin = None
        else:
            process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
        assert process.returncode == 0, err
    assert recording.sounding_seconds < 8
    assert [json.loads(line)["id"] for line in out.splitlines()] == [1, 2]  # and nothing besides
    assert b"noise of C" in err
    assert b"noise of a library" in err


HELLO = [
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    },
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
]


def test_a_script_gets_its_answers(run: Run) -> None:
    messages = [*HELLO, {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}]
    stdin = b"".join(json.dumps(message).encode() + b"\n" for message in messages)
    done = run("mcp", stdin=stdin + b"no JSON\n")
    assert done.returncode == 0, said(done)
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == [1, 2]


def test_without_the_package_the_client_is_told_what_to_install(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mcp.py").write_text("raise ModuleNotFoundError(\"No module named 'mcp'\", name='mcp')")
    done = run("mcp", stdin=json.dumps(HELLO[0]).encode() + b"\n", env={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 3
    sentence = f"Tools for agents need mcp, which is not installed. Run: {install_command('mcp')}"
    assert sentence in said(done)
    answer = json.loads(done.stdout)
    assert (answer["id"], answer["error"]["message"]) == (1, sentence)


def test_a_model_that_is_not_there_is_told_to_the_client(run: Run) -> None:
    done = run("mcp", "--model", "voxcpm-2", stdin=json.dumps(HELLO[0]).encode() + b"\n")
    assert done.returncode == 3
    assert json.loads(done.stdout)["error"]["message"] in said(done)
