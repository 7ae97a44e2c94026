"""The picture of a bench under load: how latency grows, and what is made all in all."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from voxcli.bench.measure.metrics import FIRST_BYTE
from voxcli.bench.measure.plan import Mode
from voxcli.bench.report.record import Group
from voxcli.bench.report.statistics import percent, seconds
from voxcli.bench.report.verdict import never_starved

INK, FAINT, GRID = "#1f2933", "#66727f", "#e4e7eb"
COLORS = ("#0b7285", "#e8590c", "#5f3dc4", "#2b8a3e", "#c2255c", "#1864ab", "#a17800", "#495057")
"""Told apart by those who see few colors, and in print."""
_PALE = 0.62
"""How much white is in the color of those who wait for the whole."""

Color: TypeAlias = tuple[float, float, float]


def mixed(number: int, white: float) -> Color:
    """Return a color of the palette, with white in it."""
    red, green, blue = to_rgb(COLORS[number % len(COLORS)])
    return red + (1 - red) * white, green + (1 - green) * white, blue + (1 - blue) * white


def look_of(ways: Sequence[tuple[str, Mode]], way: tuple[str, Mode]) -> Color:
    """Return a color by subject, pale for those who wait for the whole."""
    subjects = list(dict.fromkeys(subject for subject, _ in ways))
    return mixed(subjects.index(way[0]), 0.0 if way[1] is Mode.STREAM else _PALE)


def name_way(way: tuple[str, Mode], *, several: bool) -> str:
    words = {Mode.STREAM: "streaming", Mode.WHOLE: "whole answer"}[way[1]]
    return f"{way[0]}, {words}" if several else words


def name_seconds(axes: Axes, highest: float) -> None:
    """Name all of an axis in one unit."""
    factor, unit = (1, "s") if highest >= 1 else (1000, "ms")
    axes.yaxis.set_major_formatter(lambda value, _: f"{factor * value:.3g} {unit}")


def write_note(axes: Axes, text: str, place: tuple[float, float], side: int = 0) -> None:
    """Write a number to the left (-1), above (0) or to the right (1) of a place."""
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


def tidy(axes: Axes) -> None:
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


_WIDE = 15.0
"""Where the slowest takes so many times as long as the fastest, only a logarithmic axis shows both."""


def draw_latency(axes: Axes, groups: Sequence[Group]) -> None:
    """Latency by level of load: the median, and up to the slowest."""
    lines = _by_way(groups)
    several = len({subject for subject, _ in lines}) > 1
    for number, (way, found) in enumerate(lines.items()):
        color = mixed(number, 0.0)
        label: str | None = name_way(way, several=several)
        for is_rate in (False, True):  # no line leads from one kind of load to the other
            same = [(place, group) for place, group in found if bool(group.level and group.level.rate) is is_rate]
            _draw_line(axes, same, color, label, side=(-1 if number % 2 == 0 else 1) if len(lines) > 1 else 0)
            label = None if same else label
    _label_levels(axes, groups)
    highest = max((group.metrics[FIRST_BYTE.field].max for group in groups if group.good), default=1.0)
    lowest = min((group.metrics[FIRST_BYTE.field].min for group in groups if group.good), default=highest)
    if 0 < lowest < highest / _WIDE:
        axes.set_yscale("log")
        axes.set_ylim(lowest / 2, 3 * highest)
    else:
        axes.set_ylim(0, 1.2 * highest)
    name_seconds(axes, highest)
    axes.set_ylabel("median; shaded from the fastest to the slowest")
    axes.set_title("Until the first byte of sound")
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
        write_note(axes, seconds(one.median), (place, one.median), side)


def draw_starving(axes: Axes, groups: Sequence[Group]) -> None:
    """How much sound is made, and how many streams come without a gap."""
    lines = _by_way(groups)
    several = len({subject for subject, _ in lines}) > 1
    width = 0.7 / max(1, len(lines))
    for number, (way, found) in enumerate(lines.items()):
        color = mixed(number, 0.0)
        shift = (number - (len(lines) - 1) / 2) * width
        heights = [group.audio_per_second or 0.0 for _, group in found]
        label = name_way(way, several=several)
        axes.bar([place + shift for place, _ in found], heights, width * 0.9, color=color, label=label)
        for (place, group), height in zip(found, heights, strict=True):
            share = percent(never_starved(group))
            write_note(axes, share, (place + shift, height))
    _label_levels(axes, groups)
    axes.margins(y=0.3 if several else 0.12)
    axes.set_ylabel("seconds of sound per second, all streams together")
    axes.set_title("Sound made; above, how many of the streams never run dry")
    if several:
        add_legend(axes, loc="upper left")


def _by_way(groups: Sequence[Group]) -> dict[tuple[str, Mode], list[tuple[int, Group]]]:
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
