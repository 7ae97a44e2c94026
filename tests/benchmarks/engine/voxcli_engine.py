"""voxcli as a measured engine, in a process of its own: two models in one process would share its threads."""

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.engine.child_process import ChildProcess
from tests.benchmarks.engine.figures import Load, Memory, Run
from tests.benchmarks.engine.patch_profile import PatchProfile
from tests.benchmarks.engine.streams import PositionCost

_SCRIPT = Path(__file__).with_name("voxcli_script.py")

_TIMEOUT = 120.0
"""Seconds per job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """The model to load, and how it runs."""

    checkpoint: str
    prepared: str | None
    """Folder of prepared weights."""
    device: str
    dtype: str
    quantize: str | None
    graphs: bool
    slots: int


class VoxcliEngine:
    """A loaded model, measured with up to as many streams as it has slots."""

    def __init__(
        self, label: str, contestant: Contestant, steps: int, *, timeout: float, max_rounds: int = sys.maxsize
    ) -> None:
        """Load it, with the weights in the page cache, and speak two patches.

        Args:
            timeout: seconds.

        Raises:
            ChildFailed: it does not load.
        """
        self.label = label
        self.max_rounds = max_rounds
        self._steps = steps
        started = time.perf_counter()
        self._child = ChildProcess([sys.executable, str(_SCRIPT), json.dumps(asdict(contestant))])
        about = self._child.receive(timeout)
        self.max_streams: int = about["slots"]
        self.captured: bool = about["captured"]
        """Whether it runs CUDA graphs."""
        first = self.speak(1, 2, timeout=timeout)[0].chunks[0][0]
        self.load = Load(time.perf_counter() - started, about["imports"], about["load"], first)

    def speak(self, streams: int, patches: int, *, timeout: float = _TIMEOUT) -> list[Run]:
        """Speak the text in concurrent streams, each with its own seed.

        Raises:
            ChildFailed: it failed or timed out.
        """
        job = {"job": "speak", "streams": streams, "patches": patches, "steps": self._steps}
        runs: list[dict[str, Any]] = self._child.ask(job, timeout)["runs"]
        return [Run(run["started"], [(came, sound) for came, sound in run["chunks"]]) for run in runs]

    def position_cost(self) -> PositionCost:
        return PositionCost(**self._child.ask({"job": "position_cost", "steps": self._steps}, _TIMEOUT))

    def parts(self, streams: tuple[int, ...]) -> dict[int, dict[str, float]]:
        """Return the seconds of each CUDA graph of a step, by the number of streams."""
        found = self._child.ask({"job": "parts", "streams": streams, "steps": self._steps}, _TIMEOUT)
        return {int(count): parts for count, parts in found.items()}

    def profile(self, patches: int) -> PatchProfile:
        return PatchProfile(**self._child.ask({"job": "profile", "patches": patches, "steps": self._steps}, _TIMEOUT))

    def memory(self) -> Memory:
        """Return its peak memory."""
        return Memory(**self._child.ask({"job": "memory"}, _TIMEOUT))

    def close(self) -> None:
        self._child.close()
