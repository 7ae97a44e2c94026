"""The picture of a bench under load: how latency grows, and what is made all in all."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from voxcli.bench.drawing import Color, add_legend, mixed, name_seconds, name_way, write_note
from voxcli.bench.measure.metrics import FIRST_BYTE
from voxcli.bench.measure.plan import Mode
from voxcli.bench.record import Group
from voxcli.bench.units import percent, seconds
from voxcli.bench.verdict import never_starved

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
