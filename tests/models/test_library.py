"""Model library: names, complete and incomplete checkpoints, sizes and removal."""

import shutil
from pathlib import Path

import pytest

from tests.refusals import refused
from voxcli.errors import NotFound, RequestError
from voxcli.models.library import ModelLibrary

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def install(checkpoint: Path, cache: Path, model_id: str, commit: str = COMMIT, *, without: str = "") -> Path:
    """Install a model the way a hub's own tools do, optionally without one of its files."""
    repository = cache / f"models--{model_id.replace('/', '--')}"
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir(exist_ok=True)
    for path in checkpoint.iterdir():
        if path.name != without:
            blob = repository / "blobs" / f"{path.name}-{commit}"
            shutil.copy(path, blob)
            (snapshot / path.name).symlink_to(Path("../../blobs") / blob.name)
    (repository / "refs").mkdir(exist_ok=True)
    (repository / "refs" / "main").write_text(commit)
    return snapshot


@pytest.mark.parametrize(
    "name", ["voxcpm-1.5", "VoxCPM-1.5", "openbmb/VoxCPM1.5", "OpenBMB/VoxCPM1.5", f"voxcpm-1.5@{COMMIT[:8]}"]
)
def test_a_model_is_found_by_each_of_its_names(checkpoint: Path, library: ModelLibrary, name: str) -> None:
    assert library.find(name) is None
    snapshot = install(checkpoint, library.shared, "openbmb/VoxCPM1.5")
    assert library.find(name) == library.load(name) == snapshot


@pytest.mark.parametrize("name", ["voxcpm-1.5", "openbmb/VoxCPM1.5"])
def test_a_model_from_modelscope_is_found_too(checkpoint: Path, library: ModelLibrary, name: str) -> None:
    snapshot = install(checkpoint, library.own, "OpenBMB/VoxCPM1.5")
    assert library.find(name) == snapshot


def test_a_model_of_somebody_else_is_found_by_its_id(checkpoint: Path, library: ModelLibrary) -> None:
    snapshot = install(checkpoint, library.shared, "me/my-voxcpm")
    assert library.find("me/my-voxcpm") == snapshot
    assert library.best() is None


def test_a_folder_is_a_model(checkpoint: Path, library: ModelLibrary) -> None:
    assert library.find(str(checkpoint)) == library.load(str(checkpoint)) == checkpoint


def test_a_folder_named_like_a_model_does_not_stand_in_its_way(
    checkpoint: Path, library: ModelLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = install(checkpoint, library.shared, "openbmb/VoxCPM1.5")
    (tmp_path / "voxcpm-1.5").mkdir()
    monkeypatch.chdir(tmp_path)
    assert library.find("voxcpm-1.5") == snapshot
    with pytest.raises(NotFound, match="is not a complete checkpoint"):
        library.load("./voxcpm-1.5")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("voxcpm-1.5", r"^Model voxcpm-1\.5 is not installed. Install it with: voxcli models pull voxcpm-1\.5$"),
        ("me/my-voxcpm", r"^Model me/my-voxcpm is not installed. Install it with: voxcli models pull me/my-voxcpm$"),
        ("voxcpm-3", r"no model 'voxcpm-3'\. Did you mean 'voxcpm-2'\?.*voxcpm-2, voxcpm-1\.5, voxcpm-0\.5b"),
        ("/no/such/folder", r"no model '/no/such/folder'.*a folder with a checkpoint"),
        ("x" * 5000, "Known: "),
        ("~nobody/x", "Known: "),
        ("a\0b", "Known: "),
        ("", "Known: "),
    ],
)
def test_what_is_not_here_is_refused_with_the_next_step(library: ModelLibrary, name: str, advice: str) -> None:
    assert library.find(name) is None
    with refused(advice, NotFound):
        library.load(name)


@pytest.mark.parametrize(
    ("file", "missing"),
    [
        ("config.json", "config.json"),
        ("tokenizer.json", "tokenizer.json"),
        ("model.safetensors", "model.safetensors or pytorch_model.bin"),
        ("audiovae.pth", "audiovae.safetensors or audiovae.pth"),
    ],
)
def test_a_checkpoint_without_a_part_is_not_whole(
    checkpoint: Path, library: ModelLibrary, tmp_path: Path, file: str, missing: str
) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(checkpoint, folder)
    (folder / file).unlink()
    assert library.find(str(folder)) is None
    with pytest.raises(NotFound, match=rf"Missing: {missing}\.$"):
        library.load(str(folder))

    install(checkpoint, library.shared, "openbmb/VoxCPM1.5", without=file)
    assert library.find("voxcpm-1.5") is None
    assert [model.missing for model in library.installed()] == [(missing,)]
    with pytest.raises(NotFound, match="is only partly downloaded"):
        library.load("voxcpm-1.5")


def test_either_form_of_weights_will_do(checkpoint: Path, library: ModelLibrary, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(checkpoint, folder)
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"weights")
    assert library.find(str(folder)) == folder


@pytest.mark.parametrize("size", [0, 4, 100, 10_000, -1])
def test_weights_that_are_cut_short_are_noticed(
    checkpoint: Path, library: ModelLibrary, tmp_path: Path, size: int
) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(checkpoint, folder)
    data = (checkpoint / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[:size])
    assert library.find(str(folder)) is None
    with pytest.raises(NotFound, match=r"model\.safetensors \((empty|damaged|incomplete: .*)\)"):
        library.load(str(folder))


def test_a_whole_revision_speaks_while_the_newest_is_not_whole(checkpoint: Path, library: ModelLibrary) -> None:
    old = install(checkpoint, library.shared, "openbmb/VoxCPM1.5", "a" * 40)
    install(checkpoint, library.shared, "openbmb/VoxCPM1.5", "b" * 40, without="audiovae.pth")
    assert library.find("voxcpm-1.5") == old
    assert library.find("voxcpm-1.5@main") is None
    new = install(checkpoint, library.shared, "openbmb/VoxCPM1.5", "c" * 40)
    assert library.find("voxcpm-1.5") == library.find("voxcpm-1.5@main") == new


def test_the_best_comes_first_and_what_is_not_whole_last(checkpoint: Path, library: ModelLibrary) -> None:
    install(checkpoint, library.own, "OpenBMB/VoxCPM-0.5B")
    install(checkpoint, library.shared, "me/tuned")
    install(checkpoint, library.shared, "openbmb/VoxCPM2", without="model.safetensors")
    install(checkpoint, library.shared, "openbmb/VoxCPM1.5")
    assert [(model.name, model.hub) for model in library.installed()] == [
        ("voxcpm-1.5", "huggingface"),
        ("voxcpm-0.5b", "modelscope"),
        ("me/tuned", "huggingface"),
        ("voxcpm-2", "huggingface"),
    ]
    assert library.best() == "voxcpm-1.5"


def test_models_of_other_kinds_are_none_of_ours(library: ModelLibrary) -> None:
    for name, config in {"bert": '{"model_type": "bert"}', "odd": "[", "list": "[]", "none": None}.items():
        folder = library.shared / f"models--someone--{name}" / "snapshots" / COMMIT
        folder.mkdir(parents=True)
        if config is not None:
            (folder / "config.json").write_text(config)
    assert library.installed() == []


def test_sizes_count_each_file_once_and_tell_what_is_left_over(checkpoint: Path, library: ModelLibrary) -> None:
    whole = sum(path.stat().st_size for path in checkpoint.iterdir())
    install(checkpoint, library.shared, "openbmb/VoxCPM1.5", "a" * 40)
    snapshot = install(checkpoint, library.shared, "openbmb/VoxCPM1.5", "b" * 40)
    (library.shared / "models--openbmb--VoxCPM1.5" / "blobs" / f"{'0' * 64}.incomplete").write_bytes(bytes(100))
    [model] = library.installed()
    assert (model.folder, model.revision) == (snapshot, "b" * 40)
    assert (model.size, model.leftovers) == (whole, whole + 100)


def test_a_copy_without_links_is_as_good(checkpoint: Path, library: ModelLibrary) -> None:
    snapshot = library.shared / "models--openbmb--VoxCPM1.5" / "snapshots" / COMMIT
    shutil.copytree(checkpoint, snapshot)
    assert library.find("voxcpm-1.5") == snapshot
    assert library.installed()[0].leftovers == 0


def test_a_folder_of_the_user_is_never_removed(checkpoint: Path, library: ModelLibrary, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(checkpoint, folder)
    with pytest.raises(RequestError, match=r"folder of your own"):
        library.remove(str(folder))
    assert library.find(str(folder)) == folder


def test_what_is_not_here_cannot_be_removed(checkpoint: Path, library: ModelLibrary) -> None:
    install(checkpoint, library.shared, "openbmb/VoxCPM1.5")
    with pytest.raises(NotFound, match="Model voxcpm-2 is not installed"):
        library.remove("voxcpm-2")
    with refused(r"with all its revisions.*voxcli models rm voxcpm-1\.5"):
        library.remove("voxcpm-1.5@main")
    assert library.find("voxcpm-1.5")


def test_a_model_from_modelscope_is_removed_whole(checkpoint: Path, library: ModelLibrary) -> None:
    install(checkpoint, library.own, "OpenBMB/VoxCPM1.5")
    install(checkpoint, library.own, "OpenBMB/VoxCPM2")
    library.remove("voxcpm-1.5")
    assert [model.name for model in library.installed()] == ["voxcpm-2"]
    assert len(list(library.own.iterdir())) == 1
