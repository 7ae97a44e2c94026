"""Groups of runs: their summaries, the gain of streaming over waiting, and remarks on the quality of the data."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from voxcli.bench.measure.metrics import FIRST_BYTE, METRICS, REAL_TIME_FACTOR, is_starved
from voxcli.bench.measure.plan import Level, Mode
from voxcli.bench.report.record import Group, Improvement, Record, Run
from voxcli.bench.report.statistics import count_outliers, format_percent, summarize

_NOISY = 0.1
"""Relative standard deviation of the real-time factor; on an idle machine it is smaller."""
_BUSY = 0.5
"""Load average per core, before the benchmark."""
_LONGEST_MESSAGE = 300


@dataclass(frozen=True, slots=True)
class GroupKey:
    """What the runs of a group have in common."""

    subject: str
    mode: Mode
    text: str | None
    level: Level | None

    @classmethod
    def of(cls, run: Run) -> "GroupKey":
        return cls(run.subject, run.mode, None if run.level else run.text, run.level)


def group_runs(record: Record) -> dict[GroupKey, list[Run]]:
    """Group all runs but warm-ups, in the order of the settings."""
    texts = [text.name for text in record.texts]
    subjects = [subject.name for subject in record.subjects]

    def place(kind: GroupKey) -> tuple[float, ...]:
        level = kind.level or Level()
        text = texts.index(kind.text) if kind.text else 0
        mode = record.settings.modes.index(kind.mode)
        return level.rate or 0, level.concurrency or 0, text, subjects.index(kind.subject), mode

    found: dict[GroupKey, list[Run]] = {}
    for run in record.runs:
        if not run.warmup:
            found.setdefault(GroupKey.of(run), []).append(run)
    return {kind: found[kind] for kind in sorted(found, key=place)}


def valid_values(runs: Sequence[Run], field: str) -> list[float]:
    """Return one metric of all valid runs that have it."""
    return [getattr(run, field) for run in runs if not run.failure and getattr(run, field) is not None]


def summarize_group(kind: GroupKey, runs: Sequence[Run]) -> Group:
    """Summarize the runs of one group."""
    good = [run for run in runs if not run.failure]
    values = {metric.field: valid_values(runs, metric.field) for metric in METRICS}
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
    """Compare streaming with waiting for the whole audio, per text and overall."""
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
    """Describe what makes the results less reliable or less complete."""
    counted = [run for run in record.runs if not run.warmup]
    if record.partial:
        yield f"Stopped early, after {len(counted)} run{_s(len(counted))}."
    yield from _failures(counted)
    if outliers := sum(group.outliers for group in groups):
        are = "is an outlier" if outliers == 1 else "are outliers"
        yield f"{outliers} of {len(counted)} runs {are}: other programs may have been running."
    if noise := _noise(groups):
        yield f"Timings are noisy: the real-time factor varies by {format_percent(noise)} between runs."
    machine = record.machine
    if machine.load is not None and machine.load > _BUSY * machine.cores:
        yield f"The machine was already busy: load average {machine.load:.1f} on {machine.cores} cores."
    for subject in record.subjects:
        if not subject.seeded:
            yield f"{subject.name} does not support seeds: its audio differs from run to run, also in length."
        at_once = max(record.settings.concurrency, default=0)
        if subject.slots and (at_once > subject.slots or record.settings.rates):
            yield f"{subject.name} runs {subject.slots} at a time: other requests wait, and the times include that."


def _failures(runs: Sequence[Run]) -> Iterator[str]:
    """Describe each distinct failure once, with its count."""
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
    """Return the median relative standard deviation of the real-time factor in sequential runs, if it is large."""
    shares = []
    for group in groups:
        factor = group.metrics.get(REAL_TIME_FACTOR.field)
        if factor and group.level is None and factor.sd is not None and factor.count > 2 and factor.mean:
            shares.append(factor.sd / factor.mean)
    middle = sorted(shares)[len(shares) // 2] if shares else 0.0
    return middle if middle > _NOISY else None


def _s(count: int) -> str:
    return "" if count == 1 else "s"
