"""What a start costs: nothing heavy is loaded before it is needed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"torch", "av", "sounddevice", "soundfile", "soxr", "numpy", "httpx", "pydantic", "tomlkit"}

RUN = """
import json, sys
from voxcli.cli.app import run
code = run(sys.argv[1:])
sys.stderr.write("\\n" + json.dumps([code, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def loaded_by(*arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments], capture_output=True, text=True, errors="replace", check=True
    )
    code, modules = json.loads(done.stderr.rpartition("\n")[2])
    assert code == 0, done.stderr
    return set(modules)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["say", "--help"], ["config", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    assert loaded_by(*arguments) & HEAVY == set()


def test_a_wav_of_the_built_in_voice_loads_neither_codecs_nor_sound_devices(tmp_path: Path) -> None:
    loaded = loaded_by("say", "hello", "-o", str(tmp_path / "x.wav"))
    assert loaded & {"torch", "av", "sounddevice", "soundfile", "soxr", "httpx", "tomlkit"} == set()


def test_wav_on_standard_output_loads_no_codecs() -> None:
    assert loaded_by("say", "hello", "-o", "-", "--format", "pcm") & {"torch", "av", "sounddevice"} == set()
