"""Places."""

from pathlib import Path

from voxcli.paths import find_places


def test_one_variable_moves_everything(tmp_path: Path) -> None:
    places = find_places({"VOXCLI_HOME": str(tmp_path)})
    assert {places.settings.parent, places.voices.parent, places.cache.parent} == {tmp_path}


def test_without_it_the_system_decides() -> None:
    places = find_places({})
    assert "voxcli" in places.settings.parts
    assert "voxcli" in places.voices.parts
