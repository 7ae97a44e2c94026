"""Tiny models, loaded once."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.checkpoints import FAMILIES
from voxcli.voxcpm.device import Placement
from voxcli.voxcpm.loading import load_model
from voxcli.voxcpm.model import Model

CPU = Placement(torch.device("cpu"), torch.float32)


@pytest.fixture(scope="session")
def models(checkpoints: Callable[[str], Path]) -> Callable[[str], Model]:
    loaded: dict[str, Model] = {}

    def model(family: str) -> Model:
        if family not in loaded:
            loaded[family] = load_model(checkpoints(family), CPU, threads=1)
        return loaded[family]

    return model


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name
