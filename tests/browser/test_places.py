"""The page wherever it is offered: with keys, below prefixes, behind proxies, over plain HTTP, from a dying server."""

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.browser.conftest import APART, Open, figure, reported, speak, wait, wait_for_end
from tests.pulse import PulseServer
from tests.server.running import running
from tests.server.tone import ToneEngine, until
from voxcli.server.app import create_app
from voxcli.server.service import Service

ROOT = Path(__file__).parents[2]
SENTENCE = "This is a sentence that somebody wants to hear to its end."


@pytest.mark.parametrize("key", ["open-sesame", "with/slash=and space"])
def test_the_key_is_asked_for_once_and_kept_in_the_tab(open_page: Open, key: str) -> None:
    with running(ToneEngine(), keys=frozenset({key})) as server:
        page = open_page(server.url, ready=False)
        page.wait_for_selector("#keyDialog[open]")
        page.fill("#key", "wrong")
        page.click("#keyDialog .primary")
        page.wait_for_selector("#keyWrong", state="visible")
        page.fill("#key", key)
        page.keyboard.press("Enter")
        page.wait_for_selector("#state.ready")
        wait(page, "document.querySelector('#voice').options.length > 0")
        speak(page)
        assert figure(page, "underruns") == "0"
        assert "WebSocket" not in page.inner_text("#message")
        assert key not in page.inner_text("#code")
        page.reload()
        page.wait_for_selector("#state.ready")
        wait(page, "document.querySelector('#voice').options.length > 0")
        assert not page.is_visible("#keyDialog")
        assert page.evaluate("[localStorage, document.cookie].map((one) => JSON.stringify(one)).join()").count(key) == 0
        page.click("text=API")
        page.wait_for_selector("summary")
        assert page.input_value("#key") == key


def test_without_the_key_the_page_goes_on_asking(open_page: Open) -> None:
    with running(ToneEngine(), keys=frozenset({"open-sesame"})) as server:
        page = open_page(server.url, ready=False)
        page.wait_for_selector("#keyDialog[open]")
        page.click("#keyDialog button[value='']")
        page.fill("#text", SENTENCE)
        page.click("#play")
        page.wait_for_selector("#keyDialog[open]")
        page.click("#keyDialog button[value='']")
        page.wait_for_selector("#message.bad >> text=API key")
        page.click("#play")
        page.fill("#key", "open-sesame")
        page.keyboard.press("Enter")
        wait_for_end(page)
        assert figure(page, "chunks") != "0"
        wait(page, "document.querySelector('#voice').options.length > 0")


@pytest.mark.parametrize("known", [True, False])
def test_below_a_prefix(open_page: Open, known: bool) -> None:
    settings = {"root_path": "/voice"} if known else {"new_app": lambda service: _below("/voice", create_app(service))}
    with running(ToneEngine(), **settings) as server:  # type: ignore[arg-type]
        page = open_page(f"{server.url}/voice/")
        speak(page)
        assert figure(page, "chunks") != "0"
        assert "WebSocket" not in page.inner_text("#message")
        assert f"{server.url}/voice/v1/audio/speech" in page.inner_text("#code")
        page.click("text=API")
        page.wait_for_selector("summary")
        if known:
            page.goto(f"{server.url}/voice")
            page.wait_for_selector("#state.ready")


def _below(prefix: str, app: ASGIApp) -> ASGIApp:
    """Offer an application below a prefix that it does not know of, as a proxy does."""

    async def below(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if path.startswith(f"{prefix}/"):
            raw = scope.get("raw_path", b"").removeprefix(prefix.encode())
            scope = {**scope, "path": path.removeprefix(prefix), "raw_path": raw}
        elif scope["type"] == "http":
            scope = {**scope, "path": "/nowhere"}
        await app(scope, receive, send)

    return below


def test_where_a_proxy_lets_no_websocket_through(open_page: Open) -> None:
    engine = ToneEngine(chunks=25, pace=0.5)
    with running(engine, new_app=_without_sockets) as server:
        page = open_page(server.url)
        with reported(page) as reports:
            speak(page)
        assert "A proxy refuses WebSockets" in page.inner_text("#message")
        assert reports()[-1]["played"] == pytest.approx(2.0)
        assert int(figure(page, "chunks")) > 1


def test_behind_a_proxy_that_names_another_host(open_page: Open) -> None:
    with running(
        ToneEngine(chunk_seconds=10.0), new_app=_with_another_host, allowed_hosts=("inner.example",)
    ) as server:
        page = open_page(server.url)
        speak(page, until_end=False)
        wait(page, "document.querySelector('#factor')?.textContent > 0")
        assert figure(page, "length") == "50.0 s"
        assert not page.query_selector("#message.bad")


def _with_another_host(service: Service) -> ASGIApp:
    app = create_app(service)

    async def renamed(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name, b"inner.example" if name == b"host" else value) for name, value in scope.get("headers", [])]
        await app({**scope, "headers": headers}, receive, send)

    return renamed


def _without_sockets(service: Service) -> ASGIApp:
    app = create_app(service)

    async def without(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            await app(scope, receive, send)

    return without


def test_over_plain_http_from_another_machine_there_is_no_worklet(open_page: Open, pulse: PulseServer) -> None:
    with running(ToneEngine(chunks=25), allowed_hosts=(APART,)) as server:
        page = open_page(server.url.replace("127.0.0.1", APART))
        assert page.evaluate("!isSecureContext && !('audioWorklet' in AudioContext.prototype)")
        with reported(page) as reports, pulse.recording() as recording:
            speak(page)
        assert recording.sounding_seconds == pytest.approx(2.0, abs=0.3)
        assert reports()[-1]["played"] == pytest.approx(2.0)
        page.click("#tabClone")
        page.click("#record")
        page.wait_for_selector("#cloned.bad")
        assert "it needs https" in page.inner_text("#cloned")
        page.click("#tabSpeak")
        page.click("#copy")
        assert page.inner_text("#copy") == "Copied"


def test_a_server_that_dies_in_the_middle_is_told_of_and_found_again(open_page: Open, pulse: PulseServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with _program(port) as kill:
        page = open_page(f"http://127.0.0.1:{port}")
        with reported(page) as reports:
            speak(page, SENTENCE, until_end=False)
            wait(page, "window.reports.some((report) => report.played > 0.4)")
            kill()
            page.wait_for_selector("#message.bad")
            assert "broke off" in page.inner_text("#message")
            wait(page, "window.reports.at(-1).done")  # what had arrived is heard to its end
            assert reports()[-1]["underruns"] <= 1
        wait(page, "document.querySelector('#play').textContent === 'Speak'")
        page.click("#play")
        page.wait_for_selector("#message.bad >> text=cannot be reached")
        page.wait_for_selector("#state.unreachable", timeout=30_000)
    with _program(port):
        page.wait_for_selector("#state.ready", timeout=30_000)
        page.click("#play")
        wait(page, "document.querySelector('#first_sound').textContent.endsWith('s')")
        page.click("#play")
        wait_for_end(page)
        assert not page.query_selector("#message.bad")


@contextmanager
def _program(port: int) -> Iterator[Callable[[], None]]:
    """Serve in a process of its own, at the pace of speech, and give what kills it."""
    code = (
        "import time\nfrom tests.server.running import serving\nfrom tests.server.tone import ToneEngine\n"
        f"with serving(ToneEngine(chunks=200, pace=0.9), port={port}): print('ready', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout
    try:
        assert process.stdout.readline() == b"ready\n"
        yield process.kill
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_an_engine_that_fails_in_the_middle_is_told_of(open_page: Open) -> None:
    with running(ToneEngine(chunks=50, fail_at=10)) as server:
        page = open_page(server.url)
        speak(page, until_end=False)
        page.wait_for_selector("#message.bad")
        assert page.inner_text("#message")
        wait(page, "document.querySelector('#play').textContent === 'Speak'")
        assert figure(page, "chunks") != "0"


def test_a_model_that_is_unloaded_is_loaded_again(open_page: Open) -> None:
    engine = ToneEngine()
    with running(lambda: engine) as server:
        page = open_page(server.url)
        page.click("#tabServer")
        page.click("#unload")
        page.wait_for_selector("#state.unloaded")
        assert "not loaded" in page.inner_text("#metrics")
        until(lambda: engine.closed)
        page.click("#load")
        page.wait_for_selector("#state.ready")
        wait(page, "document.querySelector('#m_state').textContent === 'ready'")
        assert page.inner_text("#m_streams") == "0 / 2"
        assert page.inner_text("#m_memory").endswith("GiB")
