"""Numbers as people read them."""

import math

from voxcli.bench.measure.metrics import Unit
from voxcli.bench.statistics import Summary


def in_words(value: float | None, unit: Unit) -> str:
    """Write a number with its unit, no more exactly than anybody needs."""
    return "–" if value is None else f"{_number(value, unit, value)}{_suffix(unit, value)}"


def spread_in_words(summary: Summary, unit: Unit) -> str:
    """Write the mean and the standard deviation in one unit."""
    scale = summary.mean
    spread = "" if summary.sd is None else f" ± {_number(summary.sd, unit, scale)}"
    return f"{_number(scale, unit, scale)}{spread}{_suffix(unit, scale)}"


def seconds(value: float | None) -> str:
    return in_words(value, Unit.SECONDS)


def ratio(value: float) -> str:
    """Write three digits, and all of those before the point."""
    return f"{value:.3g}" if abs(value) < 999.5 else f"{value:.0f}"


def percent(share: float) -> str:
    """Write a share of 1. It is never rounded up: what is not all must not look like it."""
    return f"{math.floor(1000 * share + 1e-9) / 10:g} %"


def _suffix(unit: Unit, scale: float) -> str:
    if unit is Unit.SECONDS:
        return " ms" if _is_small(scale) else " s"
    if unit is Unit.BYTES:
        return " kB"
    return ""


def _number(value: float, unit: Unit, scale: float) -> str:
    if unit is Unit.BYTES:
        return f"{value / 1000:.0f}"
    if unit is Unit.SECONDS and _is_small(scale):
        digits = 0 if abs(scale) >= 0.01 or scale == 0 else 1 if abs(scale) >= 0.001 else 2
        return f"{1000 * value:.{digits}f}"
    if unit is Unit.SECONDS:
        return f"{value:.2f}" if abs(scale) < 10 else f"{value:.1f}"
    return ratio(value)


def _is_small(scale: float) -> bool:
    return abs(scale) < 0.9995
