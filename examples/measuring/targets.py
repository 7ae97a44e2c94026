"""What was promised, and whether it was kept. A promise for another machine is neither kept nor broken here."""

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from measuring.environment import Environment
from measuring.figures import Figures
from measuring.flat import FAR, NEAR, Flatness
from measuring.load import Load
from measuring.options import Options

GPU = "H200"
CPU_CORES = 2

_MS = 0.001


@dataclass(frozen=True, slots=True)
class Verdict:
    what: str
    target: str
    measured: str
    met: bool | None
    """None if it is a promise for another machine, or another way to run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What promises are about."""

    options: Options
    environment: Environment
    figures: Mapping[str, Mapping[int, Figures]]
    loads: Mapping[str, list[Load]]
    flatness: Mapping[str, Flatness]
    main: str
    """The contestant that runs as we would have it."""
    quantized: str | None
    package: str
    compiled: str

    def of(self, label: str | None, name: str, streams: int = 1, unit: float = 1.0) -> float | None:
        """Return one of a contestant's figures, in its unit; None if it was not measured."""
        its = self.figures.get(label or "", {}).get(streams)
        return None if its is None else float(getattr(its, name)) / unit

    def times(self, name: str, theirs: str, ours: str | None) -> float | None:
        """Return how many times more of this one stream of the package takes than one of ours."""
        one, other = self.of(ours, name), self.of(theirs, name)
        return None if one is None or other is None else other / one

    def load(self, name: str) -> float | None:
        loads = self.loads.get(self.main)
        return statistics.median(getattr(load, name) for load in loads) if loads else None


@dataclass(frozen=True, slots=True)
class Promise:
    what: str
    relation: Literal["≤", "≥"]
    limit: float
    unit: str
    figure: float | None
    """None if it was not measured."""

    def verdict(self, *, meant: bool) -> Verdict:
        met = None
        if self.figure is not None and meant:
            met = self.figure <= self.limit if self.relation == "≤" else self.figure >= self.limit
        measured = "not measured" if self.figure is None else f"{self.figure:.3g} {self.unit}".strip()
        return Verdict(self.what, f"{self.relation} {self.limit:g} {self.unit}".strip(), measured, met)


def judge(seen: Seen) -> list[Verdict]:
    """Hold each promise for this kind of device against what was measured."""
    promises = _on_gpu(seen) if seen.options.kind == "cuda" else _on_cpu(seen)
    return [promise.verdict(meant=_is_meant(seen)) for promise in promises]


def meant_for(options: Options) -> str:
    """Say what the targets are for."""
    machine = f"one {GPU}" if options.kind == "cuda" else f"{CPU_CORES} cores with AMX"
    return f"{machine}, full size, bfloat16, 10 steps"


def _on_gpu(seen: Seen) -> Iterator[Promise]:
    main, compiled = seen.main, seen.compiled
    if seen.options.family == "voxcpm-1.5":
        yield Promise("first chunk p50", "≤", 6, "ms", seen.of(main, "first_p50", unit=_MS))
        yield Promise("RTF", "≤", 0.018, "", seen.of(main, "factor"))
        yield Promise("64 streams together", "≥", 800, "× real time", seen.of(main, "together", 64))
        yield Promise("64 streams, first chunk p99", "≤", 100, "ms", seen.of(main, "first_p99", 64, _MS))
    if seen.options.family == "voxcpm-2":
        yield Promise("first chunk p50", "≤", 12, "ms", seen.of(main, "first_p50", unit=_MS))
        yield Promise("RTF", "≤", 0.03, "", seen.of(main, "factor"))
        yield Promise("64 streams together", "≥", 400, "× real time", seen.of(main, "together", 64))
    yield Promise("load to first chunk, from nothing", "≤", 4, "s", seen.load("whole"))
    yield Promise("load to first chunk, without imports", "≤", 4, "s", seen.load("without_imports"))
    yield Promise(
        "first chunk against the package compiled", "≥", 10, "times sooner", seen.times("first_p50", compiled, main)
    )
    yield Promise("RTF against the package compiled", "≥", 5, "times faster", seen.times("factor", compiled, main))


def _on_cpu(seen: Seen) -> Iterator[Promise]:
    if seen.options.family == "voxcpm-1.5" and seen.options.quantize == "int8":
        yield Promise("RTF in int8", "≤", 1, "", seen.of(seen.quantized, "factor"))
    for label in filter(None, (seen.main, seen.quantized)):
        sooner = seen.times("first_p50", seen.package, label)
        yield Promise(f"first chunk of {label} against the package", "≥", 5, "times sooner", sooner)
    for label, flatness in seen.flatness.items():
        yield Promise(f"{label}, patch after {FAR} / {NEAR} positions", "≤", 1.1, "", flatness.ratio)


def _is_meant(seen: Seen) -> bool:
    options, environment = seen.options, seen.environment
    if options.size != "full" or options.steps != 10 or options.dtype != "bfloat16":
        return False
    if options.kind == "cuda":
        return GPU in environment.device
    return environment.amx and environment.cores == CPU_CORES
