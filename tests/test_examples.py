"""Every example runs, and does what it says."""

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
