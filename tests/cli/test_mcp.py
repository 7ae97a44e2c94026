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
async def test_two_agents_speak_one_after_the_other(
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
    assert [one["state"] for one in heard] == ["done", "done"]
    assert [one["heard_text"] for one in heard] == [TEXT, TEXT]
    assert recording.sounding_seconds > 1.9 * spoken_seconds(TEXT)
    assert Path(written["output_path"]) == tmp_path / "x.wav"


@pytest.mark.anyio
async def test_stopping_silences_the_loudspeaker_and_tells_what_was_heard(
    pulse: PulseServer, loudspeaker: dict[str, str]
) -> None:
    with pulse.recording("speaker44") as recording:
        async with Client(program(loudspeaker)) as client:
            await ask(client, "speak", text=LONG)
            await asyncio.to_thread(wait_until, lambda: recording.sounding_seconds > 1, "a second of sound")
            (stopped,) = (await ask(client, "stop_speaking"))["stopped"]
    assert recording.sounding_seconds < 5
    assert LONG.startswith(stopped["heard_text"])
    assert 0.5 < stopped["seconds"] < recording.sounding_seconds + 0.5


@pytest.mark.parametrize("end", ["close", "kill"])
def test_an_agent_that_leaves_takes_its_voice_along(pulse: PulseServer, loudspeaker: dict[str, str], end: str) -> None:
    command = [sys.executable, "-m", "voxcli", "mcp"]
    call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call"}
    with (
        pulse.recording("speaker44") as recording,
        started(command, loudspeaker, (subprocess.PIPE, subprocess.PIPE, subprocess.PIPE)) as process,
    ):
        assert process.stdin
        assert process.stdout
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
    assert recording.sounding_seconds < 5
    assert [json.loads(line)["id"] for line in out.splitlines()] == [1, 2]


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


def test_nothing_else_is_printed_on_standard_output(run: Run, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import builtins, os, sys\n"
        "real = builtins.__import__\n"
        "def noisy(name, *rest, **more):\n"
        "    if name.startswith('voxcli.server'):\n"
        "        sys.stdout.write('noise of a library\\n'); sys.stdout.flush(); os.write(1, b'noise of C\\n')\n"
        "    return real(name, *rest, **more)\n"
        "builtins.__import__ = noisy\n"
    )
    messages = [*HELLO, {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}]
    stdin = b"".join(json.dumps(message).encode() + b"\n" for message in messages)
    done = run("mcp", stdin=stdin + b"no JSON\n", env={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 0, said(done)
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == [1, 2]
    assert b"noise of C" in done.stderr
    assert b"noise of a library" in done.stderr


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
