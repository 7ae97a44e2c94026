"""Summary statistics, confidence intervals and the formatting of numbers.

NumPy has everything but the bootstrap, which takes ten lines here; SciPy would be 35 MB for that one function.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from voxcli.bench.measure.metrics import Unit

Numbers: TypeAlias = NDArray[np.float64]

_DRAWS = 4000
_MIN_FOR_INTERVAL = 5
"""A bootstrap of fewer numbers gives intervals that are too narrow."""
_OUTLIER_SIGMAS, _SIGMA_PER_MAD = 3.5, 1.4826
"""Iglewicz and Hoaglin 1993; the second is the ratio for a normal distribution."""
_MIN_FOR_OUTLIERS = 5
_MIN_SPREAD = 0.05
"""Relative to the median; a smaller spread is taken for this, so that nearly equal numbers have no outliers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Summary of numbers. Percentiles are None if there are too few numbers for them."""

    count: int
    min: float
    median: float
    mean: float
    sd: float | None
    """Standard deviation of the sample; None for one number."""
    p90: float | None
    p95: float | None
    p99: float | None
    max: float


def summarize(values: Sequence[float]) -> Summary:
    """Summarize one number or more."""
    numbers = np.asarray(values, np.float64)
    of = {name: statistic(numbers) for name, statistic in STATISTICS.items() if len(numbers) >= minimum_runs(name)}
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
"""By their names in conditions of --fail-if. Each reduces the last axis."""

_FIELDS = ("min", "mean", "sd", "p90", "p95", "p99", "max")


def minimum_runs(statistic: str) -> int:
    """Return how many numbers a statistic needs: for a percentile, enough that one lies beyond it."""
    if statistic.startswith("p") and statistic != "p50":
        return math.ceil(100 / (100 - int(statistic[1:])))
    return 2 if statistic == "sd" else 1


def count_outliers(values: Sequence[float]) -> int:
    """Count the numbers that are far from the median, relative to the median absolute deviation."""
    if len(values) < _MIN_FOR_OUTLIERS:
        return 0
    numbers = np.asarray(values, np.float64)
    middle = float(np.median(numbers))
    deviations = np.abs(numbers - middle)
    spread = max(_SIGMA_PER_MAD * float(np.median(deviations)), _MIN_SPREAD * abs(middle))
    return int(np.sum(deviations > _OUTLIER_SIGMAS * spread))


def ratio_interval(
    base: Sequence[float], new: Sequence[float], statistic: str, rng: np.random.Generator
) -> tuple[float, float] | None:
    """Return the 95 % confidence interval of the ratio of new to base, by bootstrapping both.

    None if there are too few numbers, or the base may be zero.
    """
    least = max(_MIN_FOR_INTERVAL, minimum_runs(statistic))
    if min(len(base), len(new)) < least:
        return None
    below, above = (_bootstrap(values, statistic, rng) for values in (base, new))
    if not np.all(below > 0):
        return None
    low, high = np.percentile(above / below, [2.5, 97.5])
    return float(low), float(high)


def _bootstrap(values: Sequence[float], statistic: str, rng: np.random.Generator) -> Numbers:
    drawn = rng.choice(np.asarray(values, np.float64), size=(_DRAWS, len(values)))
    return np.asarray(STATISTICS[statistic](drawn))


def format_value(value: float | None, unit: Unit) -> str:
    """Format a number with its unit, with about three significant digits; a dash for None."""
    return "–" if value is None else f"{_number(value, unit, value)}{_suffix(unit, value)}"


def format_mean_sd(summary: Summary, unit: Unit) -> str:
    """Format the mean and the standard deviation in one unit."""
    scale = summary.mean
    spread = "" if summary.sd is None else f" ± {_number(summary.sd, unit, scale)}"
    return f"{_number(scale, unit, scale)}{spread}{_suffix(unit, scale)}"


def format_seconds(value: float | None) -> str:
    return format_value(value, Unit.SECONDS)


def format_ratio(value: float) -> str:
    """Format a ratio with three significant digits, and never fewer than its integer part has."""
    return f"{value:.3g}" if abs(value) < 999.5 else f"{value:.0f}"


def format_percent(share: float) -> str:
    """Format a share of 1, rounded down so that only 1 becomes 100 %."""
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
    return format_ratio(value)


def _is_small(scale: float) -> bool:
    return abs(scale) < 0.9995
