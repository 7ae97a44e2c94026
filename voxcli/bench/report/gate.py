"""Failure conditions of a benchmark, such as "ttfb_p50>10%"."""

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from voxcli.bench.measure.metrics import METRICS, Metric, Unit
from voxcli.bench.report.compare import Change, find_changes, find_pairs
from voxcli.bench.report.record import Group, Record
from voxcli.bench.report.statistics import STATISTICS, format_value, minimum_runs
from voxcli.bench.report.summary import GroupKey, group_runs, summarize_group, valid_values
from voxcli.errors import RequestError, did_you_mean

_GRAMMAR = re.compile(
    r"\s*(?P<metric>[a-z_]+?)(?:_(?P<statistic>min|p50|median|mean|sd|p90|p95|p99|max))?"
    r"\s*(?P<sign>>=|<=|>|<)\s*(?P<limit>-?\d+(?:\.\d+)?)\s*(?P<unit>%|ms|s)?\s*"
)
_SIGNS: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_FAILED = "failed"
_BY_NAME: dict[str, Metric] = {name: metric for metric in METRICS for name in (metric.short, metric.field)}


@dataclass(frozen=True, slots=True, kw_only=True)
class FailCondition:
    """A condition under which a benchmark fails."""

    text: str
    """As the user wrote it."""
    metric: Metric | None
    """None for the number of failed runs."""
    statistic: str
    compare: Callable[[float, float], bool]
    limit: float
    """In the unit of the metric, or relative to the base."""
    relative: bool


def parse_condition(text: str) -> FailCondition:
    """Parse a condition.

    Raises:
        RequestError: it is not valid; the message shows the syntax.
    """
    found = _GRAMMAR.fullmatch(text)
    if not found:
        raise RequestError(
            f"Not a condition: {text!r}. Examples: 'ttfb_p50>10%' (of another benchmark), 'ttfb_p95>200ms', "
            "'rtf_mean>0.5', 'starved_max>0s', 'failed>0'.",
            on_command_line="Name the other benchmark with --compare.",
        )
    name, unit, limit = found["metric"], found["unit"], float(found["limit"])
    metric = _BY_NAME.get(name)
    if metric is None and name != _FAILED:
        known = [*(metric.short for metric in METRICS), _FAILED]
        near = did_you_mean(name, known)
        raise RequestError(f"Unknown metric {name!r}.{near} Metrics: {', '.join(known)}.")
    takes_seconds = metric is not None and metric.unit is Unit.SECONDS
    if unit in ("s", "ms") and not takes_seconds:
        raise RequestError(f"Invalid unit in {text!r}: {name} is not a time.")
    if metric is None and (unit or found["statistic"]):
        raise RequestError(f"Invalid condition {text!r}: {_FAILED} is a number of runs, as in 'failed>0'.")
    if takes_seconds and unit is None and limit:
        raise RequestError(f"Missing unit in {text!r}: s, ms or %.")
    return FailCondition(
        text=text.strip(),
        metric=metric,
        statistic=(found["statistic"] or "p50").replace("median", "p50"),
        compare=_SIGNS[found["sign"]],
        limit=limit / {"ms": 1000, "%": 100}.get(unit or "", 1),
        relative=unit == "%",
    )


def check_conditions(conditions: Sequence[FailCondition], runs: int, *, compares: bool) -> None:
    """Refuse conditions that the planned benchmark cannot decide.

    Args:
        runs: number in the smallest group.
        compares: whether there is another benchmark to compare with.

    Raises:
        RequestError: names the condition and what to change.
    """
    for condition in conditions:
        least = minimum_runs(condition.statistic)
        if condition.metric and runs < least:
            raise RequestError(
                f"{condition.text!r} needs {least} runs, but only {runs} are planned.", on_command_line="Raise --runs."
            )
        if condition.relative and not compares:
            raise RequestError(
                f"{condition.text!r} is relative: it needs another benchmark to compare with.",
                on_command_line="Choose it by --compare.",
            )


def find_breaches(conditions: Sequence[FailCondition], record: Record, base: Record | None) -> list[str]:
    """Return a line for each condition that is met, with the group and the value.

    A change counts if it is significant, or if there are too few runs to decide that. A group without a valid run
    meets every condition.
    """
    breaches: list[str] = []
    for condition in conditions:
        if condition.relative:
            breaches += _breaches_by_change(condition, record, base)
        else:
            breaches += _breaches_by_value(condition, record)
    return breaches


def _breaches_by_value(condition: FailCondition, record: Record) -> list[str]:
    found = []
    for kind, runs in group_runs(record).items():
        group = summarize_group(kind, runs)
        value = _value(condition, group, valid_values(runs, condition.metric.field) if condition.metric else [])
        if value is None or condition.compare(value, condition.limit):
            unit = condition.metric.unit if condition.metric else Unit.NONE
            found.append(f"{condition.text}: {name_of(kind)}: {format_value(value, unit)}")
    return found


def _value(condition: FailCondition, group: Group, values: Sequence[float]) -> float | None:
    if condition.metric is None:
        return float(group.failed)
    return float(STATISTICS[condition.statistic](values)) if values else None  # type: ignore[arg-type]


def _breaches_by_change(condition: FailCondition, record: Record, base: Record | None) -> list[str]:
    if base is None or condition.metric is None:
        return []
    pairs = find_pairs(base, record)
    if not pairs:
        return [f"{condition.text}: the two benchmarks have no text in common"]
    empty = [pair.kind for pair in pairs if not valid_values(pair.new, condition.metric.field)]
    changes = find_changes(pairs, [condition.metric], condition.statistic)
    return [f"{condition.text}: {name_of(kind)}: –" for kind in empty] + [
        f"{condition.text}: {name_of(change.kind)}: {format_value(change.base, change.metric.unit)} → "
        f"{format_value(change.new, change.metric.unit)} ({change.description})"
        for change in changes
        if _counts(change) and condition.compare(_relative_change(change), condition.limit)
    ]


def _counts(change: Change) -> bool:
    return change.is_significant or change.low is None


def _relative_change(change: Change) -> float:
    """Return the relative change, infinity if the base was zero."""
    if change.ratio is None:
        return math.inf if change.new > 0 else 0.0
    return change.ratio - 1


def name_of(kind: GroupKey) -> str:
    """Return a group's name on one line."""
    return ", ".join(str(part) for part in (kind.subject, kind.text, kind.mode, kind.level) if part is not None)
