"""SSML and `[voice:name]` in the texts of requests, over HTTP and WebSockets."""

from collections.abc import Iterator

import httpx
import pytest

from tests.server.running import Running, running
from tests.server.tone import ToneEngine

SPEECH = "/v1/audio/speech"
REFUSED = "line 1, column 8: <emphasis> is not supported"


@pytest.fixture(scope="module")
def engine() -> ToneEngine:
    return ToneEngine()


@pytest.fixture(scope="module")
def server(engine: ToneEngine) -> Iterator[Running]:
    with running(engine, knows_voice=lambda name: name in ("anna", "ben")) as server:
        yield server


def ask(server: Running, text: str) -> httpx.Response:
    fast = {"speed": 2.0} if "400%" in text else {}
    body = {"model": "tts-1", "input": text, "voice": "anna", "response_format": "wav", **fast}
    return httpx.post(server.url + SPEECH, json=body)


def test_ssml_is_spoken_without_its_markup(server: Running, engine: ToneEngine) -> None:
    engine.requests.clear()
    text = '<speak>One. <prosody rate="150%">Two.</prosody><break time="1s"/><voice name="ben">Three.</voice></speak>'
    answer = ask(server, text)
    assert answer.status_code == 200, answer.text
    asked = [(request.text, request.voice.name, request.speed) for request in engine.requests]
    assert asked == [("One.", "anna", 1.0), ("Two.", "anna", 1.5), ("Three.", "ben", 1.0)]


def test_a_voice_in_brackets_holds_from_there_on(server: Running, engine: ToneEngine) -> None:
    engine.requests.clear()
    assert ask(server, "One. [voice:ben] Two. NOTE: three.").status_code == 200
    asked = [(request.text, request.voice.name) for request in engine.requests]
    assert asked == [("One.", "anna"), ("Two.", "ben"), ("NOTE: three.", "ben")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<speak><emphasis>a</emphasis></speak>", REFUSED),
        ('<speak><voice name="eve">a</voice></speak>', "There is no voice 'eve'"),
        ("<speak><prosody rate='400%'>a</prosody></speak>", "together 8, outside 0.25 to 4"),
        ("One. [voice:eve] Two.", "There is no voice 'eve'"),
        ('<!DOCTYPE speak [<!ENTITY a "b">]><speak>&a;</speak>', "document type declarations"),
    ],
)
def test_what_cannot_be_spoken_is_refused_before_there_is_sound(
    server: Running, engine: ToneEngine, text: str, said: str
) -> None:
    engine.requests.clear()
    answer = ask(server, text)
    assert answer.status_code == 400
    assert said in answer.text
    assert "--no-ssml" not in answer.text
    assert engine.requests == []


def test_lines_of_gpt_sovits_are_ssml_too(server: Running, engine: ToneEngine) -> None:
    engine.requests.clear()
    query = {"text": "<speak>One.\nTwo.</speak>", "text_lang": "en", "text_split_method": "cut5", "ref_audio_path": "a"}
    answer = httpx.get(server.url + "/tts", params=query)
    assert "<speak>" not in "".join(request.text for request in engine.requests), answer.text
