"""Verdict: the result of a benchmark in one sentence."""

from collections.abc import Sequence
from statistics import median

from voxcli.bench.measure.metrics import FIRST_BYTE, REAL_TIME_FACTOR, Metric
from voxcli.bench.measure.plan import Mode
from voxcli.bench.report.compare import Change, find_changes, side_by_side
from voxcli.bench.report.record import Group, Improvement, Record, Report
from voxcli.bench.report.statistics import format_percent, format_ratio, format_seconds
from voxcli.bench.report.summary import find_improvements, find_remarks, group_runs, summarize_group

_SUSTAINED_SHARE = 0.99
"""Share of streams that must not stall at a level of load that counts as sustained."""


def build_report(record: Record) -> Report:
    """Derive the report from a record."""
    groups = [summarize_group(kind, runs) for kind, runs in group_runs(record).items()]
    improvements = find_improvements(groups)
    return Report(
        verdict=_verdict(record, groups, improvements),
        groups=tuple(groups),
        improvements=tuple(improvements),
        remarks=tuple(find_remarks(record, groups)),
    )


def share_without_stalls(group: Group) -> float:
    """Return the share of all streams that succeeded without a stall."""
    return (group.good - group.starved) / (group.good + group.failed)


def highest_sustained(groups: Sequence[Group], subject: str) -> Group | None:
    """Return the highest level of load up to which almost no stream stalls; None if already the lowest is too high.

    If both concurrencies and rates were tested, only the concurrencies are considered.
    """
    streams = [group for group in groups if group.subject == subject and group.mode is Mode.STREAM and group.level]
    at_once = [group for group in streams if group.level and group.level.concurrency]
    sustained = None
    for group in at_once or streams:
        if share_without_stalls(group) < _SUSTAINED_SHARE:
            break
        sustained = group
    return sustained


def _verdict(record: Record, groups: Sequence[Group], improvements: Sequence[Improvement]) -> str:
    failed = sum(group.failed for group in groups)
    runs = failed + sum(group.good for group in groups)
    if not runs:
        return _only_processes(record)
    if failed == runs:
        return f"No result: all {runs} runs failed."
    good = [group for group in groups if group.good]
    subjects = list(dict.fromkeys(group.subject for group in good))
    if good[0].level:
        several = len(subjects) > 1
        clauses = [(f"{subject}: " if several else "") + _load_clause(groups, subject) for subject in subjects]
    elif len(subjects) > 1:
        clauses = [_side_by_side_clause(record, good, subjects)]
    else:
        clauses = [_alone_clause(good, improvements)]
    if failed:
        clauses.append(f"{failed} of {runs} runs failed and {'is' if failed == 1 else 'are'} not included")
    if (record.cold or record.warm) and len(subjects) == 1:
        clauses.append(_enter_clause(record))
    sentence = "; ".join(clauses)
    starts_with_name = len(subjects) > 1 and good[0].level
    return f"{sentence}." if starts_with_name else f"{sentence[0].upper()}{sentence[1:]}."


def _only_processes(record: Record) -> str:
    kinds = [name for name, found in (("cold", record.cold), ("warm", record.warm)) if found]
    return f"Only {' and '.join(kinds)} starts were measured." if kinds else "Nothing was measured."


def _enter_clause(record: Record) -> str:
    """Return the median time from Enter to the first byte of new processes."""
    times = [
        f"{format_seconds(median(one.first_byte_seconds for one in found))} {words}"
        for words, found in (("with a cold start", record.cold), ("with the engine loaded", record.warm))
        if found
    ]
    return f"from Enter to the first byte of a new process it takes {' and '.join(times)}"


def _alone_clause(good: Sequence[Group], improvements: Sequence[Improvement]) -> str:
    streams = [group for group in good if group.mode is Mode.STREAM]
    if improvements:
        one = improvements[-1]
        change = "sooner" if one.seconds >= 0 else "later"
        first = (
            f"with streaming the first byte arrives after {format_seconds(one.stream_seconds)} instead of "
            f"{format_seconds(one.whole_seconds)} ({abs(one.percent):.0f} % {change})"
        )
    else:
        medians = [group.metrics[FIRST_BYTE.field].median for group in streams or good]
        ends = dict.fromkeys(map(format_seconds, (min(medians), max(medians))))
        first = f"the first byte {'' if streams else 'of the whole audio '}arrives after {' to '.join(ends)}"
    parts = [first, _speed(_mean(good, REAL_TIME_FACTOR)), *([_stalls(streams)] if streams else [])]
    return f"{', '.join(parts[:-1])}, and {parts[-1]}"


def _side_by_side_clause(record: Record, good: Sequence[Group], subjects: Sequence[str]) -> str:
    """Name all subjects in turn, each compared with the first."""
    streams = [group for group in good if group.mode is Mode.STREAM]
    mode = Mode.STREAM if streams else Mode.WHOLE
    changes = [one for one in find_changes(side_by_side(record), [FIRST_BYTE]) if one.kind.mode is mode]
    firsts = {
        subject: [group for group in good if group.subject == subject and group.mode is mode] for subject in subjects
    }
    parts = []
    for subject, found in firsts.items():
        time = f"after {format_seconds(_mean(found, FIRST_BYTE))}" if found else "never"
        own = [change for change in changes if change.kind.subject == subject]
        parts.append(f"{subject} {time}{_comparison(own)}")
    ending = f"; {_stalls(streams)}" if streams else ""
    return f"first byte: {', '.join(parts)}{ending}"


def _comparison(changes: Sequence[Change]) -> str:
    ratios = [change.ratio for change in changes if change.ratio is not None]
    if not ratios or any(change.low is None for change in changes):
        return ""
    ratio = sum(ratios) / len(ratios)
    if all(change.description == "no difference" for change in changes):
        return " (no difference)"
    if all(change.is_significant and (one > 1) == (ratio > 1) for change, one in zip(changes, ratios, strict=True)):
        return f" ({abs(100 * (ratio - 1)):.0f} % {'later' if ratio > 1 else 'sooner'})"
    return ""


def _mean(groups: Sequence[Group], metric: Metric) -> float:
    """Return the mean of the medians."""
    medians = [group.metrics[metric.field].median for group in groups]
    return sum(medians) / len(medians)


def _speed(factor: float) -> str:
    if factor <= 0:
        return "generation takes no measurable time"
    if factor <= 1:
        return f"generation is {format_ratio(1 / factor)} times as fast as real time"
    return f"generation takes {format_ratio(factor)} times as long as playback"


def _stalls(streams: Sequence[Group]) -> str:
    starved, good = sum(group.starved for group in streams), sum(group.good for group in streams)
    if not starved:
        return "playback never stalls"
    return f"playback would stall in {starved} of {good} runs"


def _load_clause(groups: Sequence[Group], subject: str) -> str:
    own = [group for group in groups if group.subject == subject]
    streams = [group for group in own if group.mode is Mode.STREAM]
    sustained = highest_sustained(groups, subject)
    shown = sustained or (streams or own)[0]
    first = shown.metrics.get(FIRST_BYTE.field)
    numbers = (
        f"the first byte arrives after {format_seconds(first.median if first else None)} and "
        f"{format_ratio(shown.audio_per_second or 0)} s of audio are generated per second"
    )
    if not streams:
        return f"with {shown.level} {numbers}"
    if sustained is None:
        share = format_percent(1 - share_without_stalls(shown))
        return f"already with {shown.level}, {share} of the streams stall{' or fail' * bool(shown.failed)}; {numbers}"
    limit = "" if _is_highest(sustained, streams) else ", but not more"
    return f"up to {sustained.level}{limit}, at least 99 % of the streams never stall; at that load {numbers}"


def _is_highest(group: Group, streams: Sequence[Group]) -> bool:
    """Whether no higher load of the same kind was tested."""
    return group is [one for one in streams if _is_rate(one) is _is_rate(group)][-1]


def _is_rate(group: Group) -> bool:
    return bool(group.level and group.level.rate)
