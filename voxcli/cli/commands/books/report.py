"""Reports on a book that is being made: chapter, share and time left for people, or events for programs."""

import time
from typing import Protocol, TextIO

from voxcli.batch.books.making import Book, BookPosition
from voxcli.batch.books.writing import WrittenBook
from voxcli.cli.commands.books.document import duration
from voxcli.cli.console import Console, printable
from voxcli.cli.exits import GracefulShutdown, exit_code
from voxcli.cli.reports.events import EventsReport, write_event
from voxcli.cli.status_line import StatusLine, noted_loading
from voxcli.errors import VoxError
from voxcli.synthesis.loading import OnLoading

_SECONDS_TO_KNOW = 2.0
"""Of work, after which the time left can be told."""


class BookReport(Protocol):
    """Receives the progress of a book."""

    def loading(self, model: str) -> OnLoading: ...

    def started(self, book: Book, folder: str) -> None: ...

    def sentence(self, position: BookPosition) -> None: ...

    def writing(self, share: float) -> None: ...

    def done(self, written: WrittenBook, model: str, *, partial: bool) -> None: ...

    def failed(self, error: BaseException) -> None: ...

    def close(self) -> None: ...


class TimeLeft:
    """Estimates how long the rest of a book takes."""

    def __init__(self) -> None:
        self._begun = time.perf_counter()

    def seconds(self, position: BookPosition) -> float | None:
        """Return the seconds left; None while that is not known."""
        taken = time.perf_counter() - self._begun
        if taken < _SECONDS_TO_KNOW or not position.made:
            return None
        return taken / position.made * (position.total - position.done)


class TextBookReport:
    """A status line on a terminal, a note for each chapter elsewhere, and a summary at the end."""

    def __init__(self, console: Console, shutdown: GracefulShutdown | None) -> None:
        self._console = console
        self._line = StatusLine(console, shutdown) if console.is_terminal and not console.quiet else None
        self._book: Book | None = None
        self._folder = ""
        self._chapter = -1
        self._last: BookPosition | None = None
        self._left = TimeLeft()

    def loading(self, model: str) -> OnLoading:
        if self._line:
            self._line.load(model)
            return self._line.progress
        return noted_loading(self._console, model)

    def started(self, book: Book, folder: str) -> None:
        self._book, self._folder, self._left = book, folder, TimeLeft()

    def sentence(self, position: BookPosition) -> None:
        assert self._book
        self._last = position
        share = position.done / max(1, position.total)
        chapter = self._book.chapters[position.chapter]
        facts = [f"chapter {position.chapter + 1} of {len(self._book.chapters)}", f"{share:.0%}"]
        if (left := self._left.seconds(position)) is not None:
            facts.append(f"{duration(left)} left")
        if self._line:
            self._line.show(" · ".join([*facts, printable(chapter.title)]))
        elif position.made and position.chapter > self._chapter:
            self._console.note(" · ".join([*facts, printable(chapter.title)]))
            self._chapter = position.chapter

    def writing(self, share: float) -> None:
        if self._line:
            self._line.show(f"writing the book · {share:.0%}")

    def done(self, written: WrittenBook, model: str, *, partial: bool) -> None:
        self.close()
        files = str(written.files[0]) if len(written.files) == 1 else f"{len(written.files)} files"
        chapters = "1 chapter" if len(written.starts) == 1 else f"{len(written.starts)} chapters"
        self._console.note_phrases([f"{files} ·", f"{chapters} ·", f"{duration(written.seconds)} ·", model])
        if written.drift:
            (self._console.warning if written.drift.is_heard else self._console.note)(str(written.drift))
        if partial:
            self._console.note("This is the book so far. The same command without --partial goes on with it.")

    def failed(self, error: BaseException) -> None:
        self.close()
        if self._book and self._last and self._last.done < self._last.total:
            count = f"{self._last.sentences} of {self._book.sentence_count} sentences"
            self._console.note(
                f"stopped: {count} are kept in {self._folder}. The same command goes on with them; "
                "with --partial it writes them."
            )

    def close(self) -> None:
        if self._line:
            self._line.close()


class EventsBookReport:
    """One event per line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._loading = EventsReport(stream)
        self._book: Book | None = None
        self._folder = ""
        self._chapter = -1
        self._left = TimeLeft()

    def loading(self, model: str) -> OnLoading:
        self._loading.loading(model, [])
        return self._loading.progress

    def started(self, book: Book, folder: str) -> None:
        self._book, self._folder, self._left = book, folder, TimeLeft()
        write_event(
            self._stream,
            "book",
            chapters=[chapter.title for chapter in book.chapters],
            sentences=book.sentence_count,
            folder=folder,
        )

    def sentence(self, position: BookPosition) -> None:
        assert self._book
        if position.chapter > self._chapter:
            self._chapter = position.chapter
            title = self._book.chapters[position.chapter].title
            write_event(self._stream, "chapter", chapter=position.chapter + 1, title=title)
        left = self._left.seconds(position)
        write_event(
            self._stream,
            "sentence",
            chapter=position.chapter + 1,
            sentences=position.sentences,
            share=round(position.done / max(1, position.total), 4),
            left_seconds=left and round(left, 1),
        )

    def writing(self, share: float) -> None:
        """Do nothing: it is quick beside the speaking."""

    def done(self, written: WrittenBook, model: str, *, partial: bool) -> None:
        drift = written.drift
        write_event(
            self._stream,
            "done",
            model=model,
            outputs=[str(file) for file in written.files],
            audio_seconds=round(written.seconds, 6),
            partial=partial,
            chapters=[
                {"chapter": start.index + 1, "title": start.title, "start_seconds": round(start.seconds, 6)}
                for start in written.starts
            ],
            loudness_lufs=None if written.lufs is None else round(written.lufs, 2),
            drift_decibels=drift and round(drift.decibels, 2),
            drift_semitones=None if drift is None or drift.semitones is None else round(drift.semitones, 2),
        )

    def failed(self, error: BaseException) -> None:
        message = error.for_command_line if isinstance(error, VoxError) else str(error)
        write_event(
            self._stream,
            "error",
            message=message or "stopped",
            kind=type(error).__name__,
            code=exit_code(error),
            folder=self._folder or None,
        )

    def close(self) -> None:
        """Do nothing: every event has been written already."""
