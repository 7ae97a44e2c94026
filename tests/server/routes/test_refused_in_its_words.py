"""Bad requests to every route: what a client reads names no option, no command, no file of the server, no traceback."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clips import spoken_wav
from tests.server.running import serving
from voxcli.engines.espeak.engine import BuiltinEngine
from voxcli.engines.local import LocalEngine
from voxcli.engines.settings import LocalSettings

SHELL = re.compile(
    r"(?<![\w-])--[a-z]|\bvoxcli (?:say|clone|voices|models|serve|keys|bench|doctor|config)\b|pip install"
    r"|Traceback|\.py\b|site-packages|(?<![\w:/.])/(?:tmp|home|root|usr|work|var|etc)/"
)
"""What only an operator may read."""

SPEECH: dict[str, Any] = {"model": "tts-1", "input": "Hello.", "voice": "alloy", "response_format": "pcm"}
WRONG_SPEECH: list[dict[str, Any]] = [
    *({**SPEECH, "input": value} for value in (None, 3, "", " ", "x" * 5000, ["a"])),
    *({**SPEECH, "voice": value} for value in (3, "", "nobody", "../x", {"id": "x"}, ["a"])),
    *({**SPEECH, "model": value} for value in (3, "no-such", "voxcpm-1.5")),
    *({**SPEECH, "response_format": value} for value in (3, "ogg", "")),
    *({**SPEECH, "speed": value} for value in (0, 100, "fast")),
    *({**SPEECH, "stream_format": value} for value in (3, "x")),
    *({**SPEECH, name: value} for name, value in (("steps", 0), ("sample_rate", 1), ("seed", "x"), ("language", "xx"))),
    {**SPEECH, "language": "Klingon", "normalize": True},
    {"voice": "alloy"},
]
WRONG_TTS: list[dict[str, Any]] = [
    {},
    {"text": "Hello."},
    {"text": "Hello.", "text_lang": "xx", "ref_audio_path": "x"},
    {"text": "Hello.", "text_lang": "en"},
    *({"text": "Hello.", "text_lang": "en", "ref_audio_path": path} for path in ("nobody", "/no/such.wav", "../x.wav")),
    *(
        {"text": "Hello.", "text_lang": "en", "ref_audio_path": "x", name: value}
        for name, value in (
            ("media_type", "x"),
            ("streaming_mode", 9),
            ("speed_factor", 0),
            ("text_split_method", "cut9"),
            ("sample_steps", "x"),
            ("top_k", -1),
            ("seed", "x"),
        )
    ),
]
WRONG_FORMS: list[dict[str, str]] = [
    {},
    {"text": ""},
    {"text": "x" * 100_000},
    *(
        {"text": "Hello.", name: value}
        for name, value in (
            ("cfg_value", "x"),
            ("cfg_value", "-1"),
            ("inference_timesteps", "0"),
            ("min_len", "-1"),
            ("max_len", "x"),
            ("speed", "0"),
            ("format", "ogg2"),
            ("language", "Klingon"),
            ("voice_id", "nobody"),
            ("voice_id", "/no/such.wav"),
            ("prompt_text", "Hello."),
            ("normalize", "perhaps"),
            ("seed", "x"),
        )
    ),
]


@pytest.fixture(scope="module", params=["built-in", "voxcpm"])
def client(request: pytest.FixtureRequest, checkpoints: Callable[[str], Path]) -> Iterator[httpx.Client]:
    is_builtin = request.param == "built-in"
    engine = BuiltinEngine() if is_builtin else LocalEngine(checkpoints("voxcpm-1.5"), LocalSettings(device="cpu"))
    with serving(engine, model=request.param) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


def bad_requests(client: httpx.Client) -> Iterator[httpx.Response]:
    clip, noise = ("clip.wav", spoken_wav()), ("clip.wav", b"RIFF no sound")
    for fields in WRONG_SPEECH:
        yield client.post("/v1/audio/speech", json=fields)
    for fields in WRONG_TTS:
        yield client.post("/tts", json=fields)
    yield client.get("/tts", params={"text": "Hello."})
    for path in ("/api/tts", "/api/tts/stream"):
        for form in WRONG_FORMS:
            yield client.post(path, data=form)
        yield client.post(path, data={"text": "Hello."}, files={"prompt_wav": clip})
        form = {"text": "Hello.", "prompt_text": "Hello.", "max_len": "4"}
        yield client.post(path, data=form, files={"prompt_wav": clip})  # refused by the built-in voice
        yield client.post(path, data={"text": "Hello.", "prompt_text": "Hello."}, files={"prompt_wav": noise})
        yield client.post(path, content=b"--x\r\nbroken", headers={"content-type": "multipart/form-data; boundary=x"})
    for path in ("/v1/audio/speech", "/tts", "/v1/audio/voices"):
        yield client.post(path, content=b"{", headers={"content-type": "application/json"})
        yield client.post(path, content=b"\xff\xfe")
    yield client.post("/v1/audio/voices", data={"name": "../x", "consent": "yes"}, files={"audio_sample": clip})
    yield client.post("/v1/audio/voices", data={"name": "x", "consent": "yes"}, files={"audio_sample": noise})
    yield client.post("/v1/audio/voices", data={"name": "x"})
    for path in ("/v1/models/x", "/v1/audio/voices/x", "/nowhere", "/v1/nowhere", "/api/nowhere"):
        yield client.get(path)
        yield client.delete(path)
    yield client.get("/v1/models", headers={"host": "elsewhere.test"})
    yield client.get("/v1/models", headers={"origin": "http://elsewhere.test"})


def test_no_refusal_is_in_the_words_of_the_command_line(client: httpx.Client) -> None:
    refused = [answer for answer in bad_requests(client) if answer.status_code >= 400]
    assert len(refused) > 50
    found = [(str(answer.request.url), answer.text) for answer in refused if SHELL.search(answer.text)]
    assert not found
    assert [answer.text for answer in refused if answer.status_code == 500] == []
