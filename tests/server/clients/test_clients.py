"""Clients that others wrote, each in an environment of its own, at the real server.

Run with `pytest -m clients`. `VOXCLI_CLIENTS` names the folder with the environments that the script `install` makes.
A client that is not installed there is skipped.
"""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.server.running import running
from tests.server.tone import ToneEngine, until
from tests.sound import from_int16
from voxcli.audio.chunk import AudioChunk
from voxcli.audio.decode import decode
from voxcli.errors import RequestError

PROGRAMS = Path(__file__).parent / "programs"
PYTHON = ["openai", "livekit", "pipecat", "agents", "litellm", "realtimetts"]
NODE = ["openai", "ai"]
CLIENTS = [*PYTHON, *(f"node_{name}" for name in NODE)]
ELEVENLABS = ["elevenlabs", "livekit_elevenlabs", "pipecat_elevenlabs"]
"""Those that speak ElevenLabs' protocol."""
STREAMING = [*ELEVENLABS, "openai", "livekit", "pipecat", "agents", "node_openai"]
"""Those that give sound before all of it has come."""

pytestmark = pytest.mark.clients


@dataclass
class Said:
    """What a user of the client gets."""

    sound: bytes
    rate: int
    error: str

    def heard(self) -> AudioChunk:
        if self.rate:
            return AudioChunk(from_int16(self.sound), self.rate)
        return decode(self.sound, name="mp3")


def say(client: str, folder: Path, url: str, *more: str, voice: str = "nova", text: str = "Hello there.") -> Said:
    out = folder / f"{client}.sound"
    command, home = _command(client)
    done = subprocess.run(
        [*command, url, voice, text, str(out), *more],
        capture_output=True, cwd=home, timeout=120, check=False, env={**os.environ, "OPENAI_API_KEY": "any"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return Said(out.read_bytes(), answer["rate"], answer.get("error", ""))


def _command(client: str) -> tuple[list[str], Path]:
    named = os.environ.get("VOXCLI_CLIENTS")
    if not named:
        pytest.skip("VOXCLI_CLIENTS names no folder with clients: tests/server/clients/install FOLDER makes one")
    folder = Path(named).absolute()
    if client.startswith("node_"):
        home = folder / "node"
        package = {"openai": "openai", "ai": "@ai-sdk/openai"}[client.removeprefix("node_")]
        if not (home / "node_modules" / package).exists():
            pytest.skip(f"{package} is not installed in {home}")
        return ["node", str(PROGRAMS / f"speak_with_{client}.mjs")], home
    python = folder / client / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{client} is not installed in {folder}")
    return [str(python), str(PROGRAMS / f"speak_with_{client}.py")], folder


def pitch_of(sound: AudioChunk) -> float:
    spectrum = np.abs(np.fft.rfft(sound.samples * np.hanning(len(sound.samples)), 1 << 17))
    return float(np.argmax(spectrum)) * sound.sample_rate / (1 << 17)


# The proxy of wyoming_openai has words of its own for every error.
@pytest.mark.parametrize("client", [*CLIENTS, *ELEVENLABS, "wyoming"])
def test_sound_has_its_length_and_pitch(client: str, tmp_path: Path) -> None:
    engine = ToneEngine(chunks=10)
    with running(engine, knows_voice=lambda name: name == "nova") as server:
        said = say(client, tmp_path, server.url)

    original = engine.sound(engine.requests[0])
    assert not said.error
    assert said.heard().seconds == pytest.approx(0.8, abs=0.2)
    assert pitch_of(said.heard()) == pytest.approx(pitch_of(AudioChunk(original, 16000)), abs=3)
    assert engine.requests[0].voice.name == "nova"


@pytest.mark.parametrize("client", [*CLIENTS, "elevenlabs"])  # the frameworks keep it in their logs
def test_a_refusal_reaches_the_user_in_its_words(client: str, tmp_path: Path) -> None:
    refusal = "The tone engine knows no word of this text."
    with running(ToneEngine(fail_at=0, error=RequestError(refusal))) as server:
        said = say(client, tmp_path, server.url)

    assert refusal in said.error


@pytest.mark.parametrize("client", [*CLIENTS, *ELEVENLABS])
def test_speech_that_breaks_off_is_an_error(client: str, tmp_path: Path) -> None:
    with running(ToneEngine(chunks=40, fail_at=20, pace=0.5)) as server:
        said = say(client, tmp_path, server.url)

    assert said.error


@pytest.mark.parametrize("client", STREAMING)
def test_who_leaves_stops_the_work(client: str, tmp_path: Path) -> None:
    engine = ToneEngine(chunks=500, pace=0.5)
    with running(engine) as server:
        said = say(client, tmp_path, server.url, "--leave")
        until(engine.idle.is_set)

    assert said.sound
    assert engine.made < 500
