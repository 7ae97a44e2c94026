"""Engines over several servers: what they tell of each server, and the engine of one text."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from voxcli.synthesis.request import Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerReport:
    """One of several servers."""

    name: str
    """Its host and port."""
    model: str | None
    """None if it does not tell."""
    streams: int
    """That run on it for this program."""
    slots: int
    """Streams that it runs at once."""
    spare: bool
    """It speaks otherwise than the first server, and only where no server of that kind can."""
    problem: str | None
    """Why it is left out; None if it gets requests."""
    failures: int
    """How often it could not speak, and another server was asked."""


@runtime_checkable
class SharesTexts(Protocol):
    """An engine that shares the texts among several servers."""

    def servers(self) -> list[ServerReport]: ...

    def for_one_text(self) -> Engine:
        """Return an engine for one text, all of it on one server while that answers. The caller closes it."""
        ...
