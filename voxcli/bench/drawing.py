"""What all pictures of a bench look like: colors, axes, legends."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from voxcli.bench.measure.plan import Mode

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
