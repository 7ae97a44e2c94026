"""Status line of a terminal: the progress of loading with a bar, then that of the work, on one line that disappears."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

from voxcli.cli.console import Console, printable
from voxcli.cli.exits import GracefulShutdown
from voxcli.synthesis.loading import LoadingProgress, LoadingStage, OnLoading, ignore_loading

if TYPE_CHECKING:
    from rich.console import Console as RichConsole
    from rich.console import ConsoleOptions, RenderableType
    from rich.table import Table
    from rich.text import Text

_DELAY_SECONDS = 0.3
"""What is done sooner shows nothing, and does not wait for the modules that draw."""
_SOUND_SECONDS = 1.0
"""The same while no model reports that it loads: the first sound is near, and those modules should not delay it."""
_REFRESH_SECONDS = 0.08
_BAR_WIDTH, _SHORT_BAR_WIDTH, _LEAST_BAR_WIDTH = 20, 10, 4
"""At most, beside the name of the model, and without it."""
_BEGINNING = LoadingProgress(LoadingStage.STARTING)
_GAPS = 4
"""Columns for the spinner, and between it, the text, the bar and the amount."""


class StatusLine:
    """A line that a thread of its own draws, so that it moves while the caller is busy."""

    def __init__(self, console: Console, shutdown: GracefulShutdown | None = None) -> None:
        self._console = console
        self._shutdown = shutdown
        self._text = ""
        self._model: str | None = None
        self._progress: LoadingProgress | None = None
        self._since = time.perf_counter()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._draw, name="status line", daemon=True)
        self._thread.start()

    def load(self, model: str) -> None:
        """Show that a model is loading."""
        self._model, self._progress = printable(model), None
        self._since = time.perf_counter()

    def progress(self, progress: LoadingProgress) -> None:
        """Show how far it has come."""
        self._progress = progress

    def show(self, text: str) -> None:
        """Show a text instead."""
        self._text, self._model = text, None

    def close(self) -> None:
        """Remove the line."""
        self._closed.set()
        self._thread.join()

    def _draw(self) -> None:
        began, done = time.perf_counter(), self._closed.wait(_DELAY_SECONDS)
        while not done and self._progress is None and time.perf_counter() - began < _SOUND_SECONDS:
            done = self._closed.wait(_REFRESH_SECONDS)
        if done:
            return
        from rich.live import Live  # only terminals need these
        from rich.spinner import Spinner

        self._spinner = Spinner("dots", style="dim")
        line = Live(self, console=self._console.rich, transient=True, auto_refresh=False, redirect_stdout=False)
        self._announce(drawn=True)  # first, so that an interrupt meanwhile is not told twice
        with suppress(OSError), line:  # the terminal has been closed
            while not self._closed.wait(_REFRESH_SECONDS):
                line.refresh()
        self._announce(drawn=False)

    def _announce(self, *, drawn: bool) -> None:
        """Tell the handler of Ctrl-C whether this line says that the program is stopping."""
        if self._shutdown:
            self._shutdown.silent = drawn

    def __rich_console__(self, console: "RichConsole", options: "ConsoleOptions") -> "Iterator[Table]":
        from rich.table import Table

        columns = options.max_width - 1 - _GAPS  # some terminals wrap after the last one
        line = Table.grid(padding=(0, 1))
        model, progress = self._model, self._progress
        if self._shutdown and self._shutdown.interrupted:
            line.add_row(self._spinner, _cut("stopping", columns))
        elif model is None:
            line.add_row(self._spinner, _cut(self._text, columns))
        else:
            line.add_row(self._spinner, *self._loading(model, progress or _BEGINNING, columns))
        yield line

    def _loading(self, model: str, progress: LoadingProgress, columns: int) -> "tuple[RenderableType, ...]":
        """Return the parts that fit: the amount and the seconds first, then a bar, then the name of the model."""
        from rich.progress_bar import ProgressBar
        from rich.text import Text

        seconds = f"{time.perf_counter() - self._since:.0f} s"
        amount, widest = (" · ".join(filter(None, (one, seconds))) for one in (progress.amount, progress.most))
        texts = ((f"loading {model} · {progress.words}", _SHORT_BAR_WIDTH), (progress.words, _LEAST_BAR_WIDTH))
        for text, least in texts:
            # As wide for the last amount as for the first, so that the bar does not shrink.
            room = columns - cell_len(text) - cell_len(widest)
            if room >= least:
                bar = ProgressBar(progress.total or None, progress.done, width=min(room, _BAR_WIDTH))
                return Text(text, "dim"), bar, Text(amount, "dim")
        return (_cut(f"{progress.words} · {amount}", columns),)


def _cut(text: str, columns: int) -> "Text":
    from rich.text import Text

    return Text(set_cell_size(text, min(cell_len(text), max(columns, 0))), "dim")


@contextmanager
def shown_loading(
    console: Console, model: str, shutdown: GracefulShutdown | None = None, *, noted: bool = False
) -> Iterator[OnLoading]:
    """Show the progress of loading a model: on a terminal by a line that disappears, elsewhere by a note.

    noted: whether the note has been made already.
    """
    if console.quiet or not console.is_terminal:
        yield ignore_loading if noted else noted_loading(console, model)
        return
    line = StatusLine(console, shutdown)
    line.load(model)
    try:
        yield line.progress
    finally:
        line.close()


def noted_loading(console: Console, model: str) -> OnLoading:
    """Return what makes a note at the first progress: of a model that is ready at once there is none."""
    waiting = [model]

    def on_loading(progress: LoadingProgress) -> None:
        with suppress(IndexError):
            console.note(f"loading {waiting.pop()}")

    return on_loading
