"""A voice that a model drew, kept for good: `voxcli voices add NAME --last`."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.program import Run, said
from tests.screen import run_on_terminal
from voxcli.audio.decode import decode
from voxcli.voices import VoiceLibrary

Checkpoints = Callable[[str], Path]

SHORT = ["--steps", "2", "--threads", "1", "--dtype", "float32", "--seed", "7", "--min-len", "2", "--max-len", "3"]


@pytest.fixture
def library(environment: dict[str, str]) -> VoiceLibrary:
    return VoiceLibrary(Path(environment["VOXCLI_HOME"]) / "voices")


@pytest.fixture
def last(environment: dict[str, str]) -> Path:
    return Path(environment["VOXCLI_HOME"]) / "cache" / "last.voxvoice"


@pytest.fixture
def model(checkpoints: Checkpoints) -> list[str]:
    return ["--model", str(checkpoints("voxcpm-0.5b")), *SHORT]


def test_the_voice_of_one_sentence_is_kept_and_speaks_again(
    run: Run, tmp_path: Path, library: VoiceLibrary, model: list[str]
) -> None:
    done = run("say", "你好。", *model, "-o", "x.wav")
    assert done.returncode == 0, said(done)
    assert "--last" not in said(done)  # nobody looks at a terminal
    done = run("voices", "add", "--last", "moon")
    assert done.returncode == 0, said(done)
    assert "--voice moon" in said(done)
    voice, notes = library.load_noted("moon")
    assert notes.model == "voxcpm-0.5b"
    prompt = voice.prompt
    assert prompt
    assert prompt.transcript == "你好。"
    np.testing.assert_array_equal(decode(prompt.clip.data).samples, soundfile.read(tmp_path / "x.wav")[0])
    done = run("say", "再见。", *model, "--voice", "moon", "-o", "y.wav")
    assert done.returncode == 0, said(done)


def test_only_the_last_voice_that_was_drawn_is_remembered(
    run: Run, library: VoiceLibrary, last: Path, model: list[str]
) -> None:
    assert run("say", "hello", "--model", "espeak", "-o", "x.wav").returncode == 0
    assert not last.exists()
    assert run("say", "你好。", *model, "-o", "y.wav").returncode == 0
    drawn = last.read_bytes()
    assert run("voices", "add", "moon", "--last").returncode == 0
    assert run("say", "再见。", *model, "--voice", "moon", "-o", "z.wav").returncode == 0
    assert last.read_bytes() == drawn
    assert not list(last.parent.glob(".*"))
    assert run("say", "再见。", *model, "-o", "z.wav", "--force").returncode == 0
    assert last.read_bytes() != drawn


def test_when_nothing_was_drawn_it_says_how(run: Run, last: Path) -> None:
    for content in (None, b"damaged"):
        if content:
            last.parent.mkdir()
            last.write_bytes(content)
        done = run("voices", "add", "moon", "--last")
        assert done.returncode == 3
        assert "There is no last voice" in said(done)
        assert "voxcli say" in said(done)


@pytest.mark.parametrize("other", [["--prompt", "x.wav"], ["--prompt-text", "words"], ["--instruct", "an old man"]])
def test_it_is_the_last_voice_or_another_one(run: Run, library: VoiceLibrary, other: list[str]) -> None:
    done = run("voices", "add", "moon", "--last", *other)
    assert done.returncode == 2
    assert "--last" in said(done)
    assert library.names() == []


def test_a_cache_that_cannot_be_written_is_no_failure(run: Run, last: Path, model: list[str]) -> None:
    last.parent.write_bytes(b"no folder")
    done = run("say", "你好。", *model, "-o", "x.wav")
    assert done.returncode == 0, said(done)
    assert "remembered" not in said(done)
    assert "cannot remember the voice" in said(run("say", "你好。", *model, "-o", "y.wav", "--verbose"))


@pytest.mark.parametrize(("more", "shown"), [([], True), (["--json"], False)])
def test_on_a_terminal_it_says_how_to_keep_the_voice(
    tmp_path: Path, environment: dict[str, str], last: Path, model: list[str], more: list[str], shown: bool
) -> None:
    command = [sys.executable, "-m", "voxcli", "say", "你好。", *model, "-o", str(tmp_path / "x.wav"), *more]
    code, screen = run_on_terminal(command, environment, {})
    assert code == 0, screen
    assert last.exists()
    assert ("voxcli voices add NAME --last" in screen) == shown
