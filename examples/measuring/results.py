"""All that was measured, as it comes together."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from measuring.environment import Environment
from measuring.equality import Comparison
from measuring.figures import Figures
from measuring.flat import Flatness
from measuring.load import Load, Memory
from measuring.options import Options
from measuring.rates import Rates
from measuring.targets import Verdict


@dataclass(frozen=True, slots=True)
class Floor:
    """The least there is to do, in seconds by the two rates of the device."""

    first_chunk: float
    patch: dict[int, float]
    """Streams at once -> a step for all of them."""
    bytes_read: dict[str, float]
    """In a step of one stream, part by part."""
    operations: float
    """Of a step of one stream."""


@dataclass(slots=True, kw_only=True)
class Results:
    """Most are kept by the name of the contestant."""

    options: Options
    environment: Environment
    checkpoint_bytes: int = 0
    checkpoint_seconds: float = 0.0
    """To write it; next to nothing if it was there."""
    rates: Rates | None = None
    package: str = ""
    """What it is and runs on."""
    package_missing: bool = False
    floors: dict[str, Floor] = field(default_factory=dict)
    comparisons: list[Comparison] = field(default_factory=list)
    loads: dict[str, list[Load]] = field(default_factory=dict)
    memories: dict[str, Memory] = field(default_factory=dict)
    figures: dict[str, dict[int, Figures]] = field(default_factory=dict)
    """And by the streams at once."""
    parts: dict[str, dict[int, dict[str, float]]] = field(default_factory=dict)
    """And by the streams at once and the part of the step, in seconds."""
    flatness: dict[str, Flatness] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    not_compared: list[str] = field(default_factory=list)
    out: dict[str, str] = field(default_factory=dict)
    """Who could not go on, and why."""
    failed: list[str] = field(default_factory=list)
    """What went wrong with ours."""
    seconds: float = 0.0
    """It took in all."""

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1, default=str, ensure_ascii=False), "utf-8")
