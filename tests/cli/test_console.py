"""Tables and messages fit the screen, with words whole."""

import itertools
import logging
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console as RichConsole

from tests.program import Run
from voxcli.cli.console import Console, format_table, logs_on_console, wrap

WORDS = st.text(st.sampled_from("ab安-."), min_size=1, max_size=9)
CELLS = st.lists(WORDS, max_size=8).map(" ".join)


@given(st.integers(1, 4).flatmap(lambda count: st.lists(st.lists(CELLS, min_size=count, max_size=count), min_size=1)))
def test_a_table_fits_and_keeps_its_words(rows: list[list[str]]) -> None:
    columns = 60
    lines = format_table(rows, columns)
    assert max(map(cell_len, lines)) <= columns
    words = sorted(word for row in rows for cell in row for word in cell.split())
    assert sorted(word for line in lines for word in line.split()) == words


def test_a_table_without_a_screen_has_a_line_for_each_row() -> None:
    rows = [["NAME", "ABOUT"], ["anna", "a long description " * 20], ["b", ""]]
    assert format_table(rows, None) == ["NAME  ABOUT", f"anna  {rows[1][1].strip()}", "b"]
    assert format_table([], 50) == []


def test_a_word_that_is_too_long_stands_below() -> None:
    rows = [["ok", "numpy", "2.4"], ["ok", "folder", "/" + "x" * 60], ["warn", "voice", "none of your own yet, or so"]]
    assert format_table(rows, 30) == [
        "ok    numpy  2.4",
        "ok    folder",
        f"    /{'x' * 60}",
        "warn  voice  none of your own",
        "             yet, or so",
    ]


@given(st.lists(WORDS, max_size=30).map(" ".join), st.integers(12, 60))
def test_wrapped_lines_fit_and_keep_their_words(text: str, columns: int) -> None:
    lines = wrap(text, columns)
    assert all(cell_len(line) <= columns or " " not in line.strip() for line in lines)
    assert " ".join(lines).split() == text.split()


@pytest.mark.parametrize("columns", [50, 80])
@pytest.mark.parametrize("arguments", ["doctor", "models", "voices", "config show", "say hi --voice nope -o x.wav"])
def test_what_is_shown_fits_the_screen(run: Run, without_torch: dict[str, str], arguments: str, columns: int) -> None:
    environment = {"COLUMNS": str(columns)} | (without_torch if arguments == "doctor" else {})
    done = run(*arguments.split(), env=environment)
    for line in (done.stdout + done.stderr).decode().splitlines():
        assert cell_len(line) <= columns or len(line.split()) == 1 or "(missing)" in line, line


def test_a_drawn_voice_is_noted_on_a_terminal_only(capsys: pytest.CaptureFixture[str]) -> None:
    anchors = logging.getLogger("voxcli.voices.anchors")
    for terminal, quiet, verbose, notes in itertools.product((True, False), (True, False), (True, False), (None, True)):
        console = Console(quiet=quiet)
        console.rich = RichConsole(file=sys.stderr, force_terminal=terminal, soft_wrap=True, markup=False)
        with logs_on_console(console, verbose=verbose, notes=notes):
            anchors.info("drawing the voice alloy for this model, once")
            logging.getLogger("voxcli.other").info("something else")
        err = capsys.readouterr().err
        assert err.count("drawing the voice alloy") == (not quiet and (terminal or verbose or bool(notes)))
        assert ("voxcli.other: something else" in err) == (verbose and not quiet)
        assert "voxcli.voices.anchors" not in err


@pytest.mark.parametrize("variables", [{}, {"FORCE_COLOR": "1"}, {"FORCE_COLOR": ""}, {"TTY_COMPATIBLE": "0"}])
@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_is_what_rich_takes_for_one(
    variables: dict[str, str], terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    console = Console()
    assert console.is_terminal == console.rich.is_terminal
