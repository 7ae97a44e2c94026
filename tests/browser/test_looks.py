"""Looks of the page: two languages, dark and light, phone width, and nothing serious for axe."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.conftest import Open, Page, speak
from tests.server.language_model import language_model, writing
from tests.server.running import Running, running
from tests.server.tone import ToneEngine
from voxcli.server.settings import LanguageModelSettings

TABS = ("Speak", "Clone", "Chat", "Server")
AXE = os.environ.get("VOXCLI_AXE", "node_modules/axe-core/axe.min.js")
WITHOUT_CHINESE = {"espeak", "curl", "Python", "voxcli", "English", "WAV", "MP3", "OPUS", "AAC", "FLAC", "PCM"}


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with (
        language_model(writing("An answer.")) as stub,
        running(ToneEngine(), language_model=LanguageModelSettings(url=stub.url)) as server,
    ):
        yield server


def filled(page: Page) -> None:
    """Bring every part of the page up that is hidden at first."""
    speak(page, "Hello there.\nThis is the second line.")
    page.evaluate("document.querySelector('#bars').hidden = false")
    page.click("#tabChat")
    page.fill("#question", "Who are you?")
    page.click("#send")
    page.wait_for_selector("#talk >> text=An answer.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
def test_axe_finds_nothing_serious(open_page: Open, server: Running, scheme: str, locale: str) -> None:
    if not Path(AXE).is_file():
        pytest.fail("axe was not found. npm install axe-core, and VOXCLI_AXE=node_modules/axe-core/axe.min.js")
    page = open_page(server.url, color_scheme=scheme, locale=locale)
    filled(page)
    page.evaluate(Path(AXE).read_text("utf-8"))
    for tab in TABS:
        page.click(f"#tab{tab}")
        page.mouse.move(0, 0)
        page.wait_for_timeout(300)
        found = page.evaluate("axe.run().then((result) => result.violations)")
        bad = [(one["id"], one["impact"], [node["html"] for node in one["nodes"]]) for one in found]
        assert [one for one in bad if one[1] in ("serious", "critical")] == [], tab
        assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") == (scheme == "dark")


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
@pytest.mark.parametrize("locale", ["en-US", "zh-TW"])
def test_nothing_is_wider_than_the_screen(open_page: Open, server: Running, width: int, locale: str) -> None:
    page = open_page(server.url, viewport={"width": width, "height": 800}, locale=locale)
    filled(page)
    for tab in TABS:
        page.click(f"#tab{tab}")
        page.wait_for_timeout(100)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, tab
        cut = page.evaluate(
            """() => [...document.querySelectorAll('button, a, label, dt, dd, h2')]
                .filter((one) => one.offsetParent && one.scrollWidth > one.clientWidth + 1 && one.clientWidth)
                .map((one) => one.textContent)"""
        )
        assert cut == [], tab


def test_it_speaks_the_language_of_the_browser_until_told_otherwise(open_page: Open, server: Running) -> None:
    page = open_page(server.url, locale="zh-CN")
    assert page.inner_text("#play") == "朗读"
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    for tab in TABS:
        page.click(f"#tab{tab}")
        page.wait_for_timeout(200)
        texts = page.evaluate(
            "[...document.querySelectorAll('h2, label, dt, button')].map((one) => one.innerText.trim())"
        )
        assert {text for text in texts if re.search(r"[a-z]{4}", text)} <= WITHOUT_CHINESE | {"tone"}
    page.click("#languageToggle")
    assert page.inner_text("#tabSpeak") == "Speak"
    page.reload()
    page.wait_for_selector("#state.ready")
    assert page.inner_text("#tabSpeak") == "Speak"
    assert page.evaluate("document.documentElement.lang") == "en"


def test_fields_have_names(open_page: Open, server: Running) -> None:
    page = open_page(server.url)
    for name in ("Text", "Voice", "Language", "Speed", "Steps", "Style", "Seed"):
        assert page.get_by_label(name, exact=False).first.is_visible()
    page.click("#tabClone")
    assert page.get_by_label("Name of the voice").is_visible()
