"""Conditions under which a bench shall fail, as in "ttfb_p50>10%"."""

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from voxcli.bench.measure.metrics import METRICS, Metric, Unit
from voxcli.bench.report.compare import Change, find_changes, find_pairs
from voxcli.bench.report.record import Group, Record
from voxcli.bench.report.statistics import STATISTICS, in_words, least_runs
from voxcli.bench.report.summary import Kind, by_kind, good_values, summarize_group
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
class Condition:
    """What must not be."""

    text: str
    """As the user wrote it."""
    metric: Metric | None
    """None: how many runs failed."""
    statistic: str
    compare: Callable[[float, float], bool]
    limit: float
    """In the unit of the metric, or a share of what it was before."""
    relative: bool


def parse_condition(text: str) -> Condition:
    """Read a condition.

    Raises:
        RequestError: it is none, with how to write it.
    """
    found = _GRAMMAR.fullmatch(text)
    if not found:
        raise RequestError(
            f"{text!r} is no condition. Write it like 'ttfb_p50>10%' (against --compare), 'ttfb_p95>200ms', "
            "'rtf_mean>0.5', 'starved_max>0s' or 'failed>0'."
        )
    name, unit, limit = found["metric"], found["unit"], float(found["limit"])
    metric = _BY_NAME.get(name)
    if metric is None and name != _FAILED:
        known = [*(metric.short for metric in METRICS), _FAILED]
        near = did_you_mean(name, known)
        raise RequestError(f"Nothing called {name!r} is measured.{near} There are: {', '.join(known)}.")
    takes_seconds = metric is not None and metric.unit is Unit.SECONDS
    if unit in ("s", "ms") and not takes_seconds:
        raise RequestError(f"{text!r}: {name} is not a time.")
    if metric is None and (unit or found["statistic"]):
        raise RequestError(f"{text!r}: {_FAILED} is a number of runs, as in 'failed>0'.")
    if takes_seconds and unit is None and limit:
        raise RequestError(f"{text!r}: say s or ms, or %.")
    return Condition(
        text=text.strip(),
        metric=metric,
        statistic=(found["statistic"] or "p50").replace("median", "p50"),
        compare=_SIGNS[found["sign"]],
        limit=limit / {"ms": 1000, "%": 100}.get(unit or "", 1),
        relative=unit == "%",
    )


def check_conditions(conditions: Sequence[Condition], runs: int, *, compares: bool) -> None:
    """Refuse what can never be told.

    Args:
        runs: in the smallest group.
        compares: whether there is another bench to compare with.

    Raises:
        RequestError: which one, and what to do.
    """
    for condition in conditions:
        least = least_runs(condition.statistic)
        if condition.metric and runs < least:
            raise RequestError(f"{condition.text!r} takes {least} runs, and there will be {runs}. Ask for more --runs.")
        if condition.relative and not compares:
            raise RequestError(f"{condition.text!r} is a change: name with --compare what to compare with.")


def find_breaches(conditions: Sequence[Condition], record: Record, base: Record | None) -> list[str]:
    """Say which conditions are met, each with where and by how much.

    A change counts if it is certain, or if there are too few runs to know how certain it is. A group without one good
    run breaks every condition.
    """
    breaches: list[str] = []
    for condition in conditions:
        if condition.relative:
            breaches += _broken_by_change(condition, record, base)
        else:
            breaches += _broken_by_value(condition, record)
    return breaches


def _broken_by_value(condition: Condition, record: Record) -> list[str]:
    found = []
    for kind, runs in by_kind(record).items():
        group = summarize_group(kind, runs)
        value = _value(condition, group, good_values(runs, condition.metric.field) if condition.metric else [])
        if value is None or condition.compare(value, condition.limit):
            unit = condition.metric.unit if condition.metric else Unit.NONE
            found.append(f"{condition.text}: {name_of(kind)}: {in_words(value, unit)}")
    return found


def _value(condition: Condition, group: Group, values: Sequence[float]) -> float | None:
    if condition.metric is None:
        return float(group.failed)
    return float(STATISTICS[condition.statistic](values)) if values else None  # type: ignore[arg-type]


def _broken_by_change(condition: Condition, record: Record, base: Record | None) -> list[str]:
    if base is None or condition.metric is None:
        return []
    pairs = find_pairs(base, record)
    if not pairs:
        return [f"{condition.text}: the two benches have nothing in common"]
    silent = [pair.kind for pair in pairs if not good_values(pair.new, condition.metric.field)]
    changes = find_changes(pairs, [condition.metric], condition.statistic)
    return [f"{condition.text}: {name_of(kind)}: –" for kind in silent] + [
        f"{condition.text}: {name_of(change.kind)}: {in_words(change.base, change.metric.unit)} → "
        f"{in_words(change.new, change.metric.unit)} ({change.words})"
        for change in changes
        if _counts(change) and condition.compare(_grown(change), condition.limit)
    ]


def _counts(change: Change) -> bool:
    return change.is_certain or change.low is None


def _grown(change: Change) -> float:
    """Return by which share of itself a number has grown."""
    if change.ratio is None:
        return math.inf if change.new > 0 else 0.0
    return change.ratio - 1


def name_of(kind: Kind) -> str:
    """Name a group on one line."""
    return ", ".join(str(part) for part in (kind.subject, kind.text, kind.mode, kind.level) if part is not None)
