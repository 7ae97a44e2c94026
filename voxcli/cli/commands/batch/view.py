"""Reports of `voxcli batch`: a line that moves, and notes for people; or events for programs."""

import time
from collections.abc import Sequence
from typing import TextIO, TypeAlias

from voxcli.batch.rows import RowResult, Way
from voxcli.cli.commands.batch.checking import Checked
from voxcli.cli.console import Console
from voxcli.cli.exits import GracefulShutdown, exit_code
from voxcli.cli.reports.events import write_event
from voxcli.cli.run_summary import described_speed
from voxcli.cli.status_line import StatusLine
from voxcli.synthesis.loading import OnLoading

_MOST_SHOWN = 20
"""Mistakes, and rows that failed."""


class Progress:
    """How far the rows of a list are."""

    def __init__(self, checked: Checked) -> None:
        self.rows = checked.rows
        self.counts = dict.fromkeys(Way, 0)
        self.seconds = 0.0
        """Of sound in all files that are there."""
        self.made_seconds = 0.0
        """Of sound that was made in this run, with that of rows under way."""
        self.failed_rows: set[int] = set()
        self._estimated = checked.seconds
        self._estimated_done = self._estimated_made = self._ended_seconds = 0.0
        self._began = time.perf_counter()

    def note(self, result: RowResult) -> None:
        row = result.row
        again = row.number in self.failed_rows
        self.failed_rows.discard(row.number)
        if again:
            self.counts[Way.FAILED] -= 1
        self.counts[result.way] += 1
        if result.way is Way.FAILED:
            self.failed_rows.add(row.number)
        self.seconds += result.seconds
        estimated = row.estimated_seconds
        self._estimated_done += 0.0 if again else estimated
        if result.way is Way.MADE:
            self._estimated_made += estimated
            self._ended_seconds += result.seconds

    @property
    def done(self) -> int:
        return sum(self.counts.values())

    @property
    def took(self) -> float:
        return time.perf_counter() - self._began

    @property
    def speed(self) -> float | None:
        """Seconds of sound in a second."""
        return self.made_seconds / self.took if self.made_seconds and self.took else None

    @property
    def left(self) -> float | None:
        """Seconds until the end, estimated."""
        if not self.speed or not self._estimated_made:
            return None
        longer = self._ended_seconds / self._estimated_made
        under_way = max(0.0, self.made_seconds - self._ended_seconds)
        return max(0.0, (self._estimated - self._estimated_done) * longer - under_way) / self.speed


class TextBatchReport:
    """For people."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._line: StatusLine | None = None
        self._failures = 0

    def checking(self, rows: int) -> None:
        self._show(f"checking the list: {rows} rows")

    def checked(self, checked: Checked, name: str, unknown: Sequence[str]) -> None:
        self.close()
        if unknown:
            self._console.note(f"columns that are only for names of files: {', '.join(unknown)}")
        for mistake in checked.mistakes[:_MOST_SHOWN]:
            self._console.error(f"{name}, {mistake}" if mistake.line else f"{name}: {mistake}")
        more = len(checked.mistakes[_MOST_SHOWN:]) + checked.more_mistakes
        if more:
            self._console.error(f"{more} more. --json lists them.")

    def loading(self, model: str) -> OnLoading:
        from voxcli.cli.status_line import noted_loading

        if not self._shown:
            return noted_loading(self._console, model)
        self._line = self._line or StatusLine(self._console)
        self._line.load(model)
        return self._line.progress

    def started(self, shutdown: GracefulShutdown) -> None:
        self.close()
        if self._shown:
            self._line = StatusLine(self._console, shutdown)

    def progress(self, progress: Progress) -> None:
        self._show(" · ".join(progress_parts(progress)))

    def row(self, result: RowResult) -> None:
        if result.way is not Way.FAILED or result.error is None:
            return
        self._failures += 1
        if self._failures <= _MOST_SHOWN:
            row = result.row
            self._console.warning(f"line {row.line}, {row.file}: {result.error.for_command_line}")
        elif self._failures == _MOST_SHOWN + 1:
            self._console.warning("More rows fail; --json lists them.")

    def done(self, progress: Progress, folder: str, notes: Sequence[str]) -> None:
        self.close()
        self._console.note_phrases(summary_phrases(progress, folder))
        for note in notes:
            self._console.note(note)

    def close(self) -> None:
        if self._line:
            self._line.close()
            self._line = None

    @property
    def _shown(self) -> bool:
        return self._console.is_terminal and not self._console.quiet

    def _show(self, text: str) -> None:
        if self._line is None and self._shown:
            self._line = StatusLine(self._console)
        if self._line:
            self._line.show(text)


class EventsBatchReport:
    """For programs: one event a line, rows as they come."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def checking(self, rows: int) -> None:
        """Do nothing: the result of the check comes."""

    def checked(self, checked: Checked, name: str, unknown: Sequence[str]) -> None:
        for mistake in checked.mistakes:
            write_event(self._stream, "mistake", **mistake.fields)
        write_event(
            self._stream,
            "checked",
            list=name,
            rows=checked.rows,
            mistakes=len(checked.mistakes) + checked.more_mistakes,
            characters=checked.characters,
            estimated_audio_seconds=round(checked.seconds, 1),
            unused_columns=[*unknown],
        )

    def loading(self, model: str) -> OnLoading:
        write_event(self._stream, "loading", model=model)
        return lambda progress: None

    def started(self, shutdown: GracefulShutdown) -> None:
        """Do nothing: the rows tell."""

    def progress(self, progress: Progress) -> None:
        """Do nothing: the rows tell."""

    def row(self, result: RowResult) -> None:
        row, error = result.row, result.error
        failure = {}
        if error:
            failure = {"message": error.for_command_line, "kind": type(error).__name__, "code": int(exit_code(error))}
        write_event(
            self._stream,
            "row",
            row=row.number,
            line=row.line,
            **({"id": row.id} if row.id else {}),
            state=result.way,
            files=[output.file for output in row.outputs],
            audio_seconds=round(result.seconds, 6),
            **failure,
        )

    def done(self, progress: Progress, folder: str, notes: Sequence[str]) -> None:
        write_event(
            self._stream,
            "done",
            folder=folder,
            rows=progress.rows,
            **progress.counts,
            audio_seconds=round(progress.seconds, 3),
            made_seconds=round(progress.made_seconds, 3),
            seconds=round(progress.took, 3),
            speed=None if progress.speed is None else round(progress.speed, 3),
        )

    def close(self) -> None:
        """Do nothing: every event has been written already."""


BatchReport: TypeAlias = TextBatchReport | EventsBatchReport
"""Receives what happens to a list."""


def progress_parts(progress: Progress) -> list[str]:
    """Return how far the rows are, the most important first, for a line that may be cut."""
    parts = [f"{progress.done} of {progress.rows} rows"]
    if failed := progress.counts[Way.FAILED]:
        parts.append(f"{failed} failed")
    if (left := progress.left) is not None:
        parts.append(f"{long_duration(left)} left")
    if progress.made_seconds:
        parts.append(f"{long_duration(progress.made_seconds)} of audio")
    if progress.speed:
        parts.append(f"{progress.speed:.1f}×")
    return parts


def summary_phrases(progress: Progress, folder: str) -> list[str]:
    """Return what became of the rows, as phrases of one line."""
    counts = progress.counts
    facts = [folder, f"{counts[Way.MADE]} of {progress.rows} rows made"]
    facts += [f"{counts[way]} {way}" for way in (Way.COPIED, Way.KEPT, Way.FAILED) if counts[way]]
    if missing := progress.rows - progress.done:
        facts.append(f"{missing} not begun or not complete")
    facts.append(f"{long_duration(progress.seconds)} of audio")
    if progress.speed:
        facts.append(described_speed(progress.speed))
    facts.append(long_duration(progress.took))
    return [*(f"{fact} ·" for fact in facts[:-1]), facts[-1]]


def check_phrases(checked: Checked, name: str, speed: object = None) -> list[str]:
    """Return what a list has that is all right, as phrases of one line.

    speed: seconds of sound in a second, as in the last run, if there was one.
    """
    facts = [name, "all rows can be spoken", f"{checked.rows} rows", f"{checked.characters:,} characters"]
    facts.append(f"about {long_duration(checked.seconds)} of audio")
    if isinstance(speed, float) and speed > 0:
        facts.append(f"about {long_duration(checked.seconds / speed)} to make at the speed of before")
    return [*(f"{fact} ·" for fact in facts[:-1]), facts[-1]]


def long_duration(seconds: float) -> str:
    """Return a duration such as "8.2 s", "12 min" or "3.4 h"."""
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = seconds / 60
    if minutes < 90:
        return f"{minutes:.1f} min" if minutes < 10 else f"{minutes:.0f} min"
    return f"{minutes / 60:.1f} h"
