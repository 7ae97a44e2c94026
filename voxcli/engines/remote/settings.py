"""Which server speaks, and how it is asked."""

from dataclasses import dataclass, field
from pathlib import Path

from voxcli.protocols.dialect import Dialect, Wishes

CONNECT_SECONDS = 5.0
READ_SECONDS = 300.0
"""A first request may have to wait until a model is loaded, or others are served."""
WAITS_SECONDS = (0.5, 1.0, 2.0)
"""Before each further try."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteSettings:
    """What the user asked for."""

    url: str
    """The base of the server, as `normalized_url` writes it; for OpenAI's protocol with /v1 or without."""
    dialect: Dialect | None = None
    """None finds out, without making sound."""
    key: str | None = field(default=None, repr=False)
    wishes: Wishes = field(default_factory=Wishes)
    connect_seconds: float = CONNECT_SECONDS
    read_seconds: float = READ_SECONDS
    """The longest silence from the server."""
    waits_seconds: tuple[float, ...] = WAITS_SECONDS
    as_asked: bool = False
    """Fail where a server does not stream, rather than ask it for the whole: for whoever measures streams."""
    cache: Path | None = None
    """The folder for what is known of servers; None remembers nothing."""
