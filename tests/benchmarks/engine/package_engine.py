"""The published package `voxcpm` as a measured engine, in a process of its own."""

import json
import sys
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.engine.child_process import ChildFailed, ChildProcess
from tests.benchmarks.engine.figures import Memory, Run
from tests.benchmarks.engine.options import GUIDANCE, SEED, TEXT, Options

_SCRIPT = Path(__file__).with_name("package_script.py")

_TIMEOUT = 120.0
"""Seconds per utterance."""


class PackageNotImportable(ChildFailed):
    """The package cannot be imported."""


class PackageEngine:
    """Runs one stream at a time: the package has no batching."""

    max_streams = 1
    max_rounds = sys.maxsize

    def __init__(
        self,
        label: str,
        checkpoint: Path,
        options: Options,
        *,
        compiled: bool = False,
        exact: bool = False,
        timeout: float,
    ) -> None:
        """Load it. `about` holds versions and load times, `loaded` the seconds since the start of Python.

        Args:
            compiled: use the package's own torch.compile path.
            exact: multiply in full float32, not TF32.
            timeout: seconds.

        Raises:
            PackageNotImportable: it cannot be imported.
            ChildFailed: it does not load.
        """
        self.label = label
        self._steps = options.steps
        job = {
            "package": None if options.package is None else str(options.package.resolve()),
            "checkpoint": str(checkpoint.resolve()),
            # It compiles for this name only.
            "device": "cuda" if options.device == "cuda:0" else options.device,
            "compile": compiled,
            "exact": exact,
        }
        command = [str(options.python), "-W", "ignore", str(_SCRIPT), json.dumps(job)]
        started = time.perf_counter()
        try:
            self._child = ChildProcess(command)
            self.about = self._child.receive(timeout)
        except ChildFailed as error:
            raise PackageNotImportable(str(error)) from None
        self.about |= self._child.receive(started + timeout - time.perf_counter())
        self.loaded = time.perf_counter() - started
        if compiled and not self.about["compiled"]:
            raise self._child.failed("torch.compile disabled")

    def summary(self) -> str:
        missing = self.about["stand_ins"]
        return f"voxcpm {self.about['package']} on torch {self.about['torch']}" + (
            f", with stand-ins for {', '.join(missing)}, which are not installed" if missing else ""
        )

    def speak(self, streams: int, patches: int, *, timeout: float = _TIMEOUT) -> list[Run]:
        """Speak the text `streams` times, one after another.

        Raises:
            ChildFailed: it failed or timed out.
        """
        runs = [self._child.ask(self._job(SEED, patches, None), timeout)["run"] for _ in range(streams)]
        return [Run(run["started"], [(came, sound) for came, sound in run["chunks"]]) for run in runs]

    def write_samples(self, seed: int, patches: int, path: Path, timeout: float) -> None:
        """Speak the text without streaming, and write the samples to an .npy file.

        Raises:
            ChildFailed: it failed or timed out.
        """
        self._child.ask(self._job(seed, patches, path), timeout)

    def _job(self, seed: int, patches: int, samples: Path | None) -> dict[str, object]:
        return {
            "text": TEXT,
            "seed": seed,
            "guidance": GUIDANCE,
            "steps": self._steps,
            "patches": patches,
            "samples": None if samples is None else str(samples),
        }

    def memory(self) -> Memory:
        """Return its peak memory."""
        return Memory(**self._child.ask({"memory": True}, _TIMEOUT))

    def close(self) -> None:
        self._child.close()


def with_dtype(checkpoint: Path, dtype: str, folder: Path) -> Path:
    """Return the checkpoint with another dtype in its config, which is where the package reads it from."""
    config: dict[str, Any] = json.loads((checkpoint / "config.json").read_text("utf-8"))
    if config["dtype"] == dtype:
        return checkpoint
    changed = folder / f"{checkpoint.name}-{dtype}"
    changed.mkdir(exist_ok=True)
    for file in checkpoint.iterdir():
        if file.name != "config.json" and not (changed / file.name).exists():
            (changed / file.name).symlink_to(file.resolve())
    (changed / "config.json").write_text(json.dumps(config | {"dtype": dtype}), "utf-8")
    return changed
