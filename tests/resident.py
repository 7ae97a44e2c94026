"""Resident engines for tests: a user's home, in which all of them end with the test."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.program import PATIENCE_SECONDS, user_environment
from voxcli.engines.resident.registry import READY, EngineEntry, Registry, wait_for_end
from voxcli.engines.resident.running import running_engines


@contextmanager
def home_with_engines(home: Path, keep_alive: str = "10m") -> Iterator[tuple[dict[str, str], Registry]]:
    """Yield the environment of a user whose engines stay loaded, and their registry. They are killed at the end."""
    registry = Registry(home / "engines")
    try:
        yield user_environment(home, keep_alive), registry
    finally:
        for entry in registry.entries():
            end(entry)


def end(entry: EngineEntry) -> None:
    """Kill an engine, as the system does when memory runs out."""
    with suppress(ProcessLookupError):
        os.kill(entry.pid, signal.SIGKILL)
    assert wait_for_end(entry, PATIENCE_SECONDS)


def only_engine(registry: Registry) -> EngineEntry:
    """Return the one engine that is ready."""
    (entry,) = [entry for entry in registry.entries() if entry.state == READY]
    return entry


def streams(registry: Registry) -> int:
    """Return how many streams run in all engines."""
    return sum(engine.state["streams"] for engine in running_engines(registry) if engine.state)
