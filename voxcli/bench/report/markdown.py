"""Export of a benchmark: a Markdown report for an issue, and a CSV table of its runs."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import fields

from voxcli.bench.measure.metrics import FIRST_BYTE, METRICS
from voxcli.bench.report.compare import Change
from voxcli.bench.report.record import Record, Report, Run
from voxcli.bench.report.statistics import format_seconds, format_value
from voxcli.bench.report.tables import NONE, Table, all_tables, changes, details, setup_rows

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")
_NESTED_FIELDS = ("level", "arrivals", "failure")
_FLAT_FIELDS = [field.name for field in fields(Run) if field.name not in _NESTED_FIELDS]
COLUMNS = (*_FLAT_FIELDS, "concurrency", "rate", "fault", "message")
"""Columns of the CSV table."""


def to_markdown(
    record: Record, report: Report, compared: Sequence[Change] = (), differences: Sequence[str] = (), base: str = ""
) -> str:
    """Return the full report.

    Args:
        compared: changes since another benchmark.
        differences: other differences from it.
        base: its name.
    """
    several = len(record.subjects) > 1
    blocks = ["# voxcli bench", f"**{_escaped(report.verdict)}**", *_remarks(report.remarks)]
    for table in all_tables(record, report):
        blocks += [f"## {_escaped(table.title)}", _table(table)]
    if compared:
        table = changes(compared, several, f"Compared with {base}")
        blocks += [f"## {_escaped(table.title)}", _table(table), *_remarks(differences)]
    setup = Table("", ("", ""), tuple(setup_rows(record)), 2)
    blocks += ["## Setup", _table(setup), _fenced(record.command)]
    blocks += [f"On {record.created}, in {format_seconds(record.took_seconds)}."]
    blocks += _folded("Metrics", "\n".join(f"* **{one.title}**: {_escaped(one.meaning)}." for one in METRICS))
    if statistics := list(_all_statistics(report, several)):
        blocks += _folded("All statistics", "\n\n".join(statistics))
    blocks += _folded("Texts", _table(_texts(record)))
    blocks += _folded("All runs", _table(_all_runs(record, several)))
    return "\n\n".join(blocks) + "\n"


def _remarks(remarks: Sequence[str]) -> list[str]:
    return ["\n".join(f"* {_escaped(remark)}" for remark in remarks)] if remarks else []


def _folded(title: str, block: str) -> list[str]:
    return [f"<details><summary>{title}</summary>", block, "</details>"]


def _table(table: Table) -> str:
    rules = [":--" if number < table.names else "--:" for number in range(len(table.columns))]
    rows = [table.columns, rules, *table.rows]
    return "\n".join(f"| {' | '.join(cell if row is rules else _escaped(cell) for cell in row)} |" for row in rows)


def _fenced(text: str) -> str:
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}\n{text}\n{fence}"


def _all_statistics(report: Report, several: bool) -> Iterator[str]:
    """Yield a table for each metric, but for those that another table shows in full."""
    alone = all(group.level is None for group in report.groups)
    for metric in METRICS:
        table = details(metric, report.groups, several)
        if table.rows and not (alone and metric is FIRST_BYTE):
            yield f"**{_escaped(table.title)}**\n\n{_table(table)}"


def _texts(record: Record) -> Table:
    rows = tuple((text.name, str(len(text.text)), text.text) for text in record.texts)
    return Table("", ("name", "characters", "text"), rows, 3)


def _all_runs(record: Record, several: bool) -> Table:
    names = ("text", *(("subject",) if several else ()), "mode", "load", "run")
    columns = (*names, *(metric.title for metric in METRICS), "failure")
    return Table("", columns, tuple(_run_row(run, several) for run in record.runs), len(names))


def _run_row(run: Run, several: bool) -> tuple[str, ...]:
    values: Iterator[str] = (format_value(getattr(run, metric.field), metric.unit) for metric in METRICS)
    return (
        run.text,
        *((run.subject,) if several else ()),
        str(run.mode),
        str(run.level) if run.level else NONE,
        f"warm-up {run.number + 1}" if run.warmup else str(run.number + 1),
        *values,
        str(run.failure.fault) if run.failure else "",
    )


def _escaped(text: str) -> str:
    """Escape text of the user or a server, so that it is not rendered as Markdown."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def to_csv(record: Record) -> str:
    """Return a row for each run, warm-ups included. Missing values are empty."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(COLUMNS)
    for run in record.runs:
        level = (run.level.concurrency, run.level.rate) if run.level else (None, None)
        failure = (run.failure.fault, run.failure.message) if run.failure else (None, None)
        writer.writerow([*(getattr(run, name) for name in _FLAT_FIELDS), *level, *failure])
    return written.getvalue()
