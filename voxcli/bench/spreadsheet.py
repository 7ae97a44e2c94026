"""Every run of a bench as CSV, for spreadsheets and data frames."""

import csv
import io
from dataclasses import fields

from voxcli.bench.record import Record, Run

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
