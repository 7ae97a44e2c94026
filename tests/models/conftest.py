"""Fixtures: a hub with a model, and an empty library."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.checkpoints import write_checkpoint
from tests.hub import Hub, serving
from voxcli.models.catalog import HubName
from voxcli.models.download import Pull, plan_pull
from voxcli.models.hubs import open_hub
from voxcli.models.library import ModelLibrary

MODEL_IDS: dict[HubName, str] = {"huggingface": "openbmb/VoxCPM1.5", "modelscope": "OpenBMB/VoxCPM1.5"}

Plan: TypeAlias = Callable[..., Pull]
"""Plans a pull of voxcpm-1.5, unless `name`, `revision` or `token` say otherwise."""


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    write_checkpoint(folder, "voxcpm-1.5", 1)
    return folder


@pytest.fixture
def files(checkpoint: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in checkpoint.iterdir()}


@pytest.fixture
def library(tmp_path: Path) -> ModelLibrary:
    return ModelLibrary(tmp_path / "shared", tmp_path / "own")


@pytest.fixture(params=MODEL_IDS)
def source(request: pytest.FixtureRequest) -> HubName:
    name: HubName = request.param
    return name


@pytest.fixture
def hub(files: dict[str, bytes], source: HubName) -> Iterator[Hub]:
    extra = {"README.md": b"# VoxCPM", "picture.png": bytes(30_000), "pytorch_model.bin": bytes(30_000)}
    with serving(Hub(MODEL_IDS[source], files | extra)) as hub:
        yield hub


@pytest.fixture
def plan(hub: Hub, library: ModelLibrary, source: HubName) -> Plan:
    def ask(name: str = "voxcpm-1.5", revision: str | None = None, token: str = "secret") -> Pull:
        return plan_pull(library, name, open_hub(source, endpoint=hub.url, token=token), revision)

    return ask
