"""Reports on a run: text for people, JSON events for programs, or the text while it is heard."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO, TypeAlias

import typer

from voxcli.cli.console import Console
from voxcli.cli.exits import GracefulShutdown, Terminated, exit_code
from voxcli.cli.options.parameters import on_command_line
from voxcli.cli.reports.text import RunReport, TextReport
from voxcli.errors import VoxError

NewReport: TypeAlias = Callable[[Console, GracefulShutdown | None], RunReport]


def choose_text_report(context: typer.Context, console: Console, *, asked: bool, played: bool) -> NewReport:
    """Return what reports to the user, and shows the text if it is asked to, and if it can be.

    asked: by --highlight.
    """
    given = on_command_line(context, "highlight")
    if not asked or not (played or given):
        return TextReport
    if not played:
        raise typer.BadParameter("--highlight has no effect without --play: with -o, nothing is played.")
    if console.quiet or not console.is_terminal:
        if given:
            console.warning("--highlight shows the text on a terminal only, and not with --quiet or --json.")
        return TextReport
    from voxcli.cli.reports.read_along import ReadAlongReport

    return ReadAlongReport


@contextmanager
def open_report(
    console: Console,
    stream: TextIO | None,
    shutdown: GracefulShutdown | None = None,
    new_report: NewReport = TextReport,
) -> Iterator[RunReport]:
    """Report as text, or as events on `stream` if there is one. Errors then become events too.

    shutdown: tells whether the user has asked to stop.
    """
    if stream:
        from voxcli.cli.reports.events import EventsReport

        report: RunReport = EventsReport(stream)
    else:
        report = new_report(console, shutdown)
    try:
        yield report
    except (VoxError, KeyboardInterrupt, Terminated) as error:
        report.failed(error)
        if stream:
            raise typer.Exit(exit_code(error)) from error
        raise
    finally:
        report.close()
