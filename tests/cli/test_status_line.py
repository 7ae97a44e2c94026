"""Status line: one line that fits the terminal, moves on by itself, and leaves nothing behind."""

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from rich.cells import cell_len
from rich.console import Console as RichConsole

from tests.screen import frames, last_screen
from voxcli.cli import status_line
from voxcli.cli.commands.serve.run import noted_stages
from voxcli.cli.console import Console
from voxcli.cli.status_line import StatusLine, shown_loading
from voxcli.synthesis.loading import LoadingProgress, LoadingStage

MODEL = "voxcpm-1.5"
HALF = LoadingProgress(LoadingStage.READING, 812_000_000, 1_949_000_000)
ALL = [
    LoadingProgress(LoadingStage.STARTING),
    HALF,
    LoadingProgress(LoadingStage.READING, 9_000_000_000, 19_490_000_000),
    LoadingProgress(LoadingStage.QUANTIZING, 1_949_000_000, 1_949_000_000),
    LoadingProgress(LoadingStage.COMPILING, 3, 8),
    LoadingProgress(LoadingStage.CAPTURING, 12, 128),
    LoadingProgress(LoadingStage.WARMING_UP),
]
WAIT_SECONDS = 20.0


class Screen:
    """A console on a terminal of that many columns, and what was written to it."""

    def __init__(self, columns: int, *, is_terminal: bool = True, quiet: bool = False) -> None:
        self.file = io.StringIO()
        self.console = Console(quiet=quiet)
        self.console.rich = RichConsole(
            file=self.file, width=columns, height=20, force_terminal=is_terminal, soft_wrap=True, legacy_windows=False
        )

    @property
    def written(self) -> str:
        return self.file.getvalue()

    def wait_for(self, words: str, end: str = "") -> str:
        """Return the line with these words, as soon as it has been drawn up to its end."""
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            for lines in frames(self.written):
                if found := [line for line in lines if words in line and line.endswith(end)]:
                    return found[0]
            time.sleep(0.01)
        raise AssertionError(f"never shown: {words!r}, but {self.written!r}")


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_line, "_DELAY_SECONDS", 0.0)
    monkeypatch.setattr(status_line, "_SOUND_SECONDS", 0.0)
    monkeypatch.setattr(status_line, "_REFRESH_SECONDS", 0.002)


@contextmanager
def drawn(screen: Screen) -> Iterator[StatusLine]:
    line = StatusLine(screen.console)
    try:
        line.load(MODEL)
        yield line
    finally:
        line.close()


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("columns", [12, 24, 35, 50, 80, 200])
def test_it_is_one_line_that_fits_and_leaves_nothing_behind(columns: int) -> None:
    screen = Screen(columns)
    with drawn(screen) as line:
        for progress in ALL:
            line.progress(progress)
            screen.wait_for(progress.words[: columns - 8])
        line.show("speaking at length" * 9)
        screen.wait_for("speaking"[: columns - 8])
    for lines in frames(screen.written):
        assert len([text for text in lines if text]) <= 1
        assert all(cell_len(text) < columns for text in lines), lines
    assert last_screen(screen.written + " ") == []


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(("columns", "names"), [(50, False), (80, True)])
@pytest.mark.parametrize("progress", ALL, ids=lambda progress: f"{progress.stage}-{progress.amount}")
def test_what_matters_is_on_it(columns: int, names: bool, progress: LoadingProgress) -> None:
    screen = Screen(columns)
    with drawn(screen) as line:
        line.progress(progress)
        shown = screen.wait_for(progress.amount or progress.words, " s")
    assert progress.words in shown
    assert "\N{BOX DRAWINGS HEAVY HORIZONTAL}" * 4 in shown
    assert (f"loading {MODEL}" in shown) == (names or not progress.amount)


@pytest.mark.usefixtures("at_once")
def test_the_bar_keeps_its_place_while_the_numbers_grow() -> None:
    screen = Screen(72)
    starts = set()
    with drawn(screen) as line:
        for done in (0, 9_000_000, 99_000_000, 999_000_000, 1_949_000_000):
            line.progress(LoadingProgress(LoadingStage.READING, done, 1_949_000_000))
            shown = screen.wait_for(f" {done // 10**6} of 1949 MB")
            starts.add(shown.index(f"{done // 10**6} of"))
    assert len(starts) == 1


def test_what_is_ready_soon_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_line, "_DELAY_SECONDS", 3600.0)
    screen = Screen(80)
    with drawn(screen) as line:
        line.progress(HALF)
    assert screen.written == ""


@pytest.mark.usefixtures("at_once")
def test_it_waits_for_the_first_sound_unless_a_model_is_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_line, "_SOUND_SECONDS", 3600.0)
    for progress in (None, HALF):
        screen = Screen(80)
        with drawn(screen) as line:
            line.show("speaking")
            if progress:
                line.progress(progress)
                screen.wait_for("speaking")
        assert bool(screen.written) == bool(progress)


@pytest.mark.usefixtures("at_once")
def test_messages_are_shown_above_it() -> None:
    screen = Screen(80)
    with drawn(screen) as line:
        line.progress(HALF)
        screen.wait_for("reading")
        screen.console.warning("the disk is slow")
    assert last_screen(screen.written) == ["warning: the disk is slow"]


def test_without_a_terminal_one_note_says_that_a_model_is_loading() -> None:
    screen = Screen(80, is_terminal=False)
    with shown_loading(screen.console, MODEL) as on_loading:
        assert screen.written == ""
        for progress in ALL:
            on_loading(progress)
    assert screen.written == f"loading {MODEL}\n"


def test_a_server_notes_each_stage_when_it_begins() -> None:
    screen = Screen(80, is_terminal=False)
    on_loading = noted_stages(screen.console)
    for stage in LoadingStage:
        for done in (0, 5_000_000, 10_000_000):
            on_loading(LoadingProgress(stage, done, 10_000_000))
    assert screen.written.splitlines() == [
        "reading weights 10 MB",
        "quantizing weights 10 MB",
        "compiling kernels 10000000",
        "capturing CUDA graphs 10000000",
        "warming up 10000000",
    ]


def silent(screen: Screen) -> None:
    with shown_loading(screen.console, MODEL, noted=not screen.console.quiet) as on_loading:
        for progress in ALL:
            on_loading(progress)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(("quiet", "is_terminal"), [(True, True), (True, False), (False, False)])
def test_a_quiet_console_and_a_note_that_was_made_show_nothing(quiet: bool, is_terminal: bool) -> None:
    screen = Screen(80, is_terminal=is_terminal, quiet=quiet)
    silent(screen)
    assert screen.written == ""


@pytest.mark.usefixtures("at_once")
def test_a_load_that_fails_leaves_nothing_behind() -> None:
    screen = Screen(80)

    def fail() -> None:
        with shown_loading(screen.console, MODEL) as on_loading:
            on_loading(HALF)
            screen.wait_for("reading")
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - raised above
        fail()
    assert last_screen(screen.written + " ") == []
