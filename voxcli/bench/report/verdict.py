"""The sentence that somebody reads who reads nothing else."""

from collections.abc import Sequence

from voxcli.bench.measure.metrics import FIRST_BYTE, REAL_TIME_FACTOR, Metric
from voxcli.bench.measure.plan import Mode
from voxcli.bench.report.compare import Change, find_changes, side_by_side
from voxcli.bench.report.record import Group, Improvement, Record, Report
from voxcli.bench.report.statistics import percent, ratio, seconds
from voxcli.bench.report.summary import by_kind, find_improvements, find_remarks, summarize_group

NEVER_STARVED = 0.99
"""Of all streams: what a level of load must reach to be one that is borne."""


def build_report(record: Record) -> Report:
    """Draw all conclusions from what was measured."""
    groups = [summarize_group(kind, runs) for kind, runs in by_kind(record).items()]
    improvements = find_improvements(groups)
    return Report(
        verdict=_verdict(record, groups, improvements),
        groups=tuple(groups),
        improvements=tuple(improvements),
        remarks=tuple(find_remarks(record, groups)),
    )


def never_starved(group: Group) -> float:
    """Return the share of all streams that came well and without a gap."""
    return (group.good - group.starved) / (group.good + group.failed)


def highest_borne(groups: Sequence[Group], subject: str) -> Group | None:
    """Find the highest level of load at which almost no stream starves, with none below at which some do.

    If there are levels of both kinds, those count that say how many streams there are at once.
    """
    streams = [group for group in groups if group.subject == subject and group.mode is Mode.STREAM and group.level]
    at_once = [group for group in streams if group.level and group.level.concurrency]
    borne = None
    for group in at_once or streams:
        if never_starved(group) < NEVER_STARVED:
            break
        borne = group
    return borne


def _verdict(record: Record, groups: Sequence[Group], improvements: Sequence[Improvement]) -> str:
    failed = sum(group.failed for group in groups)
    runs = failed + sum(group.good for group in groups)
    if not runs:
        return "Only cold starts were measured." if record.cold else "Nothing was measured."
    if failed == runs:
        return f"Nothing could be measured: all {runs} runs failed."
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
        clauses.append(f"{failed} of {runs} runs failed and {'does' if failed == 1 else 'do'} not count")
    sentence = "; ".join(clauses)
    return f"{sentence}." if len(subjects) > 1 else f"{sentence[0].upper()}{sentence[1:]}."


def _alone_clause(good: Sequence[Group], improvements: Sequence[Improvement]) -> str:
    streams = [group for group in good if group.mode is Mode.STREAM]
    if improvements:
        one = improvements[-1]
        change = "sooner" if one.seconds >= 0 else "later"
        first = (
            f"streaming brings the first byte after {seconds(one.stream_seconds)} instead of "
            f"{seconds(one.whole_seconds)} ({abs(one.percent):.0f} % {change})"
        )
    else:
        medians = [group.metrics[FIRST_BYTE.field].median for group in streams or good]
        ends = dict.fromkeys(map(seconds, (min(medians), max(medians))))
        first = f"the first byte {'' if streams else 'of the whole '}comes after {' to '.join(ends)}"
    parts = [first, _speed(_mean(good, REAL_TIME_FACTOR)), *([_starving(streams)] if streams else [])]
    return f"{', '.join(parts[:-1])}, and {parts[-1]}"


def _side_by_side_clause(record: Record, good: Sequence[Group], subjects: Sequence[str]) -> str:
    """Name everybody in turn, each beside the first."""
    streams = [group for group in good if group.mode is Mode.STREAM]
    mode = Mode.STREAM if streams else Mode.WHOLE
    changes = [one for one in find_changes(side_by_side(record), [FIRST_BYTE]) if one.kind.mode is mode]
    firsts = {
        subject: [group for group in good if group.subject == subject and group.mode is mode] for subject in subjects
    }
    parts = []
    for subject, found in firsts.items():
        words = seconds(_mean(found, FIRST_BYTE)) if found else "never"
        own = [change for change in changes if change.kind.subject == subject]
        parts.append(f"{subject} after {words}{_beside(own)}")
    parts[0] = parts[0].replace(" after ", " brings the first byte after ", 1)
    ending = f", and {_starving(streams)}" if streams else ""
    return ", ".join(parts) + ending


def _beside(changes: Sequence[Change]) -> str:
    ratios = [change.ratio for change in changes if change.ratio is not None]
    if not ratios or any(change.low is None for change in changes):
        return ""
    ratio = sum(ratios) / len(ratios)
    if all(change.words == "no difference" for change in changes):
        return " (no difference)"
    if all(change.is_certain and (one > 1) == (ratio > 1) for change, one in zip(changes, ratios, strict=True)):
        return f" ({abs(100 * (ratio - 1)):.0f} % {'later' if ratio > 1 else 'sooner'})"
    return ""


def _mean(groups: Sequence[Group], metric: Metric) -> float:
    """Return the mean of the medians."""
    medians = [group.metrics[metric.field].median for group in groups]
    return sum(medians) / len(medians)


def _speed(factor: float) -> str:
    if factor <= 0:
        return "speech is made at once"
    if factor <= 1:
        return f"speech is made {ratio(1 / factor)} times as fast as it is spoken"
    return f"speech takes {ratio(factor)} times as long to make as to say"


def _starving(streams: Sequence[Group]) -> str:
    starved, good = sum(group.starved for group in streams), sum(group.good for group in streams)
    if not starved:
        return "no player would run dry"
    return f"a player would run dry in {starved} of {good} runs"


def _load_clause(groups: Sequence[Group], subject: str) -> str:
    own = [group for group in groups if group.subject == subject]
    streams = [group for group in own if group.mode is Mode.STREAM]
    borne = highest_borne(groups, subject)
    shown = borne or (streams or own)[0]
    first = shown.metrics.get(FIRST_BYTE.field)
    numbers = (
        f"the first byte comes after {seconds(first.median if first else None)} and "
        f"{ratio(shown.audio_per_second or 0)} s of audio are made per second"
    )
    if not streams:
        return f"with {shown.level} {numbers}"
    if borne is None:
        end = "run dry or fail" if shown.failed else "run dry"
        return f"with {shown.level} already {percent(1 - never_starved(shown))} of the streams {end}; {numbers}"
    more = "" if _is_highest(borne, streams) else ", and no more than that"
    return f"up to {borne.level}{more}, at least 99 % of the streams never run dry; then {numbers}"


def _is_highest(group: Group, streams: Sequence[Group]) -> bool:
    """Tell whether no more was tried of the same kind."""
    return group is [one for one in streams if _is_rate(one) is _is_rate(group)][-1]


def _is_rate(group: Group) -> bool:
    return bool(group.level and group.level.rate)
