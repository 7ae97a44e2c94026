"""Plot of a benchmark: time to the first byte, and audio received against playback."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont
from matplotlib.ft2font import FT2Font

from voxcli.bench.measure.metrics import FIRST_BYTE, find_gaps
from voxcli.bench.measure.plan import Mode
from voxcli.bench.report.plot_load import (
    FAINT,
    INK,
    Color,
    add_legend,
    draw_latency,
    draw_throughput,
    label_seconds,
    palette_color,
    series_color,
    series_name,
    style_axes,
)
from voxcli.bench.report.record import Group, Record, Report, Run
from voxcli.bench.report.statistics import Summary, format_seconds
from voxcli.bench.report.summary import GroupKey, group_runs

_STALL_COLOR = "#e03131"
_SIZE_INCHES, _DPI = (12.4, 5.2), 160
_TITLE_COLUMNS = 128


def write_plot(record: Record, report: Report, path: Path) -> None:
    """Draw the results.

    Raises:
        OSError: the file cannot be written.
        ValueError: its suffix is not that of an image format.
    """
    figure = Figure(figsize=_SIZE_INCHES, dpi=_DPI, layout="constrained", facecolor="white")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.15))
    names = _printable_names(record)
    if any(group.level for group in report.groups):
        draw_latency(left, report.groups)
        draw_throughput(right, report.groups)
    else:
        _draw_first_bytes(left, report.groups, names)
        _draw_received(right, record, names)
    for axes in (left, right):
        style_axes(axes)
    figure.suptitle(_wrapped(report.verdict), x=0.012, ha="left", fontsize=11.5, color=INK, fontweight="bold")
    figure.supxlabel(_footer(record), x=0.012, ha="left", fontsize=7.5, color=FAINT)
    figure.savefig(path)


def _draw_first_bytes(axes: Axes, groups: Sequence[Group], names: dict[str, str]) -> None:
    """Draw a bar per subject and mode for each text, with the range of its runs."""
    shown = [group for group in groups if FIRST_BYTE.field in group.metrics and group.text]
    texts = list(dict.fromkeys(group.text for group in shown if group.text))
    series = list(dict.fromkeys((group.subject, group.mode) for group in shown))
    several = len({subject for subject, _ in series}) > 1
    width = 0.8 / max(1, len(series))
    highest = max((group.metrics[FIRST_BYTE.field].max for group in shown), default=1.0)
    for number, key in enumerate(series):
        for group in shown:
            if (group.subject, group.mode) == key:
                place = texts.index(group.text or "") + (number - (len(series) - 1) / 2) * width
                _draw_bar(axes, place, width, group.metrics[FIRST_BYTE.field], series_color(series, key), highest)
        axes.bar([0], [0], color=series_color(series, key), label=series_name(key, several=several))
    axes.set_xticks(range(len(texts)), [names[text] for text in texts])
    axes.set_xlim(-0.7, max(len(texts), 2) - 0.3)
    axes.set_ylim(0, highest * (1.12 + 0.07 * len(series)))
    label_seconds(axes, highest)
    axes.set_ylabel("median (lines: fastest to slowest)")
    axes.set_title("Time to first byte of audio")
    add_legend(axes, loc="upper left")


def _draw_bar(axes: Axes, place: float, width: float, summary: Summary, color: Color, highest: float) -> None:
    axes.bar(place, summary.median, width * 0.9, color=color)
    axes.vlines(place, summary.min, summary.max, color=INK, linewidth=1, alpha=0.7)
    axes.text(
        place,
        summary.max + 0.012 * highest,
        format_seconds(summary.median),
        ha="center",
        va="bottom",
        fontsize=8,
        color=INK,
    )


def _draw_received(axes: Axes, record: Record, names: dict[str, str]) -> None:
    """Draw received audio against time, and playback as a dotted line that stalls where no audio is left."""
    runs = {kind: _typical(found) for kind, found in group_runs(record).items()}
    chosen = {kind: run for kind, run in runs.items() if run and run.arrivals}
    texts = list(dict.fromkeys(kind.text for kind in chosen if kind.text))
    several = len(record.subjects) > 1
    end = max((run.total_seconds for run in chosen.values()), default=1.0)
    top = max((run.audio_seconds for run in chosen.values()), default=1.0)
    for kind, run in chosen.items():
        color = _shade(kind, texts, record, several=several)
        when = [0.0, *(arrival[0] for arrival in run.arrivals), run.total_seconds]
        audio = [0.0, *(arrival[1] for arrival in run.arrivals), run.audio_seconds]
        streams = kind.mode is Mode.STREAM
        label = ", ".join([*([kind.subject] if several else []), names[kind.text or ""]]) if streams else None
        axes.step(
            when,
            audio,
            where="post",
            color=color,
            linewidth=1.8 if streams else 1.3,
            linestyle="-" if streams else (0, (4, 2.5)),
            label=label,
        )
        if streams:
            _draw_playback(axes, run, color, record.settings.prebuffer_seconds)
    axes.set_xlim(0, end * 1.06)
    axes.set_ylim(0, top * 1.06)
    axes.set_xlabel("seconds since the request")
    axes.set_ylabel("seconds of audio")
    axes.set_title("Audio received and played")
    if any(kind.mode is Mode.WHOLE for kind in chosen):
        axes.plot([], [], color=FAINT, linewidth=1.3, linestyle=(0, (4, 2.5)), label="whole audio")
    if any(kind.mode is Mode.STREAM for kind in chosen):
        axes.plot([], [], color=FAINT, linewidth=1.1, linestyle=":", label="playback")
    if any(run.starved_seconds for kind, run in chosen.items() if kind.mode is Mode.STREAM):
        axes.plot([], [], color=_STALL_COLOR, linewidth=3, label="stalled")
    add_legend(axes, loc="best")


def _draw_playback(axes: Axes, run: Run, color: Color, prebuffer_seconds: float) -> None:
    """Draw the playback and mark its stalls."""
    gaps = find_gaps(run.arrivals, prebuffer_seconds)
    begin = next((when for when, audio in run.arrivals if audio >= prebuffer_seconds), run.arrivals[-1][0])
    late = begin + sum(gap.end - gap.start for gap in gaps)
    corners = [(begin, 0.0), *((when, gap.played) for gap in gaps for when in (gap.start, gap.end))]
    corners.append((late + run.audio_seconds, run.audio_seconds))
    axes.plot(*zip(*corners, strict=True), color=color, linewidth=1.1, alpha=0.8, linestyle=":")
    for gap in gaps:
        axes.plot(
            [gap.start, gap.end], [gap.played, gap.played], color=_STALL_COLOR, linewidth=3, solid_capstyle="butt"
        )


def _typical(runs: Sequence[Run]) -> Run | None:
    """Return the valid run with the median total time."""
    good = sorted((run for run in runs if not run.failure), key=lambda run: run.total_seconds)
    return good[len(good) // 2] if good else None


def _shade(kind: GroupKey, texts: Sequence[str], record: Record, *, several: bool) -> Color:
    """Return a color by text, or, for several subjects, by subject and paler for the earlier texts."""
    text = texts.index(kind.text or "")
    if not several:
        return palette_color(text, 0.0)
    subject = next(number for number, one in enumerate(record.subjects) if one.name == kind.subject)
    return palette_color(subject, 0.5 * (len(texts) - 1 - text) / len(texts))


def _printable_names(record: Record) -> dict[str, str]:
    """Return the names of the texts, replaced by numbers where the font lacks a character."""
    known = set(FT2Font(findfont(FontProperties())).get_charmap())
    return {
        text.name: text.name if all(ord(character) in known for character in text.name) else f"text {number + 1}"
        for number, text in enumerate(record.texts)
    }


def _footer(record: Record) -> str:
    machine = record.machine
    models = ", ".join(
        f"{subject.model or subject.name}{', engine loaded' if subject.resident else ''}" for subject in record.subjects
    )
    runs = sum(not run.warmup for run in record.runs)
    stopped = ", stopped early" if record.partial else ""
    where = f"{machine.gpu or machine.cpu}, {machine.cores} cores"
    return f"voxcli {machine.voxcli} · {models} · {where} · {runs} runs{stopped} · {record.created}"


def _wrapped(sentence: str) -> str:
    lines = [""]
    for word in sentence.split():
        if len(lines[-1]) + len(word) > _TITLE_COLUMNS:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)
