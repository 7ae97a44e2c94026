"""Board of a cluster: what all replicas have told of themselves, and how many of them there should be."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from prometheus_client import Metric

from voxcli.server.monitoring import summed
from voxcli.synthesis.servers import ServerReport

_SILENT_SECONDS = 5.0
"""Without a report, after which a replica counts as dead."""
_FORGOTTEN_SECONDS = 60.0
"""After which a dead replica is no more told of. Its counts stay in the sums."""
_EMPTIER = 0.7
"""Share of the slots of the remaining replicas that may be in use when one is removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How many replicas there are."""

    least: int
    most: int
    """More than the least, and their number follows the streams."""
    gpus: float = 0.0
    """Of each replica."""
    cores: int | None = None
    """Of each replica on a machine without GPUs, which is bound to them; None binds it to none."""
    up_seconds: float = 5.0
    """For which streams must have been waiting before a replica is added."""
    down_seconds: float = 120.0
    """For which fewer replicas must have been enough before one is removed."""


class Board:
    """What all replicas have told of themselves. An actor of its own, which lives as long as the deployment."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """clock: seconds from any origin."""
        self._clock = clock
        self._told: dict[str, tuple[float, ServerReport, Sequence[Metric]]] = {}
        self._ended: list[Metric] = []
        """The sums of replicas that are gone."""

    def tell(self, report: ServerReport, metrics: Sequence[Metric]) -> None:
        """Take the report of a replica in place of its last one."""
        self._told[report.name] = self._clock(), report, metrics

    def leave(self, name: str, metrics: Sequence[Metric]) -> None:
        """Take the last metrics of a replica that ends."""
        self._told.pop(name, None)
        self._end(metrics)

    def read(self) -> tuple[list[ServerReport], list[Metric]]:
        """Return the reports, and the sums of all metrics."""
        now = self._clock()
        reports, metrics = [], [self._ended]
        for name, (at, report, own) in sorted(self._told.items()):
            silent = now - at
            if silent > _FORGOTTEN_SECONDS:
                del self._told[name]
                self._end(own)
                metrics[0] = self._ended
                continue
            if silent > _SILENT_SECONDS:
                problem = f"{name} has not been heard of for {silent:.0f} s."
                report, own = replace(report, streams=0, slots=0, problem=problem), _without_gauges(own)
            reports.append(report)
            metrics.append([*own])
        return reports, summed(metrics)

    def _end(self, metrics: Sequence[Metric]) -> None:
        self._ended = summed([self._ended, _without_gauges(metrics)])


def _without_gauges(metrics: Sequence[Metric]) -> list[Metric]:
    """Leave out what is no sum over time."""
    return [metric for metric in metrics if metric.type != "gauge"]


def enough_replicas(streams: float, slots: Sequence[float], now: int) -> int:
    """Return for how many replicas there is work.

    Args:
        streams: that run or wait.
        slots: of each replica that has told.
        now: how many replicas there are, or will be soon.
    """
    if not slots:
        return now
    each = max(sum(slots) / len(slots), 1.0)
    needed = math.ceil(streams / each)
    if needed >= now:
        return needed
    # One at a time, and not if the next streams would need it again.
    return now - 1 if streams <= _EMPTIER * each * (now - 1) else now
