"""What has changed since another bench, and how sure that is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np

from voxcli.bench.measure.metrics import FIRST_BYTE, FIRST_SOUND, REAL_TIME_FACTOR, TOTAL, Metric
from voxcli.bench.measure.plan import Level, Mode
from voxcli.bench.report.record import Machine, Record, Run, Settings, Subject
from voxcli.bench.report.statistics import STATISTICS, least_runs, ratio_interval
from voxcli.bench.report.summary import Kind, by_kind, good_values

SHOWN = (FIRST_BYTE, FIRST_SOUND, TOTAL, REAL_TIME_FACTOR)
"""What is worth comparing when nobody says what."""

_NEGLIGIBLE = 0.01
"""Of a number. However certain it is, nobody notices."""
_SMALL = 0.1
"""Of a number. What seems to differ by more may do so by chance, but that is not known."""
_SEED = 0
"""Of the drawing: the same records give the same interval."""
_FLEETING = {"load", "commit"}
"""What differs between two benches of one machine that are meant to be compared."""
_OF_SUBJECTS = ("model", "revision", "device", "dtype", "quantize")


@dataclass(frozen=True, slots=True)
class Pair:
    """The runs of two benches that are alike in all but when they were made."""

    kind: Kind
    base: Sequence[Run]
    new: Sequence[Run]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One number of a pair, then and now."""

    kind: Kind
    metric: Metric
    base: float
    new: float
    low: float | None
    """Between these two the ratio lies with 95 % certainty; None if there were too few runs to tell."""
    high: float | None

    @property
    def ratio(self) -> float | None:
        return self.new / self.base if self.base > 0 else None

    @property
    def is_certain(self) -> bool:
        """Whether there is a difference at all."""
        return self.low is not None and self.high is not None and not self.low <= 1 <= self.high

    @property
    def words(self) -> str:
        """Say what it means."""
        if self.ratio is None or self.low is None:
            return "too few runs to tell" if self.base > 0 else "nothing to compare with"
        if abs(self.ratio - 1) < (_NEGLIGIBLE if self.is_certain else _SMALL):
            return "no difference"
        if not self.is_certain:
            return "may be chance"
        return f"{abs(100 * (self.ratio - 1)):.0f} % {'more' if self.ratio > 1 else 'less'}"


def find_pairs(base: Record, new: Record) -> list[Pair]:
    """Match the runs of two benches: by who was asked, unless both asked only one; by the words of a text."""
    one_each = len(base.subjects) == len(new.subjects) == 1
    before = {_identity(base, kind, one_each): runs for kind, runs in by_kind(base).items()}
    return [
        Pair(kind, before[identity], runs)
        for kind, runs in by_kind(new).items()
        if (identity := _identity(new, kind, one_each)) in before
    ]


def _identity(record: Record, kind: Kind, one_each: bool) -> tuple[str | None, Mode, str | None, Level | None]:
    words = {text.name: text.text for text in record.texts}
    return None if one_each else kind.subject, kind.mode, words[kind.text] if kind.text else None, kind.level


def side_by_side(record: Record) -> list[Pair]:
    """Match what several subjects of one bench were asked: all others against the first."""
    kinds = by_kind(record)
    first = record.subjects[0].name if record.subjects else None
    return [
        Pair(kind, kinds[alike], runs)
        for kind, runs in kinds.items()
        if first and kind.subject != first and (alike := Kind(first, kind.mode, kind.text, kind.level)) in kinds
    ]


def find_changes(pairs: Sequence[Pair], metrics: Sequence[Metric], statistic: str = "p50") -> list[Change]:
    """Compare numbers of pairs. What was measured in no run, or in too few for the statistic, is left out."""
    return [
        change for pair in pairs for metric in metrics if (change := _find_change(pair, metric, statistic)) is not None
    ]


def _find_change(pair: Pair, metric: Metric, statistic: str) -> Change | None:
    base, new = good_values(pair.base, metric.field), good_values(pair.new, metric.field)
    if min(len(base), len(new)) < least_runs(statistic):
        return None
    low, high = ratio_interval(base, new, statistic, np.random.default_rng(_SEED)) or (None, None)
    then, now = (float(STATISTICS[statistic](np.asarray(values))) for values in (base, new))
    return Change(kind=pair.kind, metric=metric, base=then, new=now, low=low, high=high)


def find_differences(base: Record, new: Record) -> Iterator[str]:
    """Say what else differs, so that a change may have come from that."""
    for mine, other, kind in ((base.machine, new.machine, Machine), (base.settings, new.settings, Settings)):
        for field in fields(kind):
            then, now = getattr(mine, field.name), getattr(other, field.name)
            if then != now and field.name not in _FLEETING:
                yield f"{field.name.removesuffix('_seconds')}: {_shown(then)} → {_shown(now)}"
    for name in _OF_SUBJECTS:
        then, now = (", ".join(_told(subject, name) for subject in record.subjects) for record in (base, new))
        if then != now:
            yield f"{name}: {then} → {now}"


def _told(subject: Subject, name: str) -> str:
    """A server that chooses the model is known by its own name."""
    return _shown(getattr(subject, name) or (subject.name if name == "model" else None))


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)
