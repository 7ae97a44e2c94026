"""One text sounds the same through the command line, through each HTTP protocol and through Python."""

import json
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import numpy as np
import pytest

import voxcli
from tests.program import Run, said
from tests.server.running import serving
from voxcli.audio.chunk import Samples
from voxcli.audio.decode import decode
from voxcli.audio.pcm import to_int16
from voxcli.engines import open_engine
from voxcli.engines.settings import LocalSettings
from voxcli.synthesis.request import Engine

SENTENCES = (
    "It was quiet in the house. ",
    "Then, at a quarter past nine, somebody knocked: once, twice, and a third time! ",
    "“Who is there?” she asked. [pause 0.2s] ",
    "没有人回答。",
    "她打开门，外面只有风和雨，还有一只很小的猫。",
)


AS_IT_IS = {"inference_timesteps": "10", "retry_badcase": "false"}
"""The fields of a form whose defaults are not ours, as the built-in voice takes them."""


def text_of(characters: int) -> str:
    """Return a text of this length, in two languages and with pauses in it."""
    return ("".join(SENTENCES) * (1 + characters // 50))[:characters].rstrip(" [pause0.2") + "."


@pytest.fixture(scope="module")
def builtin() -> Iterator[tuple[Engine, str]]:
    with closing(open_engine("espeak")) as engine, serving(engine, model="espeak") as url:
        yield engine, url


def said_by_command(run: Run, folder: Path, text: str, *options: str) -> Samples:
    (folder / "text.txt").write_text(text, "utf-8")
    done = run("say", "-f", "text.txt", "-o", "x.wav", "--force", *options)
    assert done.returncode == 0, said(done)
    return decode((folder / "x.wav").read_bytes()).samples


def answer(url: str, **body: object) -> Samples:
    """Return the sound of an answer."""
    response = httpx.post(url, timeout=120, **body)  # type: ignore[arg-type]
    assert response.status_code == 200, response.text
    return decode(response.content).samples


def deltas(url: str, **body: object) -> Samples:
    """Return the sound of OpenAI's server-sent events."""
    response = httpx.post(url, json={**body, "stream_format": "sse", "response_format": "pcm"}, timeout=120)
    events = [json.loads(line.removeprefix("data: ")) for line in response.text.splitlines() if line[:6] == "data: "]
    data = b"".join(b64decode(event["audio"]) for event in events if event["type"] == "speech.audio.delta")
    return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768)


def assert_same(expected: Samples, heard: Samples) -> None:
    assert to_int16(heard) == to_int16(expected)


@pytest.mark.parametrize("characters", [1, 20, 299, 301, 1500])
def test_the_built_in_voice(run: Run, tmp_path: Path, builtin: tuple[Engine, str], characters: int) -> None:
    text, (_, url) = text_of(characters), builtin
    expected = said_by_command(run, tmp_path, text, "--model", "espeak")
    with voxcli.open_engine("espeak") as engine:
        assert_same(expected, engine.speak(text).samples()[0])
    for path in ("/api/tts", "/api/tts/stream"):
        assert_same(expected, answer(url + path, data={"text": text, "format": "wav", **AS_IT_IS}))
    body = {"input": text, "model": "espeak", "steps": 10, "response_format": "wav", "sample_rate": 22050}
    assert_same(expected, answer(url + "/v1/audio/speech", json=body))
    assert_same(expected, deltas(url + "/v1/audio/speech", **body))


@pytest.mark.parametrize("mode", [0, 1, 2, 3])
def test_the_built_in_voice_through_gpt_sovits(run: Run, tmp_path: Path, mode: int) -> None:
    """Its own rules cut a text there, so what is one piece by these rules is compared."""
    text = "It was quiet. Then somebody knocked! Who is there?"
    body = {"text": text, "text_lang": "auto", "prompt_lang": "en", "ref_audio_path": "fr", "text_split_method": "cut0"}
    with closing(open_engine("espeak")) as engine, serving(engine, knows_voice=lambda name: name == "fr") as url:
        heard = answer(url + "/tts", json={**body, "streaming_mode": mode})
    assert_same(said_by_command(run, tmp_path, text, "--model", "espeak", "--voice", "fr"), heard)


MODEL_OPTIONS = ["--threads", "1", "--dtype", "float32", "--steps", "2", "--seed", "7"]
MODEL_SETTINGS = LocalSettings(threads=1, dtype="float32", slots=1)


@pytest.mark.parametrize("family", ["voxcpm-2", "voxcpm-1.5"])
def test_a_model_that_draws_its_voice(
    run: Run, tmp_path: Path, checkpoints: Callable[[str], Path], family: str
) -> None:
    text, model = "[sigh] It was quiet [1]. [pause 0.2s] 没有人回答。 Who is there? [laughs]", checkpoints(family)
    limit = 3  # patches of each sentence: random weights do not stop by themselves
    options = ["--model", str(model), *MODEL_OPTIONS, "--max-len", str(limit)]
    expected = said_by_command(run, tmp_path, text, *options)
    with closing(open_engine(str(model), settings=MODEL_SETTINGS)) as engine, serving(engine, model=family) as url:
        form = {"text": text, "inference_timesteps": "2", "seed": "7", "retry_badcase": "false", "max_len": str(limit)}
        for path in ("/api/tts", "/api/tts/stream"):
            assert_same(expected, answer(url + path, data={**form, "format": "wav"}))
    with voxcli.open_engine(str(model), threads=1, dtype="float32") as speaker:
        sampling = voxcli.Sampling(steps=2, seed=7, max_patches=limit)
        assert_same(expected, speaker.speak(text, sampling=sampling).samples()[0])


def test_a_model_through_openai(run: Run, tmp_path: Path, checkpoints: Callable[[str], Path]) -> None:
    """OpenAI's protocol has no limit of length, so this is one short sentence."""
    model = checkpoints("voxcpm-0.5b")
    expected = said_by_command(run, tmp_path, "Yes.", "--model", str(model), *MODEL_OPTIONS)
    with closing(open_engine(str(model), settings=MODEL_SETTINGS)) as engine, serving(engine) as url:
        body = {"input": "Yes.", "steps": 2, "seed": 7, "response_format": "wav", "sample_rate": 16000}
        assert_same(expected, answer(url + "/v1/audio/speech", json=body))
