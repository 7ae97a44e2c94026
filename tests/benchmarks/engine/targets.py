"""Performance targets, and whether they are met. A target for another machine gets no verdict."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tests.benchmarks.engine.device import Environment
from tests.benchmarks.engine.figures import Figures, Load
from tests.benchmarks.engine.options import Options
from tests.benchmarks.engine.streams import FAR, NEAR, PositionCost
from voxcli.voxcpm.weights.quantization import INT8

GPU = "H200"
CPU_CORES = 2

_MS = 0.001


@dataclass(frozen=True, slots=True)
class Verdict:
    what: str
    target: str
    measured: str
    met: bool | None
    """None for a target of another machine or other settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """The measurements that targets refer to."""

    options: Options
    environment: Environment
    figures: Mapping[str, Mapping[int, Figures]]
    loads: Mapping[str, list[Load]]
    position_costs: Mapping[str, PositionCost]
    main: str
    """Label of voxcli with default settings."""
    quantized: str | None
    package: str
    compiled: str
    cpp: Sequence[str] = ()
    """Labels of VoxCPM.cpp with each of its models."""

    def of(self, label: str | None, name: str, streams: int = 1, unit: float = 1.0) -> float | None:
        """Return a figure of an engine, in multiples of `unit`; None if it was not found."""
        its = self.figures.get(label or "", {}).get(streams)
        return None if its is None else float(getattr(its, name)) / unit

    def times(self, name: str, package: str, own: str | None) -> float | None:
        """Return the ratio of a figure between one stream of the package and one of voxcli."""
        one, other = self.of(own, name), self.of(package, name)
        return None if one is None or other is None else other / one

    def load(self, name: str) -> float | None:
        loads = self.loads.get(self.main)
        return statistics.median(getattr(load, name) for load in loads) if loads else None


@dataclass(frozen=True, slots=True)
class Target:
    what: str
    relation: Literal["≤", "≥"]
    limit: float
    unit: str
    figure: float | None
    """None if it was not found."""

    def verdict(self, *, applies: bool) -> Verdict:
        met = None
        if self.figure is not None and applies:
            met = self.figure <= self.limit if self.relation == "≤" else self.figure >= self.limit
        measured = "not measured" if self.figure is None else f"{self.figure:.3g} {self.unit}".strip()
        return Verdict(self.what, f"{self.relation} {self.limit:g} {self.unit}".strip(), measured, met)


def check_targets(found: Measurements) -> list[Verdict]:
    """Compare the measurements with each target for this kind of device."""
    targets = _on_gpu(found) if found.options.kind == "cuda" else _on_cpu(found)
    return [target.verdict(applies=_applies_here(found)) for target in targets]


def conditions(options: Options) -> str:
    """Return the machine and settings that the targets are for."""
    machine = f"one {GPU}" if options.kind == "cuda" else f"{CPU_CORES} cores"
    return f"{machine}, full size, bfloat16, 10 steps"


def _on_gpu(found: Measurements) -> Iterator[Target]:
    main, compiled = found.main, found.compiled
    if found.options.family == "voxcpm-1.5":
        yield Target("first chunk p50", "≤", 6, "ms", found.of(main, "first_p50", unit=_MS))
        yield Target("RTF", "≤", 0.018, "", found.of(main, "factor"))
        yield Target("64 streams together", "≥", 800, "× real time", found.of(main, "together", 64))
        yield Target("64 streams, first chunk p99", "≤", 100, "ms", found.of(main, "first_p99", 64, _MS))
    if found.options.family == "voxcpm-2":
        yield Target("first chunk p50", "≤", 12, "ms", found.of(main, "first_p50", unit=_MS))
        yield Target("RTF", "≤", 0.03, "", found.of(main, "factor"))
        yield Target("64 streams together", "≥", 400, "× real time", found.of(main, "together", 64))
    yield Target("load to first chunk, from nothing", "≤", 4, "s", found.load("whole"))
    yield Target("load to first chunk, without imports", "≤", 4, "s", found.load("without_imports"))
    yield Target(
        "first chunk against the package compiled", "≥", 10, "times sooner", found.times("first_p50", compiled, main)
    )
    yield Target("RTF against the package compiled", "≥", 5, "times faster", found.times("factor", compiled, main))


def _on_cpu(found: Measurements) -> Iterator[Target]:
    main, quantized = found.main, found.quantized
    if found.options.family == "voxcpm-1.5":
        yield Target(f"{main}: RTF", "≤", 1, "", found.of(main, "factor"))
        yield Target(f"{main}: first chunk", "≤", 165, "ms", found.of(main, "first_p50", unit=_MS))
        sooner = found.times("first_p50", found.package, main)
        yield Target(f"{main}: first chunk against the package", "≥", 2.7, "times sooner", sooner)
    if found.options.family == "voxcpm-1.5" and found.options.quantize == INT8:
        yield Target(f"{quantized}: RTF", "≤", 0.65, "", found.of(quantized, "factor"))
        yield Target(f"{quantized}: a patch", "≤", 100, "ms", found.of(quantized, "patch", unit=_MS))
        yield Target(f"{quantized}: first chunk", "≤", 100, "ms", found.of(quantized, "first_p50", unit=_MS))
        sooner = found.times("first_p50", found.package, quantized)
        yield Target(f"{quantized}: first chunk against the package", "≥", 4.5, "times sooner", sooner)
        together = found.of(quantized, "together", 4)
        yield Target(f"{quantized}: 4 streams together", "≥", 1.6, "× real time", together)
    for label in found.cpp:
        faster = found.times("factor", label, quantized or main)
        yield Target(f"{quantized or main}: RTF against {label}", "≥", 5, "times faster", faster)
    for label, position_costs in found.position_costs.items():
        yield Target(f"{label}, patch after {FAR} / {NEAR} positions", "≤", 1.1, "", position_costs.ratio)


def _applies_here(found: Measurements) -> bool:
    options, environment = found.options, found.environment
    if options.size != "full" or options.steps != 10 or options.dtype != "bfloat16":
        return False
    if options.kind == "cuda":
        return GPU in environment.device
    return environment.cores == CPU_CORES
