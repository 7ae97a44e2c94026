"""Every example runs, and does what it says."""

import json
import os
import re
import subprocess
import sys
import wave
from pathlib import Path

import pytest

from tests.program import STRICT
from tests.pulse import PulseServer
from tests.sound import seconds_of
from voxcli.server.mcp.endpoint import TOOLS
from voxcli.version import __version__

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(name: str, folder: Path, *arguments: str, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env=(environment or dict(os.environ)) | {"PYTHONWARNINGS": STRICT},
        check=True,
    )
    assert done.stderr == ""
    return done.stdout


def test_hello_writes_a_file(tmp_path: Path) -> None:
    run("hello.py", tmp_path)
    with wave.open(str(tmp_path / "hello.wav")) as file:
        assert file.getnframes() > file.getframerate() / 2


def test_read_along_plays_and_keeps_the_story(tmp_path: Path, pulse: PulseServer) -> None:
    with pulse.recording() as recording:
        run("read_along.py", tmp_path, environment=pulse.environment)
    assert recording.sounding_seconds == pytest.approx(seconds_of(tmp_path / "story.mp3"), abs=1.5)


def test_first_sound_prints_a_line_for_each_text(tmp_path: Path) -> None:
    lines = run("first_sound.py", tmp_path).splitlines()
    assert len(lines) == 2
    assert all(
        re.fullmatch(r" *\d+ characters: first chunk after \d+\.\d ms, \d+\.\d s of speech", line) for line in lines
    )


def test_no_example_is_forgotten() -> None:
    tested = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    assert [path.name for path in EXAMPLES.glob("*.py") if f'"{path.name}"' not in tested] == []


def test_the_plugin_for_claude_code_names_what_there_is() -> None:
    plugin = EXAMPLES / "deploy" / "claude-code"
    server = json.loads((plugin / ".mcp.json").read_text("utf-8"))["mcpServers"]["voxcli"]
    assert (server["command"], server["args"]) == ("voxcli", ["mcp"])
    manifest = json.loads((plugin / ".claude-plugin" / "plugin.json").read_text("utf-8"))
    (listed,) = json.loads((plugin / ".claude-plugin" / "marketplace.json").read_text("utf-8"))["plugins"]
    assert (manifest["name"], manifest["version"]) == (listed["name"], __version__)
    skill = (plugin / "skills" / "speak" / "SKILL.md").read_text("utf-8")
    named = set(re.findall(r"`([a-z]+_[a-z_]+|speak)`", skill))
    parameters = {name for tool in TOOLS.values() for name in tool.arguments.model_fields}
    assert {"speak", "await_speech"} <= named <= {*TOOLS, *parameters}
