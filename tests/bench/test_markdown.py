"""A bench as Markdown and as CSV."""

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.bench.scripted import WORDS, Clock, Scripted, Step, even, measure
from voxcli.bench.measure.plan import Mode, Text
from voxcli.bench.report.compare import DEFAULT_METRICS, find_changes, find_differences, find_pairs
from voxcli.bench.report.markdown import COLUMNS, to_csv, to_markdown
from voxcli.bench.report.record import NewProcess, Record
from voxcli.bench.report.verdict import build_report
from voxcli.errors import RemoteRefused, VoxError

GOLDEN = Path(__file__).with_name("golden.md")


def some_record() -> Record:
    clock = Clock()
    texts = [Text("short", WORDS), Text("a|b *c*", WORDS * 3)]
    refused: list[Step | VoxError] = [RemoteRefused("http://a rejected the request (404): <b>Not | Found</b>", 404)]
    scripts: list[Sequence[Step | VoxError]] = [
        *[even(0.080 + 0.001 * number, 0.1, 5) for number in range(22)],
        refused,
        even(0.3, 0.6, 5),
    ]
    record = measure(clock, {"model": Scripted(clock, scripts)}, texts=texts, runs=5, warmup=1)
    cold = NewProcess(subject="model", start_seconds=0.21, load_seconds=1.5, first_chunk_seconds=0.125)
    return replace(record, cold=(cold,))


def test_it_reads_as_it_always_did() -> None:
    """After a change that is meant: look at what it writes now, then put that into the file."""
    record = some_record()
    assert to_markdown(record, build_report(record)) == GOLDEN.read_text("utf-8")


def test_words_of_others_are_never_read_as_markdown() -> None:
    written = to_markdown(some_record(), build_report(some_record()))
    rows = [line for line in written.splitlines() if line.startswith("|")]
    assert "a\\|b \\*c\\*" in written
    assert "<b>" not in written
    blocks: list[set[int]] = []
    for line in written.splitlines():
        if not line.startswith("|"):
            blocks.append(set())
        else:
            blocks[-1].add(line.replace("\\|", "").count("|"))
    assert len(rows) > 20
    assert all(len(columns) <= 1 for columns in blocks)


def test_what_has_changed_stands_in_it() -> None:
    base = some_record()
    new = replace(base, machine=replace(base.machine, gpu="Slow 1"))
    changes = find_changes(find_pairs(base, new), DEFAULT_METRICS)
    written = to_markdown(new, build_report(new), changes, list(find_differences(base, new)), "base")
    assert "## Compared with base" in written
    assert "no difference" in written
    assert "* gpu: Fast 9000 → Slow 1" in written


def test_csv_has_a_row_for_every_run_with_all_that_was_measured() -> None:
    record = some_record()
    rows = list(csv.DictReader(io.StringIO(to_csv(record))))
    assert len(rows) == len(record.runs)
    assert list(rows[0]) == list(COLUMNS)
    for row, run in zip(rows, record.runs, strict=True):
        assert row["text"] == run.text
        assert row["mode"] in list(Mode)
        assert row["total_seconds"] == str(run.total_seconds)
        assert row["fault"] == (run.failure.fault if run.failure else "")
