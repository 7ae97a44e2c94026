"""Speech on the page, click by click: it is heard, counted, drawn, stopped, compared, saved and written as commands."""

import io
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.browser.conftest import Open, figure, milliseconds, reported, speak, wait, wait_for_end
from tests.program import user_environment
from tests.pulse import PulseServer
from tests.server.running import Running, running
from tests.server.tone import ToneEngine, until
from voxcli.audio.decode import decode
from voxcli.audio.pcm import to_int16

FORMATS = ("wav", "mp3", "opus", "aac", "flac", "pcm")


@pytest.fixture(scope="module")
def engine() -> ToneEngine:
    return ToneEngine(chunks=25, sample_rate=24000)


@pytest.fixture(scope="module")
def server(engine: ToneEngine) -> Iterator[Running]:
    with running(engine, knows_voice=lambda name: name in ("lena", "default")) as server:
        server.service.models.engine.voice_names = frozenset({"lena", "default"})  # type: ignore[union-attr]
        yield server


def test_the_loudspeaker_plays_what_the_engine_made(
    open_page: Open, server: Running, engine: ToneEngine, pulse: PulseServer
) -> None:
    page = open_page(server.url)
    with reported(page) as reports, pulse.recording() as recording:
        speak(page)
    wanted = engine.sound(engine.requests[-1])
    last = reports()[-1]
    assert last["done"]
    assert round(last["played"] * engine.sample_rate) == len(wanted)
    assert last["underruns"] == 0
    # A busy machine leaves gaps in what it plays, but no sample out.
    assert recording.sounding_seconds == pytest.approx(len(wanted) / engine.sample_rate, abs=0.3)
    assert frequency(recording.samples, recording.sample_rate) == pytest.approx(
        frequency(wanted, engine.sample_rate), abs=1
    )
    assert np.abs(recording.samples).max() == pytest.approx(0.3, abs=0.02)
    assert figure(page, "chunks") == "25"
    assert figure(page, "underruns") == "0"
    assert figure(page, "length") == "2.0 s"
    assert milliseconds(page, "first_byte") <= milliseconds(page, "first_sound")


def frequency(samples: np.ndarray, rate: int) -> float:
    loud = samples[np.flatnonzero(samples)[0] :][:rate]
    return float(np.argmax(np.abs(np.fft.rfft(loud * np.hanning(len(loud)), 4 * rate))) / 4)


def test_settings_on_the_screen_reach_the_engine(open_page: Open, server: Running, engine: ToneEngine) -> None:
    page = open_page(server.url)
    page.select_option("#voice", "lena")
    page.select_option("#spoken", "fr")
    page.fill("#speed", "1.5")
    page.fill("#steps", "12")
    page.fill("#style", "calm")
    page.fill("#seed", "42")
    speak(page, "Bonjour.")
    request = engine.requests[-1]
    assert (request.text, request.language, request.speed) == ("Bonjour.", "fr", 1.5)
    assert (request.voice.name, request.voice.style) == ("lena", "calm")
    assert (request.sampling.steps, request.sampling.seed) == (12, 42)
    assert "Seed 42." in page.inner_text("#message")
    page.reload()
    wait(page, "document.querySelector('#voice').value === 'lena'")
    assert page.input_value("#text") == "Bonjour."
    assert page.input_value("#style") == "calm"


def test_stop_ends_the_sound_and_the_engine(open_page: Open, pulse: PulseServer) -> None:
    engine = ToneEngine(chunks=1000, pace=1.0)
    with running(engine) as server:
        page = open_page(server.url)
        with pulse.recording() as recording:
            speak(page, until_end=False)
            wait(page, "document.querySelector('#first_sound').textContent.endsWith('s')")
            page.click("#play")
            wait_for_end(page)
            until(engine.idle.is_set)
        assert recording.sounding_seconds < 10
        speak(page, "Once more.", until_end=False)
        wait(page, "document.querySelector('#first_sound').textContent.endsWith('s')")
        page.keyboard.press("Escape")
        wait_for_end(page)
        until(engine.idle.is_set)


def test_the_sentence_that_sounds_is_marked(open_page: Open, server: Running) -> None:
    page = open_page(server.url)
    page.evaluate(
        """() => new MutationObserver(() => {
            const mark = document.querySelector('#backdrop mark')?.textContent;
            if (mark && window.marks.at(-1) !== mark) window.marks.push(mark);
        }).observe(document.querySelector('#backdrop'), { childList: true }, window.marks = [])"""
    )
    sentences = [
        "One of them has the letter 𠮷 in it.",
        "Two is a longer sentence than that.",
        "三是最后一句话，没有别的。",
    ]
    speak(page, f"  {' '.join(sentences)}")
    assert page.evaluate("window.marks") == sentences
    assert page.query_selector("#backdrop mark") is None


def test_the_waveform_shows_what_was_played(open_page: Open, server: Running) -> None:
    page = open_page(server.url)
    colours = """() => {
        const canvas = document.querySelector('#wave');
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        const found = new Set();
        for (let i = 0; i < data.length; i += 4) if (data[i + 3] === 255) found.add(data.slice(i, i + 3).join());
        return [...found];
    }"""
    before = page.evaluate(colours)
    speak(page)
    assert set(page.evaluate(colours)) - set(before)


def test_compare_shows_how_much_sooner_a_stream_is_heard(open_page: Open) -> None:
    with running(ToneEngine(chunks=10, pace=0.5)) as server:
        page = open_page(server.url)
        page.fill("#text", "Hello there.")
        page.click("#compare")
        wait(page, "document.querySelector('#sooner').textContent")
        widths = [page.evaluate(f"document.querySelector('#{one} .bar').getBoundingClientRect().width") for one in BARS]
        assert 0 < widths[0] < widths[1]
        assert all(page.inner_text(f"#{one} b").endswith("s") for one in BARS)
        assert float(page.inner_text("#sooner").split()[0]) > 1


BARS = ("streamed", "whole")


def test_every_format_can_be_saved(open_page: Open, server: Running, engine: ToneEngine, tmp_path: Path) -> None:
    page = open_page(server.url, accept_downloads=True)
    speak(page)
    seed, made = engine.requests[-1].sampling.seed, len(engine.requests)
    for name in FORMATS:
        with page.expect_download() as saved:
            page.click(f"#downloads button:has-text('{name.upper()}')")
        assert saved.value.suggested_filename == f"speech.{name}"
        data = Path(saved.value.path()).read_bytes()
        if name == "pcm":
            assert len(data) % 2 == 0
        else:
            assert len(decode(data).samples) / decode(data).sample_rate == pytest.approx(2.0, abs=0.2)
        if name == "wav":  # what was heard, without asking the engine again
            assert len(engine.requests) == made
            with wave.open(io.BytesIO(data)) as file:
                assert file.getframerate() == 24000
                assert file.readframes(10**9) == to_int16(engine.sound(engine.requests[-1]))
    assert {request.sampling.seed for request in engine.requests[made:]} == {seed}


def test_the_commands_say_the_same(
    open_page: Open, server: Running, engine: ToneEngine, tmp_path: Path, pulse: PulseServer
) -> None:
    page = open_page(server.url)
    text = 'It\'s "quoted" and $HOME is `here`.'
    page.fill("#text", text)
    page.select_option("#voice", "lena")
    page.fill("#speed", "1.5")
    page.fill("#seed", "7")
    environment = {**user_environment(tmp_path), **pulse.client("speaker48")}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    for kind in ("curl", "Python", "voxcli"):
        page.click(f"#kinds button:has-text('{kind}')")
        code = page.inner_text("#code")
        before = len(engine.requests)
        program = [sys.executable, "-c", code] if kind == "Python" else ["bash", "-c", code]
        done = subprocess.run(program, cwd=tmp_path, env=environment, capture_output=True, timeout=60)
        assert done.returncode == 0, (code, done.stderr.decode())
        request = engine.requests[before]
        assert (request.text, request.speed, request.sampling.seed, request.voice.name) == (text, 1.5, 7, "lena"), kind
        if kind != "voxcli":
            assert len(decode((tmp_path / "speech.mp3").read_bytes()).samples) > 10_000
            (tmp_path / "speech.mp3").unlink()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.click("#copy")
    assert page.evaluate("navigator.clipboard.readText()") == code


def test_a_voice_can_be_heard_before_it_is_chosen(open_page: Open, server: Running, engine: ToneEngine) -> None:
    page = open_page(server.url)
    page.select_option("#voice", "lena")
    before = len(engine.requests)
    page.click("#audition")
    until(lambda: len(engine.requests) > before)
    assert engine.requests[-1].voice.name == "lena"
    assert engine.requests[-1].text == "Hello, this is how I sound."


def test_it_can_be_used_without_a_mouse(open_page: Open, server: Running, engine: ToneEngine) -> None:
    page = open_page(server.url)
    page.focus("#text")
    page.keyboard.type("Typed.")
    page.keyboard.press("Control+Enter")
    wait_for_end(page)
    assert engine.requests[-1].text == "Typed."
    page.focus("#tabSpeak")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.id") == "tabServer"
    assert page.is_visible("#server")
    page.keyboard.press("ArrowRight")
    assert page.is_visible("#speak")


def test_nothing_to_say_is_said(open_page: Open, server: Running) -> None:
    page = open_page(server.url)
    page.click("#play")
    page.wait_for_selector("#message.bad")
    assert page.inner_text("#message") == "Write something to speak."
