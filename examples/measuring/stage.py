"""What every section of a measurement needs."""

from dataclasses import dataclass
from pathlib import Path

from measuring.clock import Clock
from measuring.options import Options
from measuring.results import Results
from voxcli.voxcpm.network.config import ModelConfig


@dataclass(frozen=True, slots=True)
class Stage:
    options: Options
    checkpoint: Path
    config: ModelConfig
    folder: Path
    """Where more may be written."""
    clock: Clock
    results: Results

    @property
    def patch_seconds(self) -> float:
        return self.config.patch_samples / self.config.codec.output_rate


def say(words: str = "") -> None:
    """Print at once: whoever ends this early has what was measured until then."""
    print(words, flush=True)
