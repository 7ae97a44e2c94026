"""Result tables of a benchmark, as text cells. The terminal and Markdown render them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from voxcli.bench.measure.metrics import AUDIO, FIRST_BYTE, FIRST_SOUND, REAL_TIME_FACTOR, STARVED, TOTAL, Metric
from voxcli.bench.report.compare import DEFAULT_METRICS, Change, find_changes, side_by_side
from voxcli.bench.report.record import Group, Improvement, NewProcess, Record, Report, Subject
from voxcli.bench.report.statistics import (
    Summary,
    format_mean_sd,
    format_percent,
    format_ratio,
    format_seconds,
    format_value,
)
from voxcli.bench.report.verdict import share_without_stalls

NONE = "–"
_RESULTS = (FIRST_BYTE, FIRST_SOUND, TOTAL, AUDIO, REAL_TIME_FACTOR)
_SHORT = {REAL_TIME_FACTOR.field: "RTF"}


@dataclass(frozen=True, slots=True)
class Table:
    """A titled table. The first columns name the row, the others are numbers."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    names: int
    """Number of columns that name the row."""


def all_tables(record: Record, report: Report) -> Iterator[Table]:
    """Yield the tables that are not empty, the most important first."""
    alone = [group for group in report.groups if group.level is None]
    load = [group for group in report.groups if group.level is not None]
    several = len(record.subjects) > 1
    tables = (
        _results(alone, several),
        improvements(report.improvements, several),
        against_first(record),
        details(FIRST_BYTE, alone, several),
        load_results(load, several),
        new_processes(record.cold, f"Cold start: a new process of voxcli say, {record.texts[0].name}"),
        new_processes(record.warm, f"Warm start: a new process of voxcli say, engine loaded, {record.texts[0].name}"),
    )
    yield from (table for table in tables if table.rows)


def _results(groups: Sequence[Group], several: bool) -> Table:
    rows = [
        (
            *_name(group, several),
            *(_median(group, metric) for metric in _RESULTS),
            _starved(group),
            _runs(group),
        )
        for group in groups
    ]
    numbers = [_SHORT.get(metric.field, metric.title) for metric in _RESULTS]
    return _table(
        "Sequential requests, medians", (*_names(several), *numbers, "starved", "runs"), rows, len(_names(several))
    )


def details(metric: Metric, groups: Sequence[Group], several: bool) -> Table:
    """Show all statistics of one metric. Percentiles that no group has are left out."""
    found = [(group, summary) for group in groups if (summary := group.metrics.get(metric.field))]
    tails = [name for name in ("p90", "p95", "p99") if any(getattr(summary, name) is not None for _, summary in found)]
    rows = [
        (
            *_name(group, several),
            format_value(summary.min, metric.unit),
            format_value(summary.median, metric.unit),
            format_mean_sd(summary, metric.unit),
            *(format_value(getattr(summary, name), metric.unit) for name in tails),
            format_value(summary.max, metric.unit),
        )
        for group, summary in found
    ]
    names = _names(several, under_load=any(group.level for group, _ in found))
    columns = (*names, "min", "median", "mean ± sd", *tails, "max")
    return _table(f"{metric.title[0].upper()}{metric.title[1:]}", columns, rows, len(names))


def improvements(found: Sequence[Improvement], several: bool) -> Table:
    """Compare the first byte with streaming and without."""
    rows = [
        (
            *((one.subject,) if several else ()),
            one.text or "overall",
            format_seconds(one.whole_seconds),
            format_seconds(one.stream_seconds),
            format_seconds(one.seconds),
            f"{one.percent:.1f} %",
        )
        for one in found
    ]
    names = (*(("subject",) if several else ()), "text")
    columns = (*names, "whole", "stream", "saved", "percent")
    return _table("First byte: streaming compared with whole audio", columns, rows, len(names))


def load_results(groups: Sequence[Group], several: bool) -> Table:
    """Show latency and throughput by level of load."""
    summaries = [summary for group in groups if (summary := group.metrics.get(FIRST_BYTE.field))]
    tails = [name for name in ("p90", "p95", "p99") if any(getattr(one, name) is not None for one in summaries)]
    rows = [
        (
            str(group.level),
            *((group.subject,) if several else ()),
            str(group.mode),
            *_latencies(group.metrics.get(FIRST_BYTE.field), tails),
            _median(group, TOTAL),
            format_percent(share_without_stalls(group)),
            NONE if group.audio_per_second is None else f"{format_ratio(group.audio_per_second)} s/s",
            _runs(group),
        )
        for group in groups
    ]
    names = ("load", *(("subject",) if several else ()), "mode")
    columns = (*names, "first byte", *tails, "max", "total", "without stalls", "audio", "runs")
    return _table("Under load", columns, rows, len(names))


def _latencies(summary: Summary | None, tails: Sequence[str]) -> list[str]:
    return [format_seconds(getattr(summary, name, None)) for name in ("median", *tails, "max")]


def new_processes(found: Sequence[NewProcess], title: str) -> Table:
    """Show the time from the start of a process, when a user presses Enter, to its first byte of audio."""
    several = len({one.subject for one in found}) > 1
    rows = [
        (
            *((one.subject,) if several else ()),
            str(sum(before.subject == one.subject for before in found[: number + 1])),
            format_seconds(one.start_seconds),
            format_seconds(one.load_seconds),
            format_seconds(one.first_chunk_seconds),
            format_seconds(one.first_byte_seconds),
        )
        for number, one in enumerate(found)
    ]
    names = (*(("subject",) if several else ()), "process")
    columns = (*names, "start", "load", "first chunk", "Enter to first byte")
    return _table(title, columns, rows, len(names))


def against_first(record: Record) -> Table:
    """Compare all further subjects with the first."""
    first = record.subjects[0].name if record.subjects else NONE
    return changes(
        find_changes(side_by_side(record), DEFAULT_METRICS), True, f"Compared with {first}", ("first", "this")
    )


def changes(found: Sequence[Change], several: bool, title: str, columns: tuple[str, str] = ("before", "now")) -> Table:
    """Show changes and their significance."""
    rows = [
        (
            *((change.kind.subject,) if several else ()),
            change.kind.text or str(change.kind.level),
            str(change.kind.mode),
            change.metric.title,
            format_value(change.base, change.metric.unit),
            format_value(change.new, change.metric.unit),
            NONE if change.ratio is None else f"{change.ratio:.2f}",
            NONE if change.low is None else f"{change.low:.2f} to {change.high:.2f}",
            change.description,
        )
        for change in found
    ]
    names = (*(("subject",) if several else ()), "text", "mode", "median of")
    return _table(title, (*names, *columns, "ratio", "95 % interval", "change"), rows, len(names))


def setup_rows(record: Record) -> list[tuple[str, str]]:
    """Return names and values of everything that was measured with."""
    machine, settings = record.machine, record.settings
    torch = f"{machine.torch} with CUDA {machine.cuda}" if machine.cuda else machine.torch
    rows = [
        ("voxcli", machine.voxcli + (f" at {machine.commit}" if machine.commit else "")),
        *((subject.name, _describe(subject)) for subject in record.subjects),
        ("sampling", f"{settings.steps} steps, cfg {settings.guidance:g}, seeds from {settings.seed}"),
        ("voice", settings.voice),
        ("speed", None if settings.speed == 1 else f"{settings.speed:g}"),
        ("CPU", f"{machine.cpu}, {machine.cores} cores"),
        ("GPU", f"{machine.gpu}, driver {machine.driver}" if machine.gpu else None),
        ("PyTorch", torch),
        ("Python", machine.python),
        ("system", machine.system),
    ]
    return [(name, value) for name, value in rows if value]


def _describe(subject: Subject) -> str:
    precision = " ".join(part for part in (subject.dtype, subject.quantize) if part)
    loaded = None if subject.url else subject.load_seconds
    parts = (
        _place(subject),
        f"model {subject.model}" if subject.model and subject.model != subject.name else None,
        f"revision {subject.revision}" if subject.revision else None,
        f"on {subject.device}" if subject.device else None,
        precision or None,
        f"loaded in {format_seconds(loaded)}" if loaded is not None else None,
        *(_server_details(subject) if subject.url else ()),
    )
    return ", ".join(part for part in parts if part)


def _place(subject: Subject) -> str:
    if subject.url:
        return f"a server with the {subject.dialect} protocol"
    return "in the engine that stays loaded" if subject.resident else "in this process"


def _server_details(subject: Subject) -> Iterator[str]:
    """Yield what a server reports about its version, model and device."""
    for document in subject.server.values():
        if isinstance(document, dict):
            for name in ("version", "model", "device", "device_name", "gpu"):
                if isinstance(value := document.get(name), str | int | float):
                    yield f"{name.replace('_', ' ')} {value}"


def _table(title: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]], names: int) -> Table:
    return Table(title, columns, tuple(rows), names)


def _names(several: bool, *, under_load: bool = False) -> tuple[str, ...]:
    return ("load" if under_load else "text", *(("subject",) if several else ()), "mode")


def _name(group: Group, several: bool) -> tuple[str, ...]:
    return (group.text or str(group.level), *((group.subject,) if several else ()), str(group.mode))


def _median(group: Group, metric: Metric) -> str:
    summary = group.metrics.get(metric.field)
    return format_value(summary.median if summary else None, metric.unit)


def _starved(group: Group) -> str:
    """Say in how many runs playback would have stalled, and for how long at most."""
    if not group.good:
        return NONE
    if not group.starved:
        return "never"
    return f"{group.starved} of {group.good}, up to {format_seconds(group.metrics[STARVED.field].max)}"


def _runs(group: Group) -> str:
    return f"{group.good}" if not group.failed else f"{group.good} of {group.good + group.failed}"
