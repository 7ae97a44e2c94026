"""Many numbers in a few, and how sure one may be of them."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from voxcli.bench.measure.metrics import Unit

Numbers: TypeAlias = NDArray[np.float64]

_DRAWS = 4000
_LEAST_FOR_INTERVAL = 5
"""Drawn from fewer, an interval would seem surer than it is."""
_OUTLYING, _FROM_MAD = 3.5, 1.4826
"""Deviations from the median (Iglewicz and Hoaglin 1993), and what makes the median one of a normal distribution."""
_LEAST_FOR_OUTLIERS = 5
_LEAST_SPREAD = 0.05
"""Of the median. What agrees better than this has no outliers worth a word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What numbers have in common. A percentile is there if enough of them are to have one in that part."""

    count: int
    min: float
    median: float
    mean: float
    sd: float | None
    """Of the sample; of one number there is none."""
    p90: float | None
    p95: float | None
    p99: float | None
    max: float


def summarize(values: Sequence[float]) -> Summary:
    """Summarize one number or more."""
    numbers = np.asarray(values, np.float64)
    of = {name: statistic(numbers) for name, statistic in STATISTICS.items() if len(numbers) >= least_runs(name)}
    found = {name: float(value) for name, value in of.items() if name != "p50"}
    return Summary(
        count=len(numbers),
        median=float(of["p50"]),
        **{name: found.get(name) for name in _FIELDS},  # type: ignore[arg-type]
    )


STATISTICS: Mapping[str, Callable[[Numbers], Numbers]] = {
    "min": lambda numbers: np.asarray(np.min(numbers, axis=-1)),
    "p50": lambda numbers: np.asarray(np.median(numbers, axis=-1)),
    "mean": lambda numbers: np.asarray(np.mean(numbers, axis=-1)),
    "sd": lambda numbers: np.asarray(np.std(numbers, axis=-1, ddof=1)),
    "p90": lambda numbers: np.asarray(np.percentile(numbers, 90, axis=-1)),
    "p95": lambda numbers: np.asarray(np.percentile(numbers, 95, axis=-1)),
    "p99": lambda numbers: np.asarray(np.percentile(numbers, 99, axis=-1)),
    "max": lambda numbers: np.asarray(np.max(numbers, axis=-1)),
}
"""By their names in conditions. Each works along the last axis."""

_FIELDS = ("min", "mean", "sd", "p90", "p95", "p99", "max")


def least_runs(statistic: str) -> int:
    """Return how many numbers it takes: of a percentile, so many that one of them is beyond it."""
    if statistic.startswith("p") and statistic != "p50":
        return math.ceil(100 / (100 - int(statistic[1:])))
    return 2 if statistic == "sd" else 1


def count_outliers(values: Sequence[float]) -> int:
    """Count those that lie far from the others, by their distance to the median."""
    if len(values) < _LEAST_FOR_OUTLIERS:
        return 0
    numbers = np.asarray(values, np.float64)
    middle = float(np.median(numbers))
    away = np.abs(numbers - middle)
    spread = max(_FROM_MAD * float(np.median(away)), _LEAST_SPREAD * abs(middle))
    return int(np.sum(away > _OUTLYING * spread))


def ratio_interval(
    base: Sequence[float], new: Sequence[float], statistic: str, rng: np.random.Generator
) -> tuple[float, float] | None:
    """Return where the ratio of new to base lies with 95 % certainty, by drawing both anew many times (bootstrap).

    None if there are too few numbers, or a base of zero.
    """
    least = max(_LEAST_FOR_INTERVAL, least_runs(statistic))
    if min(len(base), len(new)) < least:
        return None
    below, above = (_drawn(values, statistic, rng) for values in (base, new))
    if not np.all(below > 0):
        return None
    low, high = np.percentile(above / below, [2.5, 97.5])
    return float(low), float(high)


def _drawn(values: Sequence[float], statistic: str, rng: np.random.Generator) -> Numbers:
    drawn = rng.choice(np.asarray(values, np.float64), size=(_DRAWS, len(values)))
    return np.asarray(STATISTICS[statistic](drawn))


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
