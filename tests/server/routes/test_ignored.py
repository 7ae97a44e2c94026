"""Fields that an engine has no use for: accepted in every dialect, and named."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.clips import WORDS, spoken_wav
from tests.engines.remote.replay import replaying
from tests.engines.remote.sounds import remote, sound
from tests.server.running import Running, running
from tests.server.tone import ToneEngine
from voxcli.engines.espeak.engine import BuiltinEngine
from voxcli.synthesis.request import Clip, Prompt, Voice

SOVITS: dict[str, Any] = {"text": "Hello.", "text_lang": "en", "prompt_lang": "en", "ref_audio_path": "default"}


@pytest.fixture(scope="module")
def builtin() -> Iterator[Running]:
    with running(BuiltinEngine()) as server:
        server.service.voices.save("described", Voice(style="an old man"))
        server.service.voices.save("lena", Voice(prompt=Prompt(Clip(spoken_wav(), "a.wav"), WORDS)))
        yield server


@pytest.fixture(scope="module")
def client(builtin: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=builtin.url, timeout=20) as client:
        yield client


def ignored(answer: httpx.Response) -> set[str]:
    assert answer.status_code == 200, answer.text
    return set(filter(None, answer.headers.get("x-voxcli-ignored", "").split(", ")))


def test_the_form_of_voxcpm(client: httpx.Client) -> None:
    fields = {
        "text": "你好世界",
        "inference_timesteps": "5",
        "cfg_value": "2.0",
        "min_len": "2",
        "max_len": "4096",
        "normalize": "false",
        "denoise": "true",
        "retry_badcase": "true",
        "retry_badcase_max_times": "5",
        "retry_badcase_ratio_threshold": "6.0",
        "seed": "7",
        "instruct": "an old man",
    }
    for path in ("/api/tts", "/api/tts/stream"):
        assert ignored(client.post(path, data={"text": "x", "inference_timesteps": "5"})) == {"inference_timesteps"}
        unused = fields.keys() - {"text", "normalize", "retry_badcase_ratio_threshold"}
        assert ignored(client.post(path, data=fields)) == unused


def test_openais_speech(client: httpx.Client) -> None:
    body = {"model": "tts-1", "input": "Hello.", "voice": "alloy", "response_format": "wav"}
    assert ignored(client.post("/v1/audio/speech", json=body)) == set()
    more = {"instructions": "Speak in a cheerful tone.", "seed": 1, "steps": 9, "lang_code": "e"}
    assert ignored(client.post("/v1/audio/speech", json=body | more)) == more.keys()
    assert ignored(client.post("/v1/audio/speech", json={**body, "instructions": "None"})) == set()


def test_the_speech_of_gpt_sovits(client: httpx.Client) -> None:
    more = {"sample_steps": 8, "seed": 7, "top_k": 5, "batch_size": 4, "aux_ref_audio_paths": ["a.wav"]}
    assert ignored(client.post("/tts", json=SOVITS)) == set()
    assert ignored(client.post("/tts", json=SOVITS | more)) == more.keys()
    assert ignored(client.get("/tts", params=SOVITS | {"sample_steps": 8})) == {"sample_steps"}


def test_what_an_engine_makes_use_of_is_not_named() -> None:
    engine = ToneEngine()
    with running(engine) as server:
        fields = {"text": "x", "inference_timesteps": "7", "seed": "3", "instruct": "calm", "denoise": "true"}
        assert ignored(httpx.post(f"{server.url}/api/tts", data=fields)) == {"denoise"}
        files = {"reference_audio": spoken_wav()}
        assert ignored(httpx.post(f"{server.url}/api/tts", data=fields, files=files)) == set()
    assert engine.requests[-1].sampling.steps == 7


def test_what_the_server_behind_has_no_field_for() -> None:
    with replaying(sound) as behind, running(remote(behind.url)) as server:
        fields = {"text": "x", "inference_timesteps": "7", "cfg_value": "2.0", "seed": "3"}
        assert ignored(httpx.post(f"{server.url}/api/tts", data=fields)) == {"inference_timesteps", "seed"}
        assert ignored(httpx.post(f"{server.url}/api/tts", data={"text": "x", "cfg_value": "2.0"})) == set()


@pytest.mark.parametrize("voice", ["described", "lena"])
def test_what_would_be_said_in_another_voice_is_refused(client: httpx.Client, voice: str) -> None:
    for answer in (
        client.post("/api/tts", data={"text": "x", "voice_id": voice}),
        client.post("/v1/audio/speech", json={"input": "x", "voice": voice}),
        client.post("/tts", json={**SOVITS, "ref_audio_path": voice}),
    ):
        assert answer.status_code == 400
        assert "oice" in answer.text
