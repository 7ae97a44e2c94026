"""`voxcli models`, as a user types it, against a hub on a real socket."""

import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.checkpoints import write_checkpoint
from tests.hub import PATIENCE_SECONDS, Hub, serving
from tests.program import Run, said, started
from tests.screen import CTRL_C, run_on_terminal
from tests.test_startup import loaded_by
from voxcli.installation import install_command
from voxcli.models.library import ModelLibrary
from voxcli.voxcpm.weights.prepared_folder import PreparedFolder

WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("checkpoint")
    write_checkpoint(folder, "voxcpm-1.5", 1)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def hub(files: dict[str, bytes]) -> Iterator[Hub]:
    with serving(Hub("openbmb/VoxCPM1.5", dict(files))) as hub:
        yield hub


@pytest.fixture
def environment(environment: dict[str, str], hub: Hub, tmp_path: Path) -> dict[str, str]:
    """A user with an empty cache, for whom the hub is Hugging Face and ModelScope."""
    kept = {name: value for name, value in environment.items() if not name.startswith(("HF_", "MODELSCOPE_"))}
    return kept | {"HF_ENDPOINT": hub.url, "MODELSCOPE_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf")}


@pytest.fixture
def library(environment: dict[str, str]) -> ModelLibrary:
    return ModelLibrary(Path(environment["HF_HOME"]) / "hub", Path(environment["VOXCLI_HOME"]) / "models")


@pytest.fixture
def installed(library: ModelLibrary, hub: Hub) -> Path:
    """The model, as a system without links keeps it."""
    folder = library.shared / "models--openbmb--VoxCPM1.5" / "snapshots" / hub.commit
    folder.mkdir(parents=True)
    for name, data in hub.files.items():
        (folder / name).write_bytes(data)
    return folder


def test_a_model_comes_is_shown_speaks_for_itself_and_goes(run: Run, hub: Hub, library: ModelLibrary) -> None:
    before = run("models").stdout.decode()
    assert re.search(r"^\* +espeak +built in$", before, re.MULTILINE)
    assert all(name in before for name in ("voxcpm-2", "voxcpm-1.5", "voxcpm-0.5b", "about 5 GB"))

    done = run("models", "pull", "voxcpm-1.5", "--yes")
    assert done.returncode == 0, said(done)
    folder = library.load("voxcpm-1.5")
    assert done.stdout.decode() == f"{folder}\n"
    assert "(100%)" in said(done)

    hub.log.clear()
    after = run("models").stdout.decode()
    assert re.search(rf"^\* +voxcpm-1.5 +ready +1\.7 MB +{re.escape(str(folder))}$", after, re.MULTILINE)
    card = run("models", "show", "voxcpm-1.5").stdout.decode()
    for part in ("openbmb/VoxCPM1.5 on Hugging Face", hub.commit, str(folder), WEIGHTS, "BF16", "44100 Hz"):
        assert part in card
    assert not hub.log

    again = run("models", "pull", "voxcpm-1.5")  # there is nothing to ask about
    assert again.returncode == 0
    assert "already installed" in said(again)
    assert len(hub.log) == 1

    asked = run("models", "rm", "voxcpm-1.5")
    assert asked.returncode == 2
    assert "voxcli models rm voxcpm-1.5 --yes" in said(asked)
    assert library.find("voxcpm-1.5")
    assert run("models", "rm", "voxcpm-1.5", "--yes").returncode == 0
    assert library.installed() == []


def test_what_programs_read_is_json(run: Run, installed: Path, hub: Hub) -> None:
    entries = {entry["name"]: entry for entry in json.loads(run("models", "list", "--json").stdout)}
    assert {name: (entry["state"], entry["default"]) for name, entry in entries.items()} == {
        "voxcpm-1.5": ("ready", True),
        "espeak": ("built-in", False),
        "voxcpm-2": ("absent", False),
        "voxcpm-0.5b": ("absent", False),
        "kokoro": ("absent", False),
    }
    assert entries["voxcpm-1.5"]["bytes"] == sum(map(len, hub.files.values()))
    card = json.loads(run("models", "show", "voxcpm-1.5", "--json").stdout)
    assert (card["id"], card["hub"], card["revision"]) == (hub.model_id, "huggingface", hub.commit)
    assert card["architecture"] == "voxcpm"
    assert card["files"][WEIGHTS] == len(hub.files[WEIGHTS])
    assert sum(card["parameters"].values()) > 100_000


def test_prepared_weights_are_shown_and_go_with_their_model(
    run: Run, installed: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    kept = PreparedFolder(Path(environment["VOXCLI_HOME"]) / "cache" / "prepared")
    (tmp_path / "other").write_bytes(b"")
    for weights in (installed / WEIGHTS, tmp_path / "other"):
        about = {"weights": [str(weights.resolve())], "dtype": "float32", "quantize": "int8"}
        kept.write(f"{weights.name}.prepared", about, [("x", {}, np.zeros(9, np.uint8))], threading.Event())
    card = json.loads(run("models", "show", "voxcpm-1.5", "--json").stdout)
    [mine] = [file for file in kept.files() if file.path.name.startswith(WEIGHTS)]
    assert card["prepared"] == [{"file": str(mine.path), "bytes": mine.size, "dtype": "float32", "quantize": "int8"}]
    assert re.search(r"^prepared +int8 +1\.0 MB$", run("models", "show", "voxcpm-1.5").stdout.decode(), re.MULTILINE)
    assert run("models", "rm", "voxcpm-1.5", "--yes").returncode == 0
    assert [file.path.name for file in kept.files()] == ["other.prepared"]


def test_nothing_heavy_is_loaded_to_look_for_models() -> None:
    assert loaded_by("models", "list") & {"torch", "httpx", "httpx2", "huggingface_hub"} == set()


def test_a_folder_can_be_shown_and_not_removed(
    run: Run, installed: Path, files: dict[str, bytes], tmp_path: Path
) -> None:
    folder = installed.rename(tmp_path / "my [draft] model")
    assert str(folder) in run("models", "show", folder).stdout.decode()
    done = run("models", "rm", folder, "--yes")
    assert done.returncode == 4
    assert "folder of your own" in said(done)
    assert len(list(folder.iterdir())) == len(files)


def test_without_a_terminal_nothing_is_downloaded_unasked(run: Run, hub: Hub, library: ModelLibrary) -> None:
    done = run("models", "pull", "voxcpm-1.5", "--revision", hub.commit)
    assert done.returncode == 2
    assert "Download 1.7 MB?" in said(done)
    assert f"voxcli models pull voxcpm-1.5 --revision {hub.commit} --yes" in said(done)
    assert not library.shared.exists()


def test_modelscope_needs_no_library_of_its_own(run: Run, hub: Hub, library: ModelLibrary, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "huggingface_hub.py").write_text("raise ImportError('not installed')")
    bare = {"PYTHONPATH": f"{tmp_path / 'bare'}:{Path.cwd()}"}
    done = run("models", "pull", "voxcpm-1.5", "--yes", env=bare)
    assert done.returncode == 3
    assert install_command("local") in said(done)

    hub.model_id = "OpenBMB/VoxCPM1.5"
    done = run("models", "pull", "voxcpm-1.5", "--yes", "--from", "modelscope", env=bare)
    assert done.returncode == 0, said(done)
    assert library.load("voxcpm-1.5").is_relative_to(library.own)
    assert run("models", "rm", "voxcpm-1.5", "--yes", env=bare).returncode == 0
    assert library.installed() == []


@pytest.mark.parametrize(
    ("arguments", "code", "advice"),
    [
        (["pull", "voxcpm-3", "--yes"], 3, "Did you mean 'voxcpm-2'?"),
        (["pull", "someone/nothing", "--yes"], 3, "There is no model 'someone/nothing'"),
        (["pull", "voxcpm-1.5@v9", "--yes"], 3, "no revision 'v9'"),
        (["show", "voxcpm-2"], 3, "voxcli models pull voxcpm-2"),
        (["rm", "voxcpm-2", "--yes"], 3, "Model voxcpm-2 is not installed"),
        (["pull", "voxcpm-2", "--from", "elsewhere"], 2, "modelscope"),
    ],
)
def test_what_cannot_be_done_says_what_to_do(run: Run, arguments: list[str], code: int, advice: str) -> None:
    done = run("models", *arguments)
    assert done.returncode == code
    assert advice in said(done)
    assert done.stdout == b""


def test_offline_nothing_comes_but_what_is_here_will_do(run: Run, installed: Path) -> None:
    offline = {"HF_HUB_OFFLINE": "1"}
    done = run("models", "pull", "voxcpm-2", "--yes", env=offline)
    assert done.returncode == 6
    assert "HF_HUB_OFFLINE is set" in said(done)
    for unreachable in (offline, {"HF_ENDPOINT": "http://127.0.0.1:1"}):
        done = run("models", "pull", "voxcpm-1.5", env=unreachable)
        assert done.returncode == 0
        assert done.stdout.decode() == f"{installed}\n"
        assert "Cannot check for a newer voxcpm-1.5" in said(done)


def test_the_setting_decides_which_is_the_default(run: Run, installed: Path, tmp_path: Path) -> None:
    (tmp_path / "voxcli.toml").write_text('model = "espeak"')
    assert "\n*  espeak" in run("models").stdout.decode()
    assert "\n*  voxcpm-1.5" in run("models", env={"VOXCLI_MODEL": "openbmb/VoxCPM1.5"}).stdout.decode()
    assert (
        "The default is voxcpm-2, set in the settings"
        in run("models", env={"VOXCLI_MODEL": "voxcpm-2"}).stdout.decode()
    )


def test_a_full_disk_is_an_error_of_the_disk_and_what_came_stays(
    run: Run, hub: Hub, environment: dict[str, str], tmp_path: Path
) -> None:
    limited = f"ulimit -f 700; exec {sys.executable} -m voxcli models pull voxcpm-1.5 --yes"  # in 1024 bytes
    done = subprocess.run(["bash", "-c", limited], env=environment, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 5
    assert "Cannot write " in said(done)
    hub.log.clear()
    assert run("models", "pull", "voxcpm-1.5", "--yes").returncode == 0
    assert hub.asked_for(WEIGHTS)[-1].range == f"bytes={700 * 1024}-"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_pull_keeps_what_came_and_says_so(
    run: Run, hub: Hub, library: ModelLibrary, environment: dict[str, str], number: signal.Signals, code: int
) -> None:
    half = len(hub.files[WEIGHTS]) // 2
    hub.hold_at[WEIGHTS] = half
    with started([sys.executable, "-m", "voxcli", "models", "pull", "voxcpm-1.5", "--yes"], environment) as process:
        assert hub.held.wait(PATIENCE_SECONDS)
        blobs = library.shared / "models--openbmb--VoxCPM1.5" / "blobs"
        partial = blobs / f"{hub.digest_of(WEIGHTS)}.incomplete"
        while partial.stat().st_size < half:
            assert process.poll() is None
        process.send_signal(number)
        _, words = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == code
    assert b"The partial download is kept" in words
    assert b"Traceback" not in words

    listed = run("models").stdout.decode()
    assert re.search(r"voxcpm-1\.5 +incomplete +.*to complete it: voxcli models pull voxcpm-1\.5", listed)
    hub.hold_at.clear()
    hub.log.clear()
    done = run("models", "pull", "voxcpm-1.5", "--yes")
    assert done.returncode == 0, said(done)
    assert {request.range for request in hub.asked_for(WEIGHTS)} == {f"bytes={half}-"}


PULL = [sys.executable, "-m", "voxcli", "models", "pull", "voxcpm-1.5"]


def amounts(shown: str) -> list[float]:
    """Return how many megabytes the bar said were here, in the order in which it said so."""
    return [float(amount) for amount in re.findall(r"([\d.]+)/1\.7 MB", shown)]


def test_on_a_terminal_it_asks(hub: Hub, library: ModelLibrary, environment: dict[str, str]) -> None:
    code, shown = run_on_terminal(PULL, environment, {b"[y/N]": b"n\n"})
    assert code == 130
    assert "Download 1.7 MB?" in shown
    assert "Cancelled." in shown
    assert not library.shared.exists()
    code, _ = run_on_terminal(PULL, environment, {b"[y/N]": CTRL_C})
    assert code == 130


def test_the_bar_never_runs_backwards_not_even_after_ctrl_c(
    hub: Hub, library: ModelLibrary, environment: dict[str, str]
) -> None:
    half = len(hub.files[WEIGHTS]) // 2
    hub.hold_at[WEIGHTS] = half
    here = f"{(sum(map(len, hub.files.values())) - len(hub.files[WEIGHTS]) + half) / 1e6:.1f}/1.7 MB".encode()
    code, shown = run_on_terminal(PULL, environment, {b"[y/N]": b"y\n", here: CTRL_C})
    assert code == 130
    assert "stopping..." in shown
    before = amounts(shown)

    def let_go() -> None:
        hub.hold_at.clear()
        hub.ended.set()

    hub.hold_at[WEIGHTS] = half + 100_000
    code, shown = run_on_terminal(PULL, environment, {b"[y/N]": b"y\n", here: let_go})
    assert code == 0
    assert "the rest is already there" in shown
    after = amounts(shown)
    assert before + after == sorted(before + after)
    assert before
    assert after
    assert library.find("voxcpm-1.5")
