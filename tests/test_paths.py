"""Places."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from voxcli.paths import find_places


def test_one_variable_moves_everything_that_is_ours(tmp_path: Path) -> None:
    places = find_places({"VOXCLI_HOME": str(tmp_path)})
    assert {places.settings.parent, places.voices.parent, places.cache.parent, places.models.parent} == {tmp_path}
    assert places.hub == find_places({}).hub


def test_without_it_the_system_decides() -> None:
    places = find_places({})
    for path in (places.settings, places.voices, places.models):
        assert "voxcli" in path.parts


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"XDG_CACHE_HOME": "/x/cache"},
        {"HF_HOME": "/x/home", "XDG_CACHE_HOME": "/x/cache"},
        {"HUGGINGFACE_HUB_CACHE": "/x/old", "HF_HOME": "/x/home"},
        {"HF_HUB_CACHE": "~/hub", "HUGGINGFACE_HUB_CACHE": "/x/old"},
        {"HF_HOME": "$SCRATCH/${SCRATCH}/$NOTHING", "SCRATCH": "/x"},
    ],
)
def test_the_hub_is_where_its_own_library_looks(environment: dict[str, str]) -> None:
    ask = "from huggingface_hub import constants; print(constants.HF_HUB_CACHE)"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING", "XDG_"))}
    answer = subprocess.run(
        [sys.executable, "-c", ask], env=kept | environment, capture_output=True, text=True, check=True
    )
    assert find_places(environment).hub == Path(answer.stdout.strip())
