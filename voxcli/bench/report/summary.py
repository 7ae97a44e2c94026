"""What many runs have in common: groups, how much streaming helps, and what makes the numbers less sure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from voxcli.bench.measure.metrics import FIRST_BYTE, METRICS, REAL_TIME_FACTOR
from voxcli.bench.measure.plan import Level, Mode
from voxcli.bench.measure.player import is_starved
from voxcli.bench.report.record import Group, Improvement, Record, Run
from voxcli.bench.report.statistics import count_outliers, percent, summarize

_NOISY = 0.1
"""Of the real-time factor: a machine that does the same work differs less from run to run."""
_BUSY = 0.5
"""Processes per core, before anything was measured."""
_LONGEST_MESSAGE = 300


@dataclass(frozen=True, slots=True)
class Kind:
    """What the runs of one group are alike in."""

    subject: str
    mode: Mode
    text: str | None
    level: Level | None

    @classmethod
    def of(cls, run: Run) -> "Kind":
        return cls(run.subject, run.mode, None if run.level else run.text, run.level)


def by_kind(record: Record) -> dict[Kind, list[Run]]:
    """Sort the runs that count into groups, in the order in which they were asked for."""
    texts = [text.name for text in record.texts]
    subjects = [subject.name for subject in record.subjects]

    def place(kind: Kind) -> tuple[float, ...]:
        level = kind.level or Level()
        text = texts.index(kind.text) if kind.text else 0
        mode = record.settings.modes.index(kind.mode)
        return level.rate or 0, level.concurrency or 0, text, subjects.index(kind.subject), mode

    found: dict[Kind, list[Run]] = {}
    for run in record.runs:
        if not run.warmup:
            found.setdefault(Kind.of(run), []).append(run)
    return {kind: found[kind] for kind in sorted(found, key=place)}


def good_values(runs: Sequence[Run], field: str) -> list[float]:
    """Return one number of every run that went well."""
    return [getattr(run, field) for run in runs if not run.failure and getattr(run, field) is not None]


def summarize_group(kind: Kind, runs: Sequence[Run]) -> Group:
    """Summarize runs of one kind."""
    good = [run for run in runs if not run.failure]
    values = {metric.field: good_values(runs, metric.field) for metric in METRICS}
    took = max(run.started_seconds + run.total_seconds for run in runs) - min(run.started_seconds for run in runs)
    under_load = kind.level is not None and took > 0
    return Group(
        subject=kind.subject,
        mode=kind.mode,
        text=kind.text,
        level=kind.level,
        good=len(good),
        failed=len(runs) - len(good),
        starved=sum(is_starved(run.starved_seconds) for run in good),
        outliers=0 if kind.level else count_outliers(values[FIRST_BYTE.field]),
        metrics={field: summarize(numbers) for field, numbers in values.items() if numbers},
        audio_per_second=sum(run.audio_seconds for run in good) / took if under_load else None,
        requests_per_second=len(good) / took if under_load else None,
    )


def find_improvements(groups: Sequence[Group]) -> list[Improvement]:
    """Compare streaming with waiting, one by one and overall."""
    found: list[Improvement] = []
    alone = [group for group in groups if group.level is None and FIRST_BYTE.field in group.metrics]
    for subject in dict.fromkeys(group.subject for group in alone):
        own = [group for group in alone if group.subject == subject]
        whole, stream = (
            {group.text: group.metrics[FIRST_BYTE.field].median for group in own if group.mode is mode}
            for mode in (Mode.WHOLE, Mode.STREAM)
        )
        per_text = [_improvement(subject, text, whole[text], stream[text]) for text in whole if text in stream]
        found += per_text
        if len(per_text) > 1:
            found.append(_overall(subject, per_text))
    return found


def _improvement(subject: str, text: str | None, whole: float, stream: float) -> Improvement:
    return Improvement(
        subject=subject,
        text=text,
        whole_seconds=whole,
        stream_seconds=stream,
        seconds=whole - stream,
        percent=100 * (whole - stream) / whole if whole else 0.0,
    )


def _overall(subject: str, found: Sequence[Improvement]) -> Improvement:
    whole, stream = (sum(seconds) / len(found) for seconds in zip(*map(_both, found), strict=True))
    return _improvement(subject, None, whole, stream)


def _both(one: Improvement) -> tuple[float, float]:
    return one.whole_seconds, one.stream_seconds


def find_remarks(record: Record, groups: Sequence[Group]) -> Iterator[str]:
    """Say what makes the numbers less sure, or less many."""
    counted = [run for run in record.runs if not run.warmup]
    if record.partial:
        yield f"It was stopped early: {len(counted)} run{_s(len(counted))} were done."
    yield from _failures(counted)
    if outliers := sum(group.outliers for group in groups):
        lie = "lies" if outliers == 1 else "lie"
        yield f"{outliers} of {len(counted)} runs {lie} far from the others: something else may have run."
    if noise := _noise(groups):
        yield f"The machine is noisy: the same work takes {percent(noise)} more or less time from run to run."
    machine = record.machine
    if machine.load is not None and machine.load > _BUSY * machine.cores:
        yield f"The machine was busy before: {machine.load:.1f} processes on {machine.cores} cores."
    for subject in record.subjects:
        if not subject.seeded:
            yield f"{subject.name} takes no seeds: what it says differs from run to run, and so does its length."
        at_once = max(record.settings.concurrency, default=0)
        if subject.slots and (at_once > subject.slots or record.settings.rates):
            yield f"{subject.name} takes {subject.slots} at a time: the others wait, and that is in their numbers."


def _failures(runs: Sequence[Run]) -> Iterator[str]:
    """Say each failure once, with how often it was."""
    found = Counter((run.subject, run.mode, run.failure) for run in runs if run.failure)
    several = len({run.subject for run in runs}) > 1
    for (subject, mode, failure), count in found.most_common():
        of = sum(run.subject == subject and run.mode is mode for run in runs)
        who = f"{subject}, {mode}" if several else str(mode)
        message = (
            failure.message if len(failure.message) <= _LONGEST_MESSAGE else f"{failure.message[:_LONGEST_MESSAGE]}…"
        )
        yield f"{count} of {of} run{_s(of)} failed ({who}): {failure.fault}. {message}"


def _noise(groups: Sequence[Group]) -> float | None:
    """Return by how much of itself the real-time factor varies, where it was measured one by one."""
    shares = []
    for group in groups:
        factor = group.metrics.get(REAL_TIME_FACTOR.field)
        if factor and group.level is None and factor.sd is not None and factor.count > 2 and factor.mean:
            shares.append(factor.sd / factor.mean)
    middle = sorted(shares)[len(shares) // 2] if shares else 0.0
    return middle if middle > _NOISY else None


def _s(count: int) -> str:
    return "" if count == 1 else "s"
