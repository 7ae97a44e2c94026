"""Tiny random checkpoints of every family, made once, and the little time in which they draw a named voice."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the folder of a family's checkpoint."""
    made: dict[str, Path] = {}

    def checkpoint(family: str) -> Path:
        if family not in made:
            from tests.checkpoints import write_checkpoint  # loads torch, which few processes need

            made[family] = tmp_path_factory.mktemp("models") / family
            write_checkpoint(made[family], family, seed=3)
        return made[family]

    return checkpoint


@pytest.fixture(scope="module")
def short_anchors() -> Iterator[None]:
    """Let a random model, which never comes to an end, draw a named voice in one short attempt."""
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr("voxcli.voices.anchors._ATTEMPTS", 1)
        changed.setattr("voxcli.engines.local.LONGEST_SECONDS", 0.5)
        yield
