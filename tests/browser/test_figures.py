"""Figures of the page that depend on the machine: how soon the first sound comes, and whether sound runs out.

They run with -m 'browser and benchmark'.
"""

import statistics
from typing import Any

import pytest

from tests.browser.conftest import Open, Page, figure, milliseconds, reported, speak, wait, wait_for_end
from tests.server.running import running
from tests.server.tone import ToneEngine
from voxcli.engines.espeak.engine import BuiltinEngine

pytestmark = pytest.mark.benchmark

RUNS = 9
MOST_MILLISECONDS = 60
SECONDS = 60


def lateness(page: Page, text: str) -> float:
    """Speak, and return the milliseconds from the first byte to the first audible sample."""
    page.evaluate("document.querySelector('#figures').replaceChildren()")
    speak(page, text, until_end=False)
    wait(page, "document.querySelector('#first_sound')?.textContent.endsWith('s')")
    found = milliseconds(page, "first_sound") - milliseconds(page, "first_byte")
    page.keyboard.press("Escape")
    wait_for_end(page)
    return found


@pytest.fixture(params=["espeak", "tone"])
def engine(request: pytest.FixtureRequest) -> Any:
    """One that is much faster than speech, and one that is as fast as speech."""
    return BuiltinEngine() if request.param == "espeak" else ToneEngine(chunks=100, pace=1.0)


def test_the_first_sound_follows_the_first_byte(open_page: Open, engine: Any) -> None:
    with running(engine, model="espeak") as server:
        page = open_page(server.url)
        found = [lateness(page, f"Number {number} is here, and it goes on.") for number in range(RUNS)]
    assert statistics.median(found) <= MOST_MILLISECONDS, found


def test_speech_at_its_own_pace_never_runs_out(open_page: Open) -> None:
    engine = ToneEngine(chunks=round(SECONDS / 0.08), pace=1.0)
    with running(engine) as server:
        page = open_page(server.url)
        with reported(page) as reports:
            speak(page)
        last = reports()[-1]
        assert last["played"] == pytest.approx(SECONDS)
        assert last["underruns"] == 0
        assert figure(page, "underruns") == "0"
