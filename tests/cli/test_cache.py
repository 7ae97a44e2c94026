"""Speech that is kept: `voxcli say --cache`, and `voxcli cache`."""

import json
from pathlib import Path

import pytest

from tests.cli.test_batch import Tones
from voxcli.cli import app
from voxcli.cli.commands import speak
from voxcli.synthesis.speech_cache import SUFFIX


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tones:
    tones = Tones()
    monkeypatch.setenv("VOXCLI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("VOXCLI_KERNELS", str(tmp_path / "home" / "kernels"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(speak, "open_chosen_engine", lambda settings, **details: tones)
    return tones


def say(*arguments: str) -> int:
    return app.run(["say", "-q", "--no-warm", "--model", "tones", *arguments])


def test_a_text_that_was_said_before_is_not_made_again(engine: Tones, tmp_path: Path) -> None:
    assert say("One. Two.", "--cache", "-o", "first.wav") == 0
    assert say("One. Two.", "--cache", "-o", "second.wav") == 0
    assert len(engine.requests) == 2
    assert (tmp_path / "first.wav").read_bytes() == (tmp_path / "second.wav").read_bytes()
    assert say("Two. Three.", "--cache", "-o", "third.wav") == 0
    assert [request.text for request in engine.requests] == ["One.", "Two.", "Three."]
    assert say("One. Two.", "--seed", "0", "-o", "without.wav") == 0
    assert (tmp_path / "without.wav").read_bytes() == (tmp_path / "first.wav").read_bytes()


def test_nothing_is_kept_unless_it_is_asked_for(engine: Tones, tmp_path: Path) -> None:
    for name in ("first.wav", "second.wav"):
        assert say("One.", "-o", name) == 0
    assert len(engine.requests) == 2
    assert not (tmp_path / "home" / "cache" / "speech").exists()


def test_what_is_kept_is_shown_and_cleared(engine: Tones, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["cache"]) == 0
    assert "Nothing is kept." in capsys.readouterr().out
    assert say("One. Two.", "--cache", "-o", "x.wav") == 0
    clips = tmp_path / "home" / "cache" / "clips"
    clips.mkdir()
    (clips / "x.clip").write_bytes(b"x" * 1000)
    assert app.run(["cache"]) == 0
    shown = capsys.readouterr().out
    assert "speech" in shown
    assert "2 files  used today" in shown
    assert app.run(["cache", "--json"]) == 0
    kept = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert (kept["speech"]["files"], kept["clips"]["bytes"]) == (2, 1000)
    assert app.run(["cache", "clear"]) == 0
    assert "Cleared speech" in capsys.readouterr().err
    assert list((tmp_path / "home" / "cache").rglob(f"*{SUFFIX}")) == []
    assert (clips / "x.clip").exists()
    assert app.run(["cache", "clear", "clips"]) == 2  # it asks, and there is no one to answer
    assert app.run(["cache", "clear", "clips", "--yes"]) == 0
    assert not (clips / "x.clip").exists()
    assert app.run(["cache", "clear", "speach"]) == 3
    assert "Did you mean 'speech'?" in capsys.readouterr().err
