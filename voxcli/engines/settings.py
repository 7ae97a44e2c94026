"""How a model runs on this machine, as the user asked for it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voxcli.engines.remote.settings import RemoteSettings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voxcli.engines.remote.settings import RemoteSettings

AUTO = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """What makes a difference to speed and memory, and how a fine-tuned voice is added."""

    device: str = AUTO
    """auto, cpu, cuda, cuda:N or mps."""
    dtype: str = AUTO
    """auto, float32, bfloat16 or float16."""
    quantize: str | None = None
    """int8, on a CPU, or fp8, on an NVIDIA GPU: most of the large matrices in 8 bits."""
    threads: int | None = None
    """Of the CPU; None takes what the machine can spare."""
    slots: int | None = None
    """Streams at once; None takes what there is memory for."""
    lazy_graphs: bool = False
    """Record CUDA graphs when they are first used: ready sooner, and the first sounds come later."""
    lora: Path | None = None
    """A folder with a fine-tuned difference to the model."""
    clips: Path | None = None
    """Where encoded clips are kept from run to run; None keeps them in memory only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Which model speaks, on this machine or on a server, and how it runs."""

    model: str | None = None
    """None takes the best that is installed; on a server, its own."""
    local: LocalSettings = LocalSettings()
    remote: "RemoteSettings | None" = None
    """A server that speaks instead of this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Which model speaks, on this machine or on a server, and how it runs."""

    model: str | None = None
    """None takes the best that is installed; on a server, its own."""
    local: LocalSettings = LocalSettings()
    remote: "RemoteSettings | None" = None
    """A server that speaks instead of this machine."""
