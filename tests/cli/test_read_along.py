"""The text on the screen while it is heard."""

import io
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console as RichConsole

from tests.program import Run, said
from tests.pulse import PulseServer, wait_until
from tests.said import Said, spoken
from tests.screen import CTRL_C, run_on_terminal
from voxcli.audio.chunk import AudioChunk
from voxcli.cli.console import Console
from voxcli.cli.reports.read_along import ReadAlong

STORY = [
    Said("One, two three.", "Anna"),
    Said("春天来了，花园里的花都开了。", "Ben"),
    Said("\x1b[2J bell\a ends here."),
]
STYLES = re.compile(r"\x1b\[[\d;]*m")


class Screen:
    """A terminal, and how much of the story has been heard."""

    def __init__(self, columns: int = 40, rows: int = 24, story: Sequence[Said] = STORY) -> None:
        self.heard = 0.001
        self.file = io.StringIO()
        console = Console()
        vars(console)["rich"] = RichConsole(
            file=self.file,
            force_terminal=True,
            width=columns,
            height=rows,
            color_system="standard",
            soft_wrap=True,
            highlight=False,
        )
        self.text = ReadAlong(console)
        self.text.playing(lambda: self.heard)
        for piece in spoken(story):
            self.text.feed(piece) if isinstance(piece, AudioChunk) else self.text.sentence(piece)

    @property
    def shown(self) -> str:
        return self.file.getvalue()

    def at(self, seconds: float, wanted: str) -> None:
        self.heard = seconds
        wait_until(lambda: wanted in self.shown, wanted)


def test_the_word_that_is_heard_stands_out_and_the_rest_stays() -> None:
    screen = Screen()
    screen.at(0.1, "\x1b[1mAnna: \x1b[0m\x1b[1;7mOne,\x1b[0m two three.")
    screen.at(0.6, "One, \x1b[1;7mtwo\x1b[0m three.")
    assert "two\x1b[0m" not in STYLES.sub("", screen.shown)
    screen.at(1.09, "\x1b[1mBen: \x1b[0m\x1b[1;7m春\x1b[0m天来了")
    assert "\x1b[1mAnna: \x1b[0m\x1b[2mOne, two three.\x1b[0m\n" in screen.shown
    screen.at(100.0, "ends here.")
    screen.text.close()
    assert screen.shown.endswith("ends here.\x1b[0m\n")
    assert "\x1b[2J" not in screen.shown
    assert "\x1b[?25h" in screen.shown.rpartition("\x1b[?25l")[2]


def test_only_what_was_heard_is_left() -> None:
    screen = Screen()
    screen.at(0.6, "\x1b[1;7mtwo")
    screen.text.close()
    assert STYLES.sub("", screen.shown).rpartition("\x1b[2K")[2] == "Anna: One, two\n"


def test_a_narrow_screen_breaks_the_text() -> None:
    screen = Screen(columns=11)
    screen.at(100.0, "ends")
    screen.text.close()
    lines = STYLES.sub("", screen.shown).rpartition("\x1b[2K")[2].splitlines()
    assert [line.rstrip() for line in lines[-2:]] == ["\ufffd[2J bell\ufffd", "ends here."]


def test_of_a_sentence_that_is_longer_than_the_screen_the_lines_around_the_word_are_shown() -> None:
    words = [f"word{number:02}" for number in range(60)]
    screen = Screen(columns=20, rows=5, story=[Said(" ".join(words))])
    screen.at(0.37 * 30, "\x1b[1;7mword30\x1b[0m")
    frame = STYLES.sub("", screen.shown).rpartition("\x1b[2K")[2]
    assert len(frame.splitlines()) <= 4
    screen.text.close()


def test_ctrl_c_leaves_a_clean_terminal(tmp_path: Path, environment: dict[str, str], pulse: PulseServer) -> None:
    command = [sys.executable, "-m", "voxcli", "say", "One two three four five six seven. Eight nine.", "--highlight"]
    code, shown = run_on_terminal(
        command, pulse.client("speaker44") | environment, {b"three\x1b[0m": CTRL_C}, folder=tmp_path, columns=80
    )
    assert code == 130
    assert "\x1b[1;7mOne\x1b[0m two three" in shown
    assert "\x1b[?25h" in shown.rpartition("\x1b[?25l")[2]
    assert "Eight" not in shown


def test_without_a_terminal_there_is_a_warning(run: Run, pulse: PulseServer) -> None:
    done = run("say", "Hi.", "--highlight", env=pulse.client("speaker44"))
    assert done.returncode == 0
    assert "--highlight shows the text on a terminal only" in said(done)


def test_what_is_not_played_is_not_shown(run: Run) -> None:
    done = run("say", "Hi.", "--highlight", "-o", "x.wav")
    assert done.returncode == 2
    assert "--highlight has no effect without --play" in said(done)
