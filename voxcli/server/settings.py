"""How a server is run."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """What the operator chose."""

    host: str = "127.0.0.1"
    port: int = 7861
    keys: frozenset[str] = frozenset()
    """Each opens the door; without any it stands open."""
    allowed_hosts: tuple[str, ...] = ()
    """Names, beside the address it listens on, that a Host header may carry."""
    cors_origins: tuple[str, ...] = ()
    slots: int | None = None
    """Streams at once; None as many as the engine runs."""
    queue: int = 16
    """Requests that may wait for a slot."""
    wait_seconds: float = 60.0
    """For a slot, before a request is sent away."""
    send_seconds: float = 30.0
    """For the client to take a piece of sound, before it is given up."""
    drain_seconds: float = 30.0
    """For running streams to end, after SIGTERM."""
    max_characters: int = 4096
    max_upload_bytes: int = 10 * 2**20
    max_clip_seconds: float = 60.0
    strict_models: bool = False
    """Refuse the names of models other than the one that is loaded."""
    lazy: bool = False
    """Load the model when it is first needed."""
    idle_seconds: float | None = None
    """Unload the model after so long without work; None keeps it."""
    voices: Path | None = None
