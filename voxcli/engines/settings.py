"""Settings of a model that runs on this machine."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voxcli.engines.remote.settings import RemoteSettings

AUTO = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """Device, precision, memory, and a LoRA to apply."""

    device: str = AUTO
    """auto, cpu, cuda, cuda:N or mps."""
    dtype: str = AUTO
    """auto, float32, bfloat16 or float16."""
    quantize: str | None = None
    """int8 (CPU) or fp8 (NVIDIA GPU): hold most of the large matrices in 8 bits."""
    threads: int | None = None
    """Fixed number of CPU threads; None uses one per core."""
    slots: int | None = None
    """Streams at once; None takes as many as fit into memory."""
    lazy_graphs: bool = False
    """Capture CUDA graphs on first use instead of at load time."""
    lora: Path | None = None
    """A LoRA: a folder with lora_weights and lora_config.json, or the file of weights."""
    clips: Path | None = None
    """Folder in which encoded clips are kept between runs; None keeps them in memory only."""
    prepared: Path | None = None
    """Folder in which weights are kept as they are used on a CPU; None prepares them at each start."""
    kernels: Path | None = None
    """Folder in which code that is compiled for this processor is kept; None compiles it at each start."""
    alone: bool = False
    """Whether this process uses torch for nothing else, so that only what is needed of it is imported."""
    cache: Path | None = None
    """Folder in which Kokoro's model is kept as it is used; None prepares it at each start."""
    anchors: Path | None = None
    """Folder in which the first seconds of the named voices are kept; None keeps them in memory only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Which model speaks, on this machine or on a server, and how it runs."""

    model: str | None = None
    """None takes the best that is installed; on a server, its own."""
    local: LocalSettings = LocalSettings()
    remote: "RemoteSettings | None" = None
    """A server that speaks instead of this machine."""
    keep_alive: float = 0.0
    """Seconds for which a resident engine stays loaded after its last request, infinity for ever; 0 loads the model
    into this process, and leaves nothing behind."""
