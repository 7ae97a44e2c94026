"""Choice of the voice where a model is installed: voices of the built-in model, and a default that cannot speak."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clips import WORDS, spoken_wav
from tests.program import Run, said
from voxcli.synthesis.request import Clip, Prompt, Voice
from voxcli.voices import VoiceLibrary


@pytest.fixture(autouse=True)
def _installed(environment: dict[str, str], checkpoints: Callable[[str], Path]) -> None:
    """A model, and a voice anna, which only models can imitate."""
    snapshots = Path(environment["HF_HOME"]) / "hub" / "models--openbmb--VoxCPM1.5" / "snapshots"
    shutil.copytree(checkpoints("voxcpm-1.5"), snapshots / "0123456789abcdef0123456789abcdef01234567")
    library = VoiceLibrary(Path(environment["VOXCLI_HOME"]) / "voices")
    library.save("anna", Voice(prompt=Prompt(Clip(spoken_wav(), "a.wav"), WORDS)))


def test_a_voice_of_the_built_in_model_chooses_it(run: Run) -> None:
    done = run("say", "Hello", "--voice", "en-us+f3", "-o", "x.wav", "--json")
    assert done.returncode == 0, said(done)
    assert json.loads(done.stdout.splitlines()[0])["model"] == "espeak"
    done = run("say", "Hello", "--voice", "en-us+f3", "--model", "voxcpm-1.5", "-o", "y.wav")
    assert done.returncode == 3
    assert "a voice of the built-in model" in said(done)


def test_a_default_voice_that_cannot_speak_is_passed_over_with_one_note(run: Run) -> None:
    assert run("voices", "default", "anna").returncode == 0
    for command in (
        ["say", "Hello", "-o", "x.wav"],
        ["voices", "audition", "en-us", "fr", "--text", "Hi", "-o", "y.wav"],
    ):
        done = run(*command, "--model", "espeak")
        assert done.returncode == 0, said(done)
        assert said(done).count("The default voice 'anna' is not used") == (command[0] == "say")


def test_a_voice_that_is_asked_for_is_never_passed_over(run: Run) -> None:
    done = run("say", "Hello", "--voice", "anna", "--model", "espeak", "-o", "x.wav")
    assert done.returncode == 4
    assert "cannot imitate a voice" in said(done)
