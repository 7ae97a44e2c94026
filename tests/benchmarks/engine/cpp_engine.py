"""VoxCPM.cpp (github.com/bluryar/VoxCPM.cpp) as a measured engine: a process of its own for each utterance."""

import os
import re
import subprocess
import tempfile
from pathlib import Path

from tests.benchmarks.engine.child_process import ChildFailed
from tests.benchmarks.engine.figures import Memory, Run
from tests.benchmarks.engine.options import GUIDANCE, TEXT

LABEL = "VoxCPM.cpp"
_PROGRAM = Path("build/examples/voxcpm_tts")
_TIMEOUT = 300.0
"""Seconds per utterance, with loading."""


def models_in(folder: Path) -> list[Path]:
    """Return the converted models beside the program."""
    return sorted(folder.glob("*.gguf"))


class CppEngine:
    """Speaks a whole utterance at a time. Its own clock is taken, which does not count loading."""

    max_streams = 1
    max_rounds = 3

    def __init__(self, folder: Path, model: Path, *, threads: int, steps: int) -> None:
        """
        Args:
            folder: of its sources, with what was built in `build`.
            model: converted to GGUF.
        """
        self.label = f"{LABEL} {model.stem}"
        self._command = [str(folder / _PROGRAM), "--model-path", str(model), "--threads", str(threads)]
        self._command += ["--text", TEXT, "--inference-timesteps", str(steps), "--cfg-value", str(GUIDANCE)]

    def speak(self, streams: int, patches: int) -> list[Run]:
        """Speak the text `streams` times, one after another.

        Raises:
            ChildFailed: it failed or timed out.
        """
        return [self._speak(patches) for _ in range(streams)]

    def _speak(self, patches: int) -> Run:
        settings = {"VOXCPM_BENCHMARK_DECODE_STEPS": str(patches), "VOXCPM_BENCHMARK_IGNORE_STOP": "1"}
        with tempfile.TemporaryDirectory() as folder:
            command = [*self._command, "--output", str(Path(folder) / "sound.wav")]
            try:
                done = subprocess.run(command, env=os.environ | settings, capture_output=True, timeout=_TIMEOUT)
            except (OSError, subprocess.TimeoutExpired) as error:
                raise ChildFailed(str(error)) from error
        said = done.stderr.decode(errors="replace")
        took, sound = re.search(r"Total:\s+([\d.]+)s", said), re.search(r"Saved audio .*\(([\d.]+)s\)", said)
        if done.returncode or not took or not sound:
            raise ChildFailed(said.splitlines()[-1] if said else f"it exited with {done.returncode}")
        return Run(0.0, [(float(took[1]), float(sound[1]))])

    def memory(self) -> Memory:
        """It is not measured."""
        return Memory(0)

    def close(self) -> None:
        """Nothing runs between utterances."""
