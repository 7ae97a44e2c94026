"""Chromium for the tests of the page, with a microphone that plays a recording and a loudspeaker that is recorded."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.clips import spoken_wav
from tests.pulse import PulseServer

Page: TypeAlias = Any
Open: TypeAlias = Callable[..., Page]

APART = "box.test"
"""A name of this machine that is no secure context, as that of another machine over plain HTTP."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium(pulse: PulseServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.fail("Chromium was not found. To install it: sudo apt install chromium")
    microphone = tmp_path_factory.mktemp("microphone") / "speech.wav"
    microphone.write_bytes(spoken_wav())
    arguments = [
        *("--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
        *(f"--use-file-for-fake-audio-capture={microphone}", f"--host-resolver-rules=MAP {APART} 127.0.0.1"),
    ]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=arguments,
            ignore_default_args=["--mute-audio"],
            env=pulse.client("speaker48"),
        )
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Open]:
    """Open a page in a browser of its own. At the end, no script may have failed, and nothing been loaded elsewhere."""
    contexts, faults = [], []

    def open_page(url: str, *, ready: bool = True, **settings: Any) -> Page:
        context = chromium.new_context(**{"locale": "en-US", "permissions": ["microphone"], **settings})
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda sent: faults.append(sent.url) if not _is_within(sent.url, url) else None)
        page.set_default_timeout(15_000)
        page.goto(url)
        if ready:
            page.wait_for_selector("#state.ready")
            wait(page, "document.querySelector('#voice').options.length > 0")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


def _is_within(address: str, url: str) -> bool:
    return address == url.rstrip("/") or address.startswith((url, url.replace("http", "ws"), "blob:", "data:"))


@contextmanager
def reported(page: Page) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Give what reads the reports of the player, which come from its counters on the audio thread."""
    page.evaluate(
        """async () => {
            const { player } = await import(new URL('web/utterance.js', document.baseURI));
            const pass = player.onReport;
            window.reports = [];
            player.onReport = (report) => { window.reports.push(report); pass(report); };
        }"""
    )
    yield lambda: page.evaluate("window.reports")


def wait(page: Page, expression: str, seconds: float = 20.0) -> None:
    """Wait until an expression is true. The policy of the page forbids Playwright to look at it from within."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, f"waited in vain for {expression}"
        page.wait_for_timeout(20)


def speak(page: Page, text: str = "Hello there.", *, until_end: bool = True) -> None:
    page.fill("#text", text)
    page.click("#play")
    if until_end:
        wait_for_end(page)


def wait_for_end(page: Page) -> None:
    said = "document.querySelector('#message').textContent"
    wait(page, f"!['Speaking…', '正在朗读…'].includes({said})", 90)
    wait(page, "!document.querySelector('#play').classList.contains('stops')")


def figure(page: Page, name: str) -> str:
    return str(page.inner_text(f"#{name}"))


def milliseconds(page: Page, name: str) -> float:
    number, unit = figure(page, name).split()
    return float(number) * (1 if unit == "ms" else 1000)
