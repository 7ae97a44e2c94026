"""The published package as a contestant, in a process of its own."""

import json
import sys
import time
from pathlib import Path

from measuring.dialogue import Dialogue, DialogueEnded
from measuring.figures import Run
from measuring.options import GUIDANCE, SEED, TEXT, Options

_SCRIPT = Path(__file__).parent / "guest" / "speak.py"

_PATIENCE = 120.0
"""Seconds, for an utterance."""


class PackageMissing(DialogueEnded):
    """It cannot even be imported."""


class Theirs:
    """It speaks one stream at a time: that is all it can."""

    most_streams = 1
    most_turns = sys.maxsize

    def __init__(
        self,
        label: str,
        checkpoint: Path,
        options: Options,
        *,
        compiled: bool = False,
        exact: bool = False,
        patience: float,
    ) -> None:
        """Load it. `about` then tells what it is, `loaded` the seconds from the call of Python.

        Args:
            compiled: let it compile in its own way.
            exact: multiply float32 as such, also where a device would rather not.
            patience: seconds.

        Raises:
            PackageMissing: it cannot be imported.
            DialogueEnded: it does not load.
        """
        self.label = label
        self._steps = options.steps
        wanted = {
            "package": None if options.package is None else str(options.package.resolve()),
            "checkpoint": str(checkpoint.resolve()),
            # Only so called does it compile.
            "device": "cuda" if options.device == "cuda:0" else options.device,
            "compile": compiled,
            "exact": exact,
        }
        command = [str(options.python), "-W", "ignore", str(_SCRIPT), json.dumps(wanted)]
        started = time.perf_counter()
        try:
            self._dialogue = Dialogue(command)
            self.about = self._dialogue.hear(patience)
        except DialogueEnded as error:
            raise PackageMissing(str(error)) from None
        self.about |= self._dialogue.hear(started + patience - time.perf_counter())
        self.loaded = time.perf_counter() - started
        if compiled and not self.about["compiled"]:
            raise self._dialogue.ended("torch.compile disabled")

    def told(self) -> str:
        missing = self.about["stand_ins"]
        return f"voxcpm {self.about['package']} on torch {self.about['torch']}" + (
            f", with stand-ins for {', '.join(missing)}, which are not here" if missing else ""
        )

    def speak(self, streams: int, patches: int, *, patience: float = _PATIENCE) -> list[Run]:
        """Say the text so often.

        Raises:
            DialogueEnded: it fails, or is not done in so many seconds.
        """
        runs = [self._dialogue.ask(self._job(SEED, patches, None), patience)["run"] for _ in range(streams)]
        return [Run(run["started"], [(came, sound) for came, sound in run["chunks"]]) for run in runs]

    def keep(self, seed: int, patches: int, path: Path, patience: float) -> None:
        """Say the text as a whole, and write the samples to a file.

        Raises:
            DialogueEnded: it fails, or is not done in so many seconds.
        """
        self._dialogue.ask(self._job(seed, patches, path), patience)

    def _job(self, seed: int, patches: int, samples: Path | None) -> dict[str, object]:
        return {
            "text": TEXT,
            "seed": seed,
            "guidance": GUIDANCE,
            "steps": self._steps,
            "patches": patches,
            "samples": None if samples is None else str(samples),
        }

    def memory(self) -> dict[str, int]:
        """Return the most bytes it took until now."""
        return self._dialogue.ask({"memory": True}, _PATIENCE)

    def close(self) -> None:
        self._dialogue.close()
