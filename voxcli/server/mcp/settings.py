"""Settings of the tools for agents: what agents may do, and with what."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from voxcli.server.mcp.outputs import Folder
from voxcli.synthesis.request import GpuMemory


class WarmEngine(Protocol):
    """An engine that may be loaded in another process. The calls may block."""

    def gpu_memory(self) -> GpuMemory | None:
        """Return the GPU memory that it uses; None if it uses none, or is not loaded."""
        ...

    def unload(self) -> None:
        """End it, after what it is speaking."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """What agents may do."""

    turns: Path
    """Folder of the queue for the loudspeaker."""
    plays: bool = True
    """Whether speech is played on this machine."""
    audio_device: str | None = None
    folder: Folder | None = None
    """Where files may be written; None for nowhere."""
    own: bool = True
    """Whether the agent is a program of this user, who is told everything, and whose recordings are read anywhere."""
    max_characters: int = 100_000
    warm: WarmEngine | None = None
    """The engine of this user that stays loaded in another process, if that is where the model runs."""
