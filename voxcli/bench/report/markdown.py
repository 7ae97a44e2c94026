"""A bench as Markdown that reads well in an issue."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import fields

from voxcli.bench.measure.metrics import FIRST_BYTE, METRICS
from voxcli.bench.report.compare import Change
from voxcli.bench.report.record import Record, Report, Run
from voxcli.bench.report.statistics import in_words, seconds
from voxcli.bench.report.tables import NONE, Table, all_tables, changes, details, setup_rows

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")


def to_markdown(
    record: Record, report: Report, compared: Sequence[Change] = (), differences: Sequence[str] = (), base: str = ""
) -> str:
    """Write all of it.

    Args:
        compared: what changed since another bench.
        differences: what else has.
        base: the name of the other.
    """
    several = len(record.subjects) > 1
    blocks = ["# voxcli bench", f"**{_plain(report.verdict)}**", *_remarks(report.remarks)]
    for table in all_tables(record, report):
        blocks += [f"## {_plain(table.title)}", _table(table)]
    if compared:
        table = changes(compared, several, f"Compared with {base}")
        blocks += [f"## {_plain(table.title)}", _table(table), *_remarks(differences)]
    setup = Table("", ("", ""), tuple(setup_rows(record)), 2)
    blocks += ["## Measured with", _table(setup), _fenced(record.command)]
    blocks += [f"On {record.created}, in {seconds(record.took_seconds)}."]
    blocks += _folded(
        "What the numbers mean", "\n".join(f"* **{one.title}**: {_plain(one.meaning)}." for one in METRICS)
    )
    if numbers := list(_all_numbers(report, several)):
        blocks += _folded("All numbers", "\n\n".join(numbers))
    blocks += _folded("What was said", _table(_texts(record)))
    blocks += _folded("Every run", _table(_every_run(record, several)))
    return "\n\n".join(blocks) + "\n"


def _remarks(remarks: Sequence[str]) -> list[str]:
    return ["\n".join(f"* {_plain(remark)}" for remark in remarks)] if remarks else []


def _folded(title: str, block: str) -> list[str]:
    return [f"<details><summary>{title}</summary>", block, "</details>"]


def _table(table: Table) -> str:
    rules = [":--" if number < table.names else "--:" for number in range(len(table.columns))]
    rows = [table.columns, rules, *table.rows]
    return "\n".join(f"| {' | '.join(cell if row is rules else _plain(cell) for cell in row)} |" for row in rows)


def _fenced(text: str) -> str:
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}\n{text}\n{fence}"


def _all_numbers(report: Report, several: bool) -> Iterator[str]:
    """Yield a table for each metric that no other table has in full."""
    alone = all(group.level is None for group in report.groups)
    for metric in METRICS:
        table = details(metric, report.groups, several)
        if table.rows and not (alone and metric is FIRST_BYTE):
            yield f"**{_plain(table.title)}**\n\n{_table(table)}"


def _texts(record: Record) -> Table:
    rows = tuple((text.name, str(len(text.text)), text.text) for text in record.texts)
    return Table("", ("text", "characters", "words"), rows, 3)


def _every_run(record: Record, several: bool) -> Table:
    names = ("text", *(("subject",) if several else ()), "mode", "load", "run")
    columns = (*names, *(metric.title for metric in METRICS), "failure")
    return Table("", columns, tuple(_run_row(run, several) for run in record.runs), len(names))


def _run_row(run: Run, several: bool) -> tuple[str, ...]:
    values: Iterator[str] = (in_words(getattr(run, metric.field), metric.unit) for metric in METRICS)
    return (
        run.text,
        *((run.subject,) if several else ()),
        str(run.mode),
        str(run.level) if run.level else NONE,
        f"warm-up {run.number + 1}" if run.warmup else str(run.number + 1),
        *values,
        str(run.failure.fault) if run.failure else "",
    )


def _plain(text: str) -> str:
    """Let no word of the user's or of a server's be read as Markdown."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


_LEFT_OUT = ("level", "arrivals", "failure")
_PLAIN = [field.name for field in fields(Run) if field.name not in _LEFT_OUT]
COLUMNS = (*_PLAIN, "concurrency", "rate", "fault", "message")


def to_csv(record: Record) -> str:
    """Write a row for each run, warm-ups too. What was not measured is empty."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(COLUMNS)
    for run in record.runs:
        level = (run.level.concurrency, run.level.rate) if run.level else (None, None)
        failure = (run.failure.fault, run.failure.message) if run.failure else (None, None)
        writer.writerow([*(getattr(run, name) for name in _PLAIN), *level, *failure])
    return written.getvalue()
