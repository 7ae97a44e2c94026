"""Comparison of benchmarks: the change of each metric, with its confidence interval."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np

from voxcli.bench.measure.metrics import FIRST_BYTE, FIRST_SOUND, REAL_TIME_FACTOR, TOTAL, Metric
from voxcli.bench.measure.plan import Level, Mode
from voxcli.bench.report.record import Machine, Record, Run, Settings, Subject
from voxcli.bench.report.statistics import STATISTICS, minimum_runs, ratio_interval
from voxcli.bench.report.summary import GroupKey, group_runs, valid_values
from voxcli.errors import RequestError

DEFAULT_METRICS = (FIRST_BYTE, FIRST_SOUND, TOTAL, REAL_TIME_FACTOR)
"""Metrics that are compared unless others are chosen."""

_NEGLIGIBLE = 0.01
"""Relative change; a smaller one is no difference, even if it is significant."""
_SMALL = 0.1
"""Relative change; a smaller one that is not significant is no difference."""
_SEED = 0
"""Of the bootstrap, so that the same records give the same interval."""
_IGNORED_FIELDS = {"load", "commit"}
"""Expected to differ between two benchmarks on one machine."""
_SUBJECT_FIELDS = ("model", "revision", "device", "dtype", "quantize")


@dataclass(frozen=True, slots=True)
class RunPair:
    """The runs of two groups that are compared."""

    kind: GroupKey
    base: Sequence[Run]
    new: Sequence[Run]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Change of one metric between two groups."""

    kind: GroupKey
    metric: Metric
    base: float
    new: float
    low: float | None
    """Lower bound of the 95 % confidence interval of the ratio; None if there were too few runs."""
    high: float | None
    """Upper bound."""

    @property
    def ratio(self) -> float | None:
        return self.new / self.base if self.base > 0 else None

    @property
    def is_significant(self) -> bool:
        """Whether the confidence interval excludes a ratio of 1."""
        return self.low is not None and self.high is not None and not self.low <= 1 <= self.high

    @property
    def description(self) -> str:
        """The change in words, such as "20 % less"."""
        if self.ratio is None or self.low is None:
            return "too few runs to tell" if self.base > 0 else "base is zero"
        if abs(self.ratio - 1) < (_NEGLIGIBLE if self.is_significant else _SMALL):
            return "no difference"
        if not self.is_significant:
            return "not significant"
        return f"{abs(100 * (self.ratio - 1)):.0f} % {'more' if self.ratio > 1 else 'less'}"


def find_pairs(base: Record, new: Record) -> list[RunPair]:
    """Match the groups of two benchmarks by the content of their texts and by subject, unless both have only one."""
    one_each = len(base.subjects) == len(new.subjects) == 1
    before = {_identity(base, kind, one_each): runs for kind, runs in group_runs(base).items()}
    return [
        RunPair(kind, before[identity], runs)
        for kind, runs in group_runs(new).items()
        if (identity := _identity(new, kind, one_each)) in before
    ]


def _identity(record: Record, kind: GroupKey, one_each: bool) -> tuple[str | None, Mode, str | None, Level | None]:
    contents = {text.name: text.text for text in record.texts}
    return None if one_each else kind.subject, kind.mode, contents[kind.text] if kind.text else None, kind.level


def side_by_side(record: Record) -> list[RunPair]:
    """Match the groups of each further subject of a benchmark with those of the first subject."""
    kinds = group_runs(record)
    first = record.subjects[0].name if record.subjects else None
    return [
        RunPair(kind, kinds[alike], runs)
        for kind, runs in kinds.items()
        if first and kind.subject != first and (alike := GroupKey(first, kind.mode, kind.text, kind.level)) in kinds
    ]


def find_changes(pairs: Sequence[RunPair], metrics: Sequence[Metric], statistic: str = "p50") -> list[Change]:
    """Compare metrics of pairs. Metrics with too few values for the statistic are left out."""
    return [
        change for pair in pairs for metric in metrics if (change := _find_change(pair, metric, statistic)) is not None
    ]


def _find_change(pair: RunPair, metric: Metric, statistic: str) -> Change | None:
    base, new = valid_values(pair.base, metric.field), valid_values(pair.new, metric.field)
    if min(len(base), len(new)) < minimum_runs(statistic):
        return None
    low, high = ratio_interval(base, new, statistic, np.random.default_rng(_SEED)) or (None, None)
    then, now = (float(STATISTICS[statistic](np.asarray(values))) for values in (base, new))
    return Change(kind=pair.kind, metric=metric, base=then, new=now, low=low, high=high)


def check_comparable(base: Record, *, resident: bool, name: str) -> None:
    """Refuse to compare a model in this process with one in the engine that stays loaded.

    Args:
        resident: whether the new benchmark measures that engine.
        name: of the base.

    Raises:
        RequestError: the base measured the other.
    """
    here = [subject for subject in base.subjects if not subject.url]
    if not here or all(subject.resident is resident for subject in here):
        return
    measured = "a model in its own process" if resident else "the engine that stays loaded"
    advice = "Leave --warm out, or measure it with --warm." if resident else "Add --warm, or measure it without --warm."
    raise RequestError(
        f"{name} measured {measured}, so its times are not comparable with these.", on_command_line=advice
    )


def find_differences(base: Record, new: Record) -> Iterator[str]:
    """List differences of machine, settings and models, which may explain changes."""
    for mine, other, kind in ((base.machine, new.machine, Machine), (base.settings, new.settings, Settings)):
        for field in fields(kind):
            then, now = getattr(mine, field.name), getattr(other, field.name)
            if then != now and field.name not in _IGNORED_FIELDS:
                yield f"{field.name.removesuffix('_seconds')}: {_shown(then)} → {_shown(now)}"
    for name in _SUBJECT_FIELDS:
        then, now = (", ".join(_subject_field(subject, name) for subject in record.subjects) for record in (base, new))
        if then != now:
            yield f"{name}: {then} → {now}"


def _subject_field(subject: Subject, name: str) -> str:
    """Return a field of a subject. The model of a server that chooses it is unknown, so its name is used."""
    return _shown(getattr(subject, name) or (subject.name if name == "model" else None))


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)
