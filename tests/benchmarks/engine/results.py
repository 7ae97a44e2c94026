"""Results of a measurement as they come in, and the context that every section of it needs."""

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.benchmarks.engine.device import Environment, Rates
from tests.benchmarks.engine.figures import Figures, Load, Memory
from tests.benchmarks.engine.options import SEED, Options
from tests.benchmarks.engine.patch_profile import PatchProfile
from tests.benchmarks.engine.streams import PositionCost
from tests.benchmarks.engine.targets import Verdict
from tests.benchmarks.engine.work import Part
from voxcli.voxcpm.network.config import ModelConfig

TOLERANCE = 1e-3
"""As a share of the peak. Another order of summation makes about 1e-5."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sounds that should be equal."""

    what: str
    differences: tuple[float, ...]
    """The largest difference between two samples as a share of the peak, for each seed that was tried."""
    first_patch: float
    """The same for the first patch alone: the largest over all seeds."""

    @property
    def good(self) -> bool:
        return min(self.differences) <= TOLERANCE and self.first_patch <= TOLERANCE

    def summary(self) -> str:
        tried = ", ".join(f"{difference:.1e}" for difference in self.differences)
        seeds = f" (seeds {SEED} to {SEED + len(self.differences) - 1})" if len(self.differences) > 1 else ""
        return f"{'equal ' if self.good else 'DIFFER'}  {self.what}: {tried} of the peak{seeds}"


@dataclass(frozen=True, slots=True)
class Floor:
    """The least possible time in seconds, from the two rates of the device."""

    first_chunk: float
    patch: dict[int, float]
    """Concurrent streams -> one step for all of them."""
    parts: dict[str, Part]
    """Of a step of one stream."""
    prefill: Part

    @property
    def bytes_read(self) -> float:
        return sum(part.read for part in self.parts.values())

    @property
    def operations(self) -> float:
        return sum(part.done for part in self.parts.values())


@dataclass(slots=True, kw_only=True)
class Results:
    """Everything that was measured. Most fields are keyed by the label of the engine."""

    options: Options
    environment: Environment
    checkpoint_bytes: int = 0
    checkpoint_seconds: float = 0.0
    """Time to write it; close to zero if it existed."""
    rates: Rates | None = None
    package: str = ""
    """Version of the package, and of its torch."""
    package_not_importable: bool = False
    floors: dict[str, Floor] = field(default_factory=dict)
    comparisons: list[Comparison] = field(default_factory=list)
    loads: dict[str, list[Load]] = field(default_factory=dict)
    memories: dict[str, Memory] = field(default_factory=dict)
    figures: dict[str, dict[int, Figures]] = field(default_factory=dict)
    """Label -> concurrent streams -> figures."""
    parts: dict[str, dict[int, dict[str, float]]] = field(default_factory=dict)
    """Label -> concurrent streams -> part of the step -> seconds."""
    position_costs: dict[str, PositionCost] = field(default_factory=dict)
    profiles: dict[str, PatchProfile] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    not_compared: list[str] = field(default_factory=list)
    dropped: dict[str, str] = field(default_factory=dict)
    """Engine that failed -> reason."""
    failed: list[str] = field(default_factory=list)
    """Failures of voxcli, as opposed to those of the package."""
    seconds: float = 0.0
    """Total running time."""

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1, default=str, ensure_ascii=False), "utf-8")


class Deadline:
    """The time budget of the whole measurement."""

    def __init__(self, minutes: float) -> None:
        self._started = time.monotonic()
        self._seconds = 60 * minutes

    @property
    def passed(self) -> float:
        return time.monotonic() - self._started

    @property
    def left(self) -> float:
        return self._seconds - self.passed


@dataclass(frozen=True, slots=True)
class Context:
    """What every section of a measurement needs."""

    options: Options
    checkpoint: Path
    config: ModelConfig
    folder: Path
    """For more files."""
    deadline: Deadline
    results: Results

    @property
    def patch_seconds(self) -> float:
        return self.config.patch_samples / self.config.codec.output_rate


def echo(text: str = "") -> None:
    """Print and flush, so that an interrupted run shows the figures measured so far."""
    print(text, flush=True)
