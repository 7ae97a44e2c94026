"""Cloning and chatting on the page."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.browser.conftest import Open, figure, reported, speak, wait
from tests.clips import WORDS, spoken_wav
from tests.pulse import PulseServer
from tests.server.language_model import Exchange, Script, language_model, writing
from tests.server.running import Running, running
from tests.server.tone import ToneEngine, until
from voxcli.audio.chunk import AudioChunk
from voxcli.audio.decode import decode
from voxcli.audio.encode import encoded
from voxcli.audio.format import AudioFormat
from voxcli.server.settings import LanguageModelSettings


@pytest.fixture(scope="module")
def engine() -> ToneEngine:
    return ToneEngine(chunks=10)


@pytest.fixture(scope="module")
def server(engine: ToneEngine) -> Iterator[Running]:
    with running(engine) as server:
        yield server


def test_a_file_is_judged_tried_and_kept_with_consent(
    open_page: Open, server: Running, engine: ToneEngine, tmp_path: Path
) -> None:
    clip = tmp_path / "lena.wav"
    clip.write_bytes(spoken_wav())
    page = open_page(server.url)
    page.click("#tabClone")
    assert page.is_disabled("#keep")
    page.set_input_files("#file", clip)
    page.wait_for_selector("#verdict li")
    wait(page, "document.querySelector('#clip').readyState > 0")
    page.fill("#transcript", WORDS)
    page.click("#try")
    until(lambda: bool(engine.requests))
    tried = engine.requests[-1].voice
    assert tried.prompt
    assert (tried.prompt.transcript, tried.prompt.clip.data) == (WORDS, spoken_wav())
    assert not server.service.voices.names()
    page.fill("#name", "lena")
    page.click("#keep")
    assert page.evaluate("document.querySelector('#consent').validity.valueMissing")
    page.check("#consent")
    page.click("#keep")
    page.wait_for_selector("#cloned >> text=Kept as “lena”.")
    kept, notes = server.service.voices.load_noted("lena")
    assert kept.prompt
    assert (kept.prompt.transcript, kept.prompt.clip.data) == (WORDS, spoken_wav())
    assert notes.consent
    assert notes.consent.startswith("This is my own voice, or its speaker has agreed. (127.0.0.1:")
    assert datetime.now(UTC).date().isoformat() in notes.consent
    page.click("#tabSpeak")
    page.select_option("#voice", "lena")
    speak(page)
    assert engine.requests[-1].voice.prompt == kept.prompt
    page.click("#tabClone")
    page.check("#consent")
    page.click("#keep")
    page.wait_for_selector("#cloned.bad >> text=already exists")


@pytest.mark.parametrize(
    ("samples", "remark", "in_chinese"),
    [
        (np.zeros(48000), "It is silent.", "没有声音"),
        (0.99 * np.sign(np.sin(np.arange(80000) / 10)), "It is very loud", "声音太大"),
    ],
)
def test_a_bad_clip_is_judged_in_the_language_of_the_page(
    open_page: Open, server: Running, tmp_path: Path, samples: Any, remark: str, in_chinese: str
) -> None:
    clip = tmp_path / "bad.wav"
    chunk = AudioChunk(samples.astype(np.float32), 16000)
    clip.write_bytes(b"".join(encoded(iter([chunk]), AudioFormat.WAV)))
    page = open_page(server.url)
    page.click("#tabClone")
    page.set_input_files("#file", clip)
    page.wait_for_selector("#verdict li")
    assert remark in page.inner_text("#verdict")
    page.click("#languageToggle")
    assert in_chinese in page.inner_text("#verdict")


def test_what_is_no_sound_is_refused_in_words(open_page: Open, server: Running, tmp_path: Path) -> None:
    clip = tmp_path / "text.wav"
    clip.write_text("This is no recording.")
    page = open_page(server.url)
    page.click("#tabClone")
    page.set_input_files("#file", clip)
    page.wait_for_selector("#cloned.bad")
    assert page.inner_text("#cloned")
    assert page.is_disabled("#keep")


def test_the_microphone_records_with_a_level(open_page: Open, server: Running) -> None:
    page = open_page(server.url)
    page.click("#tabClone")
    page.click("#record")
    wait(page, "document.querySelector('#level').value > 0.2")
    wait(page, "parseFloat(document.querySelector('#recorded').textContent) >= 2")
    page.click("#record")
    page.wait_for_selector("#verdict li")
    assert page.input_value("#transcript").startswith("On Sunday mornings")
    assert page.evaluate("document.querySelector('#clip').duration") > 1.9
    page.fill("#name", "recorded")
    page.check("#consent")
    page.click("#keep")
    page.wait_for_selector("#cloned >> text=Kept as")
    kept = server.service.voices.load("recorded")
    assert kept.prompt
    sound = decode(kept.prompt.clip.data)
    assert len(sound.samples) > 1.9 * sound.sample_rate
    assert np.abs(sound.samples).max() > 0.05


def test_a_model_that_cannot_clone_says_so(open_page: Open) -> None:
    from voxcli.engines.espeak.engine import BuiltinEngine

    with running(BuiltinEngine(), model="espeak") as server:
        page = open_page(server.url)
        page.click("#tabClone")
        assert "cannot imitate" in page.inner_text("#cloned")
        page.click("#tabSpeak")
        assert not page.is_visible("#steps")
        assert not page.is_visible("#style")


@contextmanager
def chatting(script: Script, engine: ToneEngine) -> Iterator[tuple[Running, Any]]:
    with language_model(script) as stub, running(engine, language_model=LanguageModelSettings(url=stub.url)) as server:
        yield server, stub


def test_a_chat_is_written_and_heard(open_page: Open, pulse: PulseServer) -> None:
    engine = ToneEngine(chunks=10)
    with chatting(writing("I am ", "a model. ", "Ask me more."), engine) as (server, stub):
        page = open_page(server.url)
        page.click("#tabChat")
        page.fill("#question", "Who are you?")
        with reported(page), pulse.recording() as recording:
            page.keyboard.press("Enter")
            wait(page, "window.reports.at(-1)?.done === true")
        assert recording.sounding_seconds == pytest.approx(1.6, abs=0.1)
        assert page.inner_text("#talk").split("\n\n") == ["Who are you?", "I am a model. Ask me more."]
        page.fill("#question", "More.")
        page.click("#send")
        wait(page, "document.querySelectorAll('#talk .assistant').length === 2")
        until(lambda: len(stub.exchanges) == 2)
        said = [one["content"] for one in stub.exchanges[1].fields["messages"]][-3:]
        assert said == ["Who are you?", "I am a model. Ask me more.", "More."]


def test_a_chat_can_be_stopped(open_page: Open) -> None:
    left = threading.Event()

    def script(exchange: Exchange) -> None:
        exchange.head()
        exchange.write("This is the beginning of it. And there is more to come.")
        exchange.wait_until_left()
        left.set()

    engine = ToneEngine(chunks=1000, pace=1.0)
    with chatting(script, engine) as (server, _):
        page = open_page(server.url)
        page.click("#tabChat")
        page.fill("#question", "Tell me everything.")
        page.click("#send")
        page.wait_for_selector("#send >> text=Stop")
        until(lambda: engine.running == 1)
        page.click("#send")
        page.wait_for_selector("#send >> text=Send")
        assert left.wait(10)
        until(engine.idle.is_set)
        assert "This is the beginning of it." in page.inner_text("#talk")


def test_a_chat_that_fails_is_told_of(open_page: Open) -> None:
    def script(exchange: Exchange) -> None:
        exchange.document({"error": {"message": "The model is on holiday."}}, status=500)

    with chatting(script, ToneEngine()) as (server, _):
        page = open_page(server.url)
        page.click("#tabChat")
        page.fill("#question", "Hello?")
        page.click("#send")
        page.wait_for_selector("#chatted.bad")
        assert page.inner_text("#talk") == "Hello?"


def test_without_a_language_model_there_is_no_chat(open_page: Open, server: Running) -> None:
    page = open_page(server.url)
    assert not page.is_visible("#tabChat")
    assert figure(page, "chunks") == "0"
