"""Voices made and removed by clients: with OpenAI's package, and as VoxCPM's server has it."""

import io
import time
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from tests.clips import WORDS, spoken_wav
from tests.server.running import serving
from tests.server.tone import ToneEngine
from voxcli.protocols.openai.fields import VOICES
from voxcli.synthesis.request import Clip, Prompt, Voice
from voxcli.voices import Notes, VoiceLibrary


@pytest.fixture
def library(tmp_path: Path) -> VoiceLibrary:
    return VoiceLibrary(tmp_path / "voices")


@pytest.fixture
def engine() -> ToneEngine:
    return ToneEngine()


@pytest.fixture
def url(engine: ToneEngine, library: VoiceLibrary) -> Iterator[str]:
    with serving(engine, voices=library.folder) as url:
        yield f"{url}/v1"


@pytest.fixture
def client(url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=url, api_key="any", max_retries=0) as client:
        yield client


def silence(seconds: float, sample_rate: int = 8000) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(sample_rate)
        writer.writeframes(bytes(2 * round(seconds * sample_rate)))
    return file.getvalue()


def create(url: str, path: str = "/voices/create", **change: Any) -> httpx.Response:
    """Ask VoxCPM's way for a voice, without the fields that are None."""
    fields = {"name": "lena", "text": WORDS, "audio": ("me.wav", spoken_wav(), "audio/wav"), **change}
    files = {name: value for name, value in fields.items() if isinstance(value, tuple)}
    data = {name: value for name, value in fields.items() if isinstance(value, str)}
    return httpx.post(url + path, files=files or None, data=data)


def test_openais_package_makes_a_voice_speaks_with_it_and_removes_it(
    client: OpenAI, engine: ToneEngine, library: VoiceLibrary
) -> None:
    made = client.audio.voices.create(
        name="lena",
        audio_sample=("me.wav", spoken_wav(), "audio/wav"),
        consent="cons_1234",
        extra_body={"text": WORDS},
    )

    assert (made.object, made.id, made.name, made.type) == ("audio.voice", "lena", "lena", "audio_sample")
    assert time.time() - 2 * 86400 < made.created_at < time.time() + 86400
    voice, notes = library.load_noted("lena")
    assert voice == Voice(prompt=Prompt(Clip(spoken_wav(), "prompt.wav"), WORDS))
    assert notes.consent == "cons_1234"

    client.audio.speech.create(model="x", voice={"id": made.id}, input="Hello.")
    assert engine.requests[-1].voice == voice

    gone = client.audio.voices.delete("lena")
    assert (gone.object, gone.id, gone.deleted) == ("audio.voice.deleted", "lena", True)
    with pytest.raises(openai.NotFoundError) as caught:
        client.audio.voices.delete("lena")
    assert caught.value.code == "voice_not_found"
    with pytest.raises(openai.BadRequestError):
        client.audio.speech.create(model="x", voice="lena", input="Hello.")
    assert library.names() == []


def test_a_clip_whose_words_nobody_knows_is_a_reference(client: OpenAI, library: VoiceLibrary) -> None:
    client.audio.voices.create(name="lena", audio_sample=("me.wav", spoken_wav()), consent="cons_1234")

    assert library.load("lena") == Voice(reference=Clip(spoken_wav(), "reference.wav"))


def test_a_voice_may_be_a_description(client: OpenAI, library: VoiceLibrary) -> None:
    made = client.audio.voices.create(name="old-man", prompt="An old man, unhurried.", type="prompt")

    assert (made.type, made.prompt) == ("prompt", "An old man, unhurried.")
    assert library.load("old-man") == Voice(style="An old man, unhurried.")


def test_a_voice_lives_as_in_voxcpms_server(url: str, engine: ToneEngine, library: VoiceLibrary) -> None:
    assert httpx.get(f"{url}/voices/custom").json() == {"voices": []}

    made = create(url).raise_for_status().json()
    assert sorted(made) == ["message", "name", "success", "voice_id"]
    assert (made["success"], made["voice_id"], made["name"]) == (True, "lena", "lena")
    assert library.load("lena") == Voice(prompt=Prompt(Clip(spoken_wav(), "prompt.wav"), WORDS))

    listed = httpx.get(f"{url}/voices/custom").json()["voices"]
    assert [sorted(voice) for voice in listed] == [["created_at", "id", "name", "text"]]
    assert (listed[0]["id"], listed[0]["text"]) == ("lena", WORDS)
    assert httpx.get(f"{url}/voices/lena").json() == {"type": "custom", **listed[0]}
    assert httpx.post(f"{url}/audio/speech", json={"input": "Hello.", "voice": "lena"}).status_code == 200
    assert engine.requests[-1].voice == library.load("lena")

    assert httpx.delete(f"{url}/voices/lena").json() == {"success": True, "message": "Voice 'lena' deleted"}
    assert httpx.delete(f"{url}/voices/lena").status_code == 404
    assert httpx.get(f"{url}/voices/lena").status_code == 404


def test_openais_voices_are_presets(url: str) -> None:
    listed = httpx.get(f"{url}/voices").json()["voices"]

    assert listed[0] == {"id": "alloy", "name": "Alloy"}
    assert [voice["id"] for voice in listed] == [*VOICES]
    assert httpx.get(f"{url}/voices/alloy").json() == {"id": "alloy", "type": "preset", "name": "Alloy"}
    refused = httpx.delete(f"{url}/voices/alloy")
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "voice_id")


def test_a_voice_of_the_library_takes_the_place_of_a_preset(url: str, library: VoiceLibrary) -> None:
    library.save("alloy", Voice(style="calm"), Notes(created="2025-03-01"))
    library.save("李雷", Voice(style="calm"))

    assert httpx.get(f"{url}/voices/alloy").json() == {
        "type": "custom",
        "id": "alloy",
        "name": "alloy",
        "text": "",
        "created_at": 1740787200,
    }
    names = [voice["id"] for voice in httpx.get(f"{url}/audio/voices").json()["voices"]]
    assert names == ["alloy", "李雷", *VOICES[1:]]
    assert [voice["id"] for voice in httpx.get(f"{url}/voices").json()["voices"]] == [*VOICES, "李雷"]
    assert [(voice["id"], voice["created_at"]) for voice in httpx.get(f"{url}/voices/custom").json()["voices"]] == [
        ("alloy", 1740787200),
        ("李雷", 0),
    ]
    assert httpx.delete(f"{url}/voices/alloy").status_code == 200
    assert httpx.delete(f"{url}/voices/李雷").status_code == 200


def test_a_damaged_voice_is_not_listed_with_its_words(url: str, library: VoiceLibrary) -> None:
    library.save("lena", Voice(style="calm"))
    (library.folder / "lena" / "voice.json").write_text("{")

    assert httpx.get(f"{url}/voices/custom").json() == {"voices": []}
    assert httpx.get(f"{url}/voices/lena").status_code == 404


CLIP = ("me.wav", silence(1), "audio/wav")


@pytest.mark.parametrize(
    ("change", "status", "param", "code"),
    [
        ({"name": "a" * 257}, 400, "name", "string_too_long"),
        ({"name": " "}, 400, "name", "missing_required_parameter"),
        ({"name": "taken"}, 400, "name", "voice_exists"),
        ({"name": None}, 400, "name", "missing"),
        ({"text": None}, 400, "text", "missing"),
        ({"text": " "}, 400, "text", "missing_required_parameter"),
        ({"text": "x" * 5000}, 400, "text", "string_too_long"),
        ({"audio": None}, 400, "audio", "missing"),
        ({"audio": "http://169.254.169.254/me.wav"}, 400, "audio", "value_error"),
        ({"audio": ("me.wav", b"", "audio/wav")}, 400, "audio", "invalid_clip"),
        ({"audio": ("me.wav", b"no sound at all", "audio/wav")}, 400, "audio", "invalid_clip"),
        ({"audio": ("me.m3u8", b"#EXTM3U\nfile:///etc/passwd\n", "audio/wav")}, 400, "audio", "invalid_clip"),
        ({"audio": ("me.txt", b"ffconcat version 1.0\nfile /etc/passwd\n")}, 400, "audio", "invalid_clip"),
        ({"audio": ("me.wav", silence(61), "audio/wav")}, 400, "audio", "invalid_clip"),
        ({"audio": ("me.wav", silence(40, 192_000), "audio/wav")}, 413, "audio", "clip_too_large"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_what_is_no_voice_is_refused_and_leaves_nothing(
    url: str, library: VoiceLibrary, change: dict[str, Any], status: int, param: str, code: str
) -> None:
    library.save("taken", Voice(style="calm"))
    refused = create(url, **{"audio": CLIP, **change})

    assert refused.status_code == status
    error = refused.json()["error"]
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", param, code)
    assert library.names() == ["taken"]
    assert [path.name for path in library.folder.iterdir() if path.name.startswith(".new")] == []


def test_openais_way_wants_a_clip_or_a_description(url: str) -> None:
    for fields, param in (({}, "audio_sample"), ({"type": "prompt"}, "prompt"), ({"type": "song"}, "type")):
        refused = create(url, "/audio/voices", audio=None, text=None, **fields)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)


def test_voices_need_a_key_where_one_is_set(library: VoiceLibrary) -> None:
    library.save("lena", Voice(style="calm"))
    with serving(ToneEngine(), voices=library.folder, keys=frozenset({"secret"})) as url:
        refused = [
            create(f"{url}/v1"),
            create(f"{url}/v1", "/audio/voices"),
            httpx.delete(f"{url}/v1/voices/lena"),
            httpx.delete(f"{url}/v1/audio/voices/lena"),
            httpx.get(f"{url}/v1/voices/custom"),
        ]
        assert [answer.status_code for answer in refused] == [401] * 5
    assert library.names() == ["lena"]


@pytest.mark.parametrize("name", ["我的音色", "My voice", "Lena", "🎤", "a/b", "../lena", "con", "x" * 200, "é\n", "-"])
def test_a_voice_may_have_any_name_and_is_found_by_it_and_by_its_id(url: str, name: str) -> None:
    made = create(url, name=name)
    assert made.status_code == 200, made.text
    id = made.json()["voice_id"]
    assert id.isascii()
    assert not set(id) & set(" /\\")
    assert made.json()["name"] == name

    for voice in (name, id, {"id": id}):
        body = {"input": "Hello.", "voice": voice, "response_format": "wav"}
        assert httpx.post(f"{url}/audio/speech", json=body).status_code == 200
    for voice in (name, id):
        asked = {"text": "x", "voice_id": voice}
        assert httpx.post(f"{url.removesuffix('/v1')}/api/tts", data=asked).status_code == 200
    assert httpx.get(f"{url}/voices/{id}").json()["type"] == "custom"
    assert name.strip() in [voice["name"] for voice in httpx.get(f"{url}/audio/voices").json()["voices"]]
    assert create(url, name=name).json()["error"]["code"] == "voice_exists"
    assert httpx.delete(f"{url}/voices/{id}").status_code == 200
    assert httpx.get(f"{url}/voices/custom").json() == {"voices": []}


def test_openais_client_may_give_any_name_too(client: OpenAI) -> None:
    made = client.audio.voices.create(name="Meine Stimme", audio_sample=("me.wav", spoken_wav()), consent="x")
    assert client.audio.speech.create(model="tts-1", voice={"id": made.id}, input="Hello.").read()
