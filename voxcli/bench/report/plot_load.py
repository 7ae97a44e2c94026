"""Plots of load tests, latency and throughput by level of load, and the style that all plots share."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from voxcli.bench.measure.metrics import FIRST_BYTE
from voxcli.bench.measure.plan import Mode
from voxcli.bench.report.record import Group
from voxcli.bench.report.statistics import format_percent, format_seconds
from voxcli.bench.report.verdict import share_without_stalls

INK, FAINT, GRID = "#1f2933", "#66727f", "#e4e7eb"
COLORS = ("#0b7285", "#e8590c", "#5f3dc4", "#2b8a3e", "#c2255c", "#1864ab", "#a17800", "#495057")
"""Distinguishable with color blindness and in print."""
_WHOLE_MODE_WHITE = 0.62
"""Share of white in the colors of the whole mode."""
_LOG_SCALE_RATIO = 15.0
"""Ratio of the slowest to the fastest from which the axis is logarithmic."""

Color: TypeAlias = tuple[float, float, float]


def palette_color(number: int, white: float) -> Color:
    """Return a color of the palette, palette_color with white."""
    red, green, blue = to_rgb(COLORS[number % len(COLORS)])
    return red + (1 - red) * white, green + (1 - green) * white, blue + (1 - blue) * white


def series_color(series: Sequence[tuple[str, Mode]], key: tuple[str, Mode]) -> Color:
    """Return the color of a series by its subject, pale for the whole mode."""
    subjects = list(dict.fromkeys(subject for subject, _ in series))
    return palette_color(subjects.index(key[0]), 0.0 if key[1] is Mode.STREAM else _WHOLE_MODE_WHITE)


def series_name(key: tuple[str, Mode], *, several: bool) -> str:
    mode = {Mode.STREAM: "streaming", Mode.WHOLE: "whole audio"}[key[1]]
    return f"{key[0]}, {mode}" if several else mode


def label_seconds(axes: Axes, highest: float) -> None:
    """Label an axis in seconds, or in milliseconds if all values are below one second."""
    factor, unit = (1, "s") if highest >= 1 else (1000, "ms")
    axes.yaxis.set_major_formatter(lambda value, _: f"{factor * value:.3g} {unit}")


def annotate(axes: Axes, text: str, place: tuple[float, float], side: int = 0) -> None:
    """Write a number to the left (-1), above (0) or to the right (1) of a point."""
    shift = (8 * side, -3) if side else (0, 5)
    axes.annotate(
        text,
        place,
        shift,
        textcoords="offset points",
        ha={-1: "right", 0: "center", 1: "left"}[side],
        fontsize=8,
        color=INK,
    )


def add_legend(axes: Axes, loc: Literal["best", "upper left"]) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc=loc, facecolor="white", framealpha=0.85, edgecolor="none")


def style_axes(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(colors=FAINT, labelcolor=INK, labelsize=9)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.title.set(fontsize=10.5, color=INK, position=(0, 1), ha="left")
    axes.xaxis.label.set(color=FAINT, fontsize=9)
    axes.yaxis.label.set(color=FAINT, fontsize=9)
    if (legend := axes.get_legend()) is not None:
        for text in legend.get_texts():
            text.set(fontsize=8.5, color=INK)


def draw_latency(axes: Axes, groups: Sequence[Group]) -> None:
    """Draw latency by level of load: the median, and the range of the runs."""
    lines = _by_series(groups)
    several = len({subject for subject, _ in lines}) > 1
    for number, (key, found) in enumerate(lines.items()):
        color = palette_color(number, 0.0)
        label: str | None = series_name(key, several=several)
        for is_rate in (False, True):  # no line connects concurrencies with rates
            same = [(place, group) for place, group in found if bool(group.level and group.level.rate) is is_rate]
            _draw_line(axes, same, color, label, side=(-1 if number % 2 == 0 else 1) if len(lines) > 1 else 0)
            label = None if same else label
    _label_levels(axes, groups)
    highest = max((group.metrics[FIRST_BYTE.field].max for group in groups if group.good), default=1.0)
    lowest = min((group.metrics[FIRST_BYTE.field].min for group in groups if group.good), default=highest)
    if 0 < lowest < highest / _LOG_SCALE_RATIO:
        axes.set_yscale("log")
        axes.set_ylim(lowest / 2, 3 * highest)
    else:
        axes.set_ylim(0, 1.2 * highest)
    label_seconds(axes, highest)
    axes.set_ylabel("median (shaded: fastest to slowest)")
    axes.set_title("Time to first byte of audio")
    add_legend(axes, loc="upper left")


def _draw_line(axes: Axes, found: Sequence[tuple[int, Group]], color: Color, label: str | None, side: int) -> None:
    """Draw one line, with its numbers to the left (-1), above (0) or to the right (1) of its points."""
    measured = [(place, summary) for place, group in found if (summary := group.metrics.get(FIRST_BYTE.field))]
    places = [place for place, _ in measured]
    axes.plot(places, [one.median for _, one in measured], color=color, marker="o", linewidth=1.8, label=label)
    axes.fill_between(
        places, [one.min for _, one in measured], [one.max for _, one in measured], color=color, alpha=0.13, linewidth=0
    )
    for place, one in measured:
        annotate(axes, format_seconds(one.median), (place, one.median), side)


def draw_throughput(axes: Axes, groups: Sequence[Group]) -> None:
    """Draw throughput by level of load, labelled with the share of streams without stalls."""
    lines = _by_series(groups)
    several = len({subject for subject, _ in lines}) > 1
    width = 0.7 / max(1, len(lines))
    for number, (key, found) in enumerate(lines.items()):
        color = palette_color(number, 0.0)
        shift = (number - (len(lines) - 1) / 2) * width
        heights = [group.audio_per_second or 0.0 for _, group in found]
        label = series_name(key, several=several)
        axes.bar([place + shift for place, _ in found], heights, width * 0.9, color=color, label=label)
        for (place, group), height in zip(found, heights, strict=True):
            share = format_percent(share_without_stalls(group))
            annotate(axes, share, (place + shift, height))
    _label_levels(axes, groups)
    axes.margins(y=0.3 if several else 0.12)
    axes.set_ylabel("seconds of audio per second, all streams")
    axes.set_title("Throughput, and the share of streams that never stall")
    if several:
        add_legend(axes, loc="upper left")


def _by_series(groups: Sequence[Group]) -> dict[tuple[str, Mode], list[tuple[int, Group]]]:
    levels = _levels(groups)
    lines: dict[tuple[str, Mode], list[tuple[int, Group]]] = {}
    for group in groups:
        lines.setdefault((group.subject, group.mode), []).append((levels.index(str(group.level)), group))
    return lines


def _levels(groups: Sequence[Group]) -> list[str]:
    return list(dict.fromkeys(str(group.level) for group in groups))


def _label_levels(axes: Axes, groups: Sequence[Group]) -> None:
    levels = _levels(groups)
    axes.set_xticks(range(len(levels)), levels)
    axes.set_xlim(-0.6, len(levels) - 0.4)
