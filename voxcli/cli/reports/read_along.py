"""Text on a terminal with the sentence, and the word, that is to be heard at the moment."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from rich.live import Live
from rich.text import Text

from voxcli.audio.chunk import AudioChunk
from voxcli.cli.console import Console, printable
from voxcli.cli.exits import GracefulShutdown
from voxcli.cli.reports.text import TextReport
from voxcli.sinks.base import Sink
from voxcli.synthesis.cues import CueStream, TimedSentence
from voxcli.synthesis.request import SentenceMark
from voxcli.synthesis.timing import Timings
from voxcli.synthesis.transcript import Transcript, WordTime, word_times

if TYPE_CHECKING:
    from rich.console import Console as RichConsole
    from rich.console import ConsoleOptions

_REFRESH_SECONDS = 0.05
_PAST, _NOW, _WORD, _NAME = "dim", "", "bold reverse", "bold"


class ReadAlong:
    """The sentences that have been heard, and below them the one that sounds. A thread of its own draws them."""

    def __init__(self, console: Console, shutdown: GracefulShutdown | None = None) -> None:
        self._console = console
        self._shutdown = shutdown
        self._played: Callable[[], float | None] = lambda: None
        self._transcript = Transcript()
        self._cues = CueStream()
        self._timed: dict[int, TimedSentence] = {}  # by number, once they are complete
        self._shown = 0  # sentences that have been heard
        self._status = ""
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def playing(self, played: Callable[[], float | None]) -> None:
        """Take what tells how many seconds have been heard."""
        self._played = played

    def feed(self, chunk: AudioChunk) -> None:
        """Take sound, whose pauses tell when words begin."""
        self._cues.feed(chunk)

    def sentence(self, mark: SentenceMark) -> None:
        """Take a mark."""
        self._cues.mark(mark)
        self._cues.settled.clear()
        self._transcript.note(mark)
        if mark.end is not None and self._cues.newest:
            self._timed[len(self._transcript.sentences) - 1] = self._cues.newest.sentences[-1]
        if self._thread is None:
            self._thread = threading.Thread(target=self._draw, name="read along", daemon=True)
            self._thread.start()

    def show(self, status: str) -> None:
        """Show a text below."""
        self._status = status

    def close(self) -> None:
        """Leave the sentences that were heard on the screen, and nothing else."""
        self._closed.set()
        if self._thread:
            self._thread.join()

    def _draw(self) -> None:
        # Nothing is drawn while the loudspeaker is opened, as standard error is not the terminal then.
        while not self._played():
            if self._closed.wait(_REFRESH_SECONDS):
                return
        if self._shutdown:
            self._shutdown.silent = True  # it says here that it stops
        live = Live(self, console=self._console.rich, transient=True, auto_refresh=False, redirect_stdout=False)
        with suppress(OSError):  # the terminal has been closed
            with live:
                drawn = None
                while not self._closed.wait(_REFRESH_SECONDS):
                    self._pass_heard()
                    if drawn != (drawn := self._current()):
                        live.refresh()
            self._print_rest()
        if self._shutdown:
            self._shutdown.silent = False

    def _pass_heard(self) -> None:
        """Print the sentences above that have been followed by another one."""
        seconds, sentences = self._played() or 0.0, self._transcript.sentences
        while self._shown + 1 < len(sentences) and sentences[self._shown + 1].start <= seconds:
            self._print(self._styled(self._shown, _PAST))
            self._shown += 1

    def _print_rest(self) -> None:
        """Print what was heard of the last sentences."""
        seconds = self._played() or 0.0
        for number, mark in enumerate(self._transcript.sentences[self._shown :], self._shown):
            if mark.start >= seconds:
                return
            words = [word for word in self._words(number) if word.start < seconds]
            self._print(self._styled(number, _PAST, words[-1].at[1] if words else 0))

    def _print(self, text: Text) -> None:
        rich = self._console.rich
        rich.print(Text("\n").join(_wrapped(text, rich)))

    def _styled(self, number: int, style: str, end: int | None = None) -> Text:
        """Return a sentence, after the name of its speaker if that is somebody else than before.

        end: characters of it that are shown; None for all.
        """
        mark = self._transcript.sentences[number]
        before = self._transcript.sentences[number - 1].speaker if number else None
        name = f"{printable(mark.speaker)}: " if mark.speaker and mark.speaker != before else ""
        return Text.assemble((name, _NAME), (_on_one_line(mark.text)[:end], style))

    def _words(self, number: int) -> list[WordTime]:
        if timed := self._timed.get(number):
            return timed.words
        return word_times(self._transcript.sentences[number], self._transcript.pace)

    def _current(self) -> tuple[int | None, tuple[int, int] | None, str]:
        """Return the number of the sentence to be heard, where its word stands in it, and the text below."""
        sentences, number, seconds = self._transcript.sentences, self._shown, self._played() or 0.0
        stopping = self._shutdown is not None and self._shutdown.interrupted
        status = "stopping" if stopping else self._status
        if number >= len(sentences) or sentences[number].start > seconds:
            return None, None, status
        words = (word.at for word in self._words(number) if word.start <= seconds < word.end)
        return number, next(words, None), status

    def __rich_console__(self, console: "RichConsole", options: "ConsoleOptions") -> Iterator[Text]:
        number, word, status = self._current()
        if number is not None:
            text, at = self._styled(number, _NOW), 0
            if word:
                name = len(text) - len(self._transcript.sentences[number].text)
                at = name + word[0]
                text.stylize(_WORD, at, name + word[1])
            yield from _visible(_wrapped(text, console), at, console.height - 1)
        if status:
            yield Text(status, "dim")


def _wrapped(text: Text, console: "RichConsole") -> list[Text]:
    return list(text.wrap(console, max(console.width - 1, 1)))  # some terminals wrap after the last column


def _visible(lines: list[Text], at: int, rows: int) -> list[Text]:
    """Return the lines that fit the screen, with the one that has a character."""
    if len(lines) <= rows:
        return lines
    row, passed = 0, len(lines[0])
    while passed <= at and row < len(lines) - 1:
        row += 1
        passed += len(lines[row])
    first = max(0, min(row - rows // 2, len(lines) - rows))
    return lines[first : first + max(rows, 1)]


def _on_one_line(text: str) -> str:
    """Return a text of the same length that is safe to show."""
    return "".join(" " if char.isspace() else char for char in printable(text))


class ReadAlongReport(TextReport):
    """Reports as usual while a model loads and at the end, and shows the text in between."""

    def __init__(self, console: Console, shutdown: GracefulShutdown | None = None) -> None:
        super().__init__(console, shutdown)
        self._text = ReadAlong(console, shutdown)
        self._begun = False

    def playing(self, sink: Sink) -> None:
        self._text.playing(lambda: sink.played_seconds)

    def sentence(self, mark: SentenceMark) -> None:
        if not self._begun:
            super().close()  # the status line, as there is one line that moves at most
            self._line, self._begun = None, True
        self._text.sentence(mark)

    def chunk(self, chunk: AudioChunk, timings: Timings) -> None:
        self._text.feed(chunk)
        super().chunk(chunk, timings)

    def waiting(self) -> None:
        super().waiting()
        self._text.show("waiting for text" if self._begun else "")

    def working(self) -> None:
        super().working()
        self._text.show("")

    def close(self) -> None:
        self._text.close()
        super().close()
