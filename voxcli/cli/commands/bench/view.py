"""Console view of `voxcli bench`: progress, tables and a verdict."""

import io
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.cells import cell_len
from rich.console import Console as RichConsole
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table as RichTable
from rich.text import Text

from voxcli.bench.report.record import Record, Report
from voxcli.bench.report.tables import Table, all_tables, changes, setup_rows
from voxcli.cli.commands.bench.files import Comparison
from voxcli.cli.console import Console, printable, write_lines

_WIDE = 160
"""Columns, if the width is unknown."""
_PADDING = 2
"""Spaces between columns."""
_REDRAW_SECONDS = 1.0
"""Drawing takes a few milliseconds, which would disturb measurements."""


class Meter:
    """A progress bar, drawn by the calling thread only."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=total)
        self._drawn = 0.0

    def begin(self, what: str) -> None:
        """Show the current step."""
        self._progress.update(self._task, description=printable(what))
        self.redraw()

    def advance(self, by: int) -> None:
        self._progress.advance(self._task, by)
        self.redraw()

    def redraw(self) -> None:
        """Draw the bar, at most once per interval."""
        now = time.monotonic()
        if now - self._drawn >= _REDRAW_SECONDS:
            self._drawn = now
            self._progress.refresh()


@contextmanager
def shown_progress(console: Console, total: int) -> Iterator[Meter]:
    """Show progress on standard error if it is a terminal."""
    progress = Progress(
        TextColumn("{task.description}", style="dim", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.percentage:.0f} %", style="dim"),
        TextColumn("·", style="dim"),
        TimeRemainingColumn(compact=True),
        TextColumn("left", style="dim"),
        console=console.rich,
        auto_refresh=False,
        transient=True,
        disable=console.quiet or not console.is_terminal,
    )
    with progress:
        yield Meter(progress, total)


def show_report(
    record: Record, report: Report, compared: Comparison | None, console: Console, *, on_stdout: bool
) -> None:
    """Show tables, remarks and the verdict, on standard output or else on standard error."""
    screen = _new_console(console, on_stdout=on_stdout)
    _print_setup(screen, record)
    several = len(record.subjects) > 1
    for table in all_tables(record, report):
        _print_table(screen, table)
    if compared:
        _print_table(screen, changes(compared.changes, several, f"Compared with {compared.name}"))
        _print_remarks(screen, [f"also different: {difference}" for difference in compared.differences])
    _print_remarks(screen, report.remarks)
    screen.print(Text(printable(report.verdict), "bold"))
    file = screen.file
    if on_stdout and isinstance(file, io.StringIO):
        write_lines([line.rstrip() for line in file.getvalue().splitlines()])


def _new_console(console: Console, *, on_stdout: bool) -> RichConsole:
    if not on_stdout:
        return console.rich
    is_terminal = sys.stdout.isatty()
    return RichConsole(
        file=io.StringIO(),
        force_terminal=is_terminal,
        width=shutil.get_terminal_size((_WIDE, 24)).columns if is_terminal else _WIDE,
        markup=False,
        highlight=False,
        emoji=False,
    )


def _print_setup(screen: RichConsole, record: Record) -> None:
    shown = ("voxcli", "CPU", "GPU", *(subject.name for subject in record.subjects))
    for name, value in setup_rows(record):
        if name in shown:
            screen.print(Text(printable(f"{name}: {value}" if name != "voxcli" else f"voxcli {value}"), "dim"))
    screen.print()


def _print_table(screen: RichConsole, table: Table) -> None:
    """Print a table. Columns that do not fit beside the others follow below, after the names of their rows again."""
    screen.print(Text(printable(table.title), "bold"))
    cells = [(*table.columns,), *table.rows]
    widths = [max(cell_len(printable(row[at])) for row in cells) + _PADDING for at in range(len(table.columns))]
    for columns in _groups(widths, table.names, screen.width + _PADDING):
        drawn = RichTable(box=None, padding=(0, _PADDING, 0, 0), header_style="dim", pad_edge=False)
        for number in columns:
            drawn.add_column(table.columns[number], justify="left" if number < table.names else "right", no_wrap=True)
        before = None
        for row in table.rows:
            first = row[0] if row[0] != before or table.names < 2 else ""
            before = row[0]
            drawn.add_row(*(Text(printable((first, *row[1:])[number])) for number in columns))
        screen.print(drawn)
        screen.print()


def _groups(widths: Sequence[int], names: int, room: int) -> list[list[int]]:
    """Divide the columns into groups that fit, each with the names of the rows."""
    groups: list[list[int]] = []
    used = room + 1
    for number in range(names, len(widths)):
        if used + widths[number] > room:
            groups.append(list(range(names)))
            used = sum(widths[:names])
        groups[-1].append(number)
        used += widths[number]
    return groups or [list(range(names))]


def _print_remarks(screen: RichConsole, remarks: Sequence[str]) -> None:
    for remark in remarks:
        screen.print(Text.assemble(("! ", "yellow"), printable(remark)))
    if remarks:
        screen.print()
