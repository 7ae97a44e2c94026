"""What a bench shows, as tables of words: the terminal and Markdown draw them, each in its own way."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from voxcli.bench.measure.metrics import AUDIO, FIRST_BYTE, FIRST_SOUND, REAL_TIME_FACTOR, STARVED, TOTAL, Metric
from voxcli.bench.report.compare import SHOWN, Change, find_changes, side_by_side
from voxcli.bench.report.record import Cold, Group, Improvement, Record, Report, Subject
from voxcli.bench.report.statistics import Summary, in_words, percent, ratio, seconds, spread_in_words
from voxcli.bench.report.verdict import never_starved

NONE = "–"
_RESULTS = (FIRST_BYTE, FIRST_SOUND, TOTAL, AUDIO, REAL_TIME_FACTOR)
_SHORT = {REAL_TIME_FACTOR.field: "RTF"}


@dataclass(frozen=True, slots=True)
class Table:
    """Rows below a title. The first columns name the row; what follows are numbers."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    names: int
    """How many columns name the row."""


def all_tables(record: Record, report: Report) -> Iterator[Table]:
    """Yield the tables that have rows, the most important first."""
    alone = [group for group in report.groups if group.level is None]
    load = [group for group in report.groups if group.level is not None]
    several = len(record.subjects) > 1
    tables = (
        _results(alone, several),
        improvements(report.improvements, several),
        against_first(record),
        details(FIRST_BYTE, alone, several),
        load_results(load, several),
        cold_starts(record.cold, record.texts[0].name),
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
    return _table("One by one, medians", (*_names(several), *numbers, "starved", "runs"), rows, len(_names(several)))


def details(metric: Metric, groups: Sequence[Group], several: bool) -> Table:
    """Show all that is known of one number. Percentiles that nobody has are left out."""
    found = [(group, summary) for group in groups if (summary := group.metrics.get(metric.field))]
    tails = [name for name in ("p90", "p95", "p99") if any(getattr(summary, name) is not None for _, summary in found)]
    rows = [
        (
            *_name(group, several),
            in_words(summary.min, metric.unit),
            in_words(summary.median, metric.unit),
            spread_in_words(summary, metric.unit),
            *(in_words(getattr(summary, name), metric.unit) for name in tails),
            in_words(summary.max, metric.unit),
        )
        for group, summary in found
    ]
    names = _names(several, under_load=any(group.level for group, _ in found))
    columns = (*names, "min", "median", "mean ± sd", *tails, "max")
    return _table(f"{metric.title[0].upper()}{metric.title[1:]}", columns, rows, len(names))


def improvements(found: Sequence[Improvement], several: bool) -> Table:
    """Show what streaming is worth."""
    rows = [
        (
            *((one.subject,) if several else ()),
            one.text or "overall",
            seconds(one.whole_seconds),
            seconds(one.stream_seconds),
            seconds(one.seconds),
            f"{one.percent:.1f} %",
        )
        for one in found
    ]
    names = (*(("subject",) if several else ()), "text")
    columns = (*names, "whole", "stream", "sooner by", "that is")
    return _table("How much sooner streaming brings the first byte", columns, rows, len(names))


def load_results(groups: Sequence[Group], several: bool) -> Table:
    """Show how latency grows with load."""
    summaries = [summary for group in groups if (summary := group.metrics.get(FIRST_BYTE.field))]
    tails = [name for name in ("p90", "p95", "p99") if any(getattr(one, name) is not None for one in summaries)]
    rows = [
        (
            str(group.level),
            *((group.subject,) if several else ()),
            str(group.mode),
            *_latencies(group.metrics.get(FIRST_BYTE.field), tails),
            _median(group, TOTAL),
            percent(never_starved(group)),
            NONE if group.audio_per_second is None else f"{ratio(group.audio_per_second)} s/s",
            _runs(group),
        )
        for group in groups
    ]
    names = ("load", *(("subject",) if several else ()), "mode")
    columns = (*names, "first byte", *tails, "max", "total", "never starved", "audio", "runs")
    return _table("Under load", columns, rows, len(names))


def _latencies(summary: Summary | None, tails: Sequence[str]) -> list[str]:
    return [seconds(getattr(summary, name, None)) for name in ("median", *tails, "max")]


def cold_starts(found: Sequence[Cold], text: str) -> Table:
    """Show what a first sound costs where nothing is loaded yet."""
    several = len({one.subject for one in found}) > 1
    rows = [
        (
            *((one.subject,) if several else ()),
            str(sum(before.subject == one.subject for before in found[: number + 1])),
            seconds(one.start_seconds),
            seconds(one.load_seconds),
            seconds(one.first_chunk_seconds),
            seconds(one.first_byte_seconds),
        )
        for number, one in enumerate(found)
    ]
    names = (*(("subject",) if several else ()), "process")
    columns = (*names, "start", "load", "first chunk", "first byte in all")
    return _table(f"Cold: a fresh process of voxcli say, {text}", columns, rows, len(names))


def against_first(record: Record) -> Table:
    """Show how all others do beside the first of several."""
    first = record.subjects[0].name if record.subjects else NONE
    return changes(find_changes(side_by_side(record), SHOWN), True, f"Against {first}", ("the first", "this"))


def changes(found: Sequence[Change], several: bool, title: str, columns: tuple[str, str] = ("before", "now")) -> Table:
    """Show what is different, and whether that is more than chance."""
    rows = [
        (
            *((change.kind.subject,) if several else ()),
            change.kind.text or str(change.kind.level),
            str(change.kind.mode),
            change.metric.title,
            in_words(change.base, change.metric.unit),
            in_words(change.new, change.metric.unit),
            NONE if change.ratio is None else f"{change.ratio:.2f}",
            NONE if change.low is None else f"{change.low:.2f} to {change.high:.2f}",
            change.words,
        )
        for change in found
    ]
    names = (*(("subject",) if several else ()), "text", "mode", "median of")
    return _table(title, (*names, *columns, "ratio", "95 % sure", "that is"), rows, len(names))


def setup_rows(record: Record) -> list[tuple[str, str]]:
    """Say with what it was measured."""
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
        f"a server that speaks {subject.dialect}" if subject.url else "in this process",
        f"model {subject.model}" if subject.model and subject.model != subject.name else None,
        f"revision {subject.revision}" if subject.revision else None,
        f"on {subject.device}" if subject.device else None,
        precision or None,
        f"ready after {seconds(loaded)}" if loaded is not None else None,
        *(_server_says(subject) if subject.url else ()),
    )
    return ", ".join(part for part in parts if part)


def _server_says(subject: Subject) -> Iterator[str]:
    """Pick out of what a server says of itself what makes a difference to speed."""
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
    return in_words(summary.median if summary else None, metric.unit)


def _starved(group: Group) -> str:
    """Say in how many runs a player would have run dry, and for how long at worst."""
    if not group.good:
        return NONE
    if not group.starved:
        return "never"
    return f"{group.starved} of {group.good}, up to {seconds(group.metrics[STARVED.field].max)}"


def _runs(group: Group) -> str:
    return f"{group.good}" if not group.failed else f"{group.good} of {group.good + group.failed}"
