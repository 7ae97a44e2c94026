"""Voices by name over HTTP: one speaker for each name, the same as on the command line and in Python."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile

import voxcli
from tests.server.running import Running, running
from voxcli.audio.decode import decode
from voxcli.cli import app
from voxcli.engines.local import LocalEngine
from voxcli.engines.settings import LocalSettings
from voxcli.paths import find_places
from voxcli.synthesis.request import Sampling

SPEECH = "/v1/audio/speech"
TEXT = "Hi."

pytestmark = pytest.mark.usefixtures("short_anchors")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(params=["voxcpm-1.5", "voxcpm-2"], scope="module")
def model(request: pytest.FixtureRequest, checkpoints: Callable[[str], Path]) -> Path:
    return checkpoints(request.param)


def serving_model(model: Path, home: Path, **settings: Any) -> Any:
    places = find_places({"VOXCLI_HOME": str(home)})
    local = LocalSettings(dtype="float32", threads=1, anchors=places.anchors, slots=1)
    return running(partial(LocalEngine, model, local), voices=places.voices, **settings)


@pytest.fixture(scope="module")
def server(model: Path, home: Path) -> Iterator[Running]:
    with serving_model(model, home) as server:
        yield server


def said(server: Running, voice: str | None = None, **fields: Any) -> bytes:
    body = {"input": TEXT, "response_format": "wav", "steps": 10, **fields}
    answer = httpx.post(server.url + SPEECH, json=body | ({"voice": voice} if voice else {}), timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.content


def test_a_name_is_the_same_speaker_through_every_door(
    server: Running, model: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOXCLI_HOME", str(home))
    first, again, third = (decode(said(server, "alloy", seed=7)).samples for _ in range(3))
    np.testing.assert_array_equal(again, first)
    np.testing.assert_array_equal(third, first)
    assert not np.array_equal(decode(said(server, "echo", seed=7)).samples[: len(first)], first)
    with voxcli.open_engine(model, dtype="float32", threads=1) as engine:
        in_python, _ = engine.speak(TEXT, voice="alloy", sampling=Sampling(seed=7)).samples()
    np.testing.assert_allclose(in_python, first, atol=2**-15)
    options = ["--model", str(model), "--dtype", "float32", "--threads", "1", "--seed", "7", "--steps", "10"]
    assert app.run(["say", TEXT, "--voice", "alloy", *options, "-o", str(tmp_path / "x.wav"), "--quiet"]) == 0
    np.testing.assert_allclose(soundfile.read(tmp_path / "x.wav", dtype="float32")[0], first, atol=2**-15)


def test_no_voice_is_the_default_voice_and_a_seed_without_one_draws(
    server: Running, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocalEngine, "draw_seed", lambda engine: 7)
    default = said(server, "default")
    assert said(server) == default
    assert said(server, "default", seed=7) == default
    drawn = said(server, seed=7)
    assert drawn != default
    assert drawn != said(server, seed=8)
    with voxcli.open_engine(model, dtype="float32", threads=1) as engine:
        free, _ = engine.speak(TEXT, sampling=Sampling(seed=7)).samples()
    np.testing.assert_allclose(free, decode(drawn).samples, atol=2**-15)


def test_the_voice_of_a_server_speaks_for_all_who_name_none(
    server: Running, model: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocalEngine, "draw_seed", lambda engine: 7)
    echo = said(server, "echo")
    with serving_model(model, home, voice="echo") as other:
        assert said(other) == said(other, "default") == said(other, "echo", seed=7) == said(other, seed=7) == echo
        assert said(other, "alloy") == said(server, "alloy")


@pytest.mark.parametrize("name", ["alloy", "Alloy", "DEFAULT"])
def test_no_voice_is_added_under_the_name_of_a_models_voice(server: Running, name: str) -> None:
    clip = ("me.wav", said(server, "alloy"), "audio/wav")
    answers = (
        httpx.post(f"{server.url}/v1/audio/voices", data={"name": name, "text": "x"}, files={"audio_sample": clip}),
        httpx.post(f"{server.url}/v1/voices/create", data={"name": name, "text": "x"}, files={"audio": clip}),
    )
    for answer in answers:
        assert answer.status_code == 400
        message = answer.json()["error"]["message"]
        assert message == (
            f"A new voice cannot be called {name!r}: every model has a voice of that name. Choose another name."
        )
    assert server.service.voices.names() == []
