"""`voxcli serve --replicas`: what is refused, and the settings that a cluster takes. Runs no replica."""

import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import typer

from tests.cli.test_serve import FIELDS, SPEECH, served
from tests.program import Here
from tests.server.tone import until
from voxcli.cli.commands.serve.replicas import _scale
from voxcli.server.cluster.board import Scale


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("0",), "no number of replicas"),
        (("4-2",), "no number of replicas"),
        (("many",), "no number of replicas"),
        (("2", "--wyoming", "127.0.0.1:1"), "--wyoming"),
        (("2", "--remote", "http://127.0.0.1:9"), "--remote"),
    ],
)
def test_what_has_no_meaning_for_replicas_is_refused(here: Here, arguments: tuple[str, ...], word: str) -> None:
    code, answer = here("serve", "--model", "espeak", "--replicas", *arguments)
    assert (code, word in answer) == (2, True), answer


@pytest.mark.parametrize(
    ("replicas", "gpus", "has"), [("3", 0, "2 CPU cores"), ("1-3", 0, "2 CPU cores"), ("2", 1, "1 GPU,")]
)
def test_more_replicas_than_the_machine_has_room_for_are_refused(replicas: str, gpus: int, has: str) -> None:
    with pytest.raises(typer.BadParameter, match=f"This machine has {has}"):
        _scale(replicas, gpus, cores=2)


def test_replicas_share_the_cores() -> None:
    assert _scale("2", 0, cores=5) == Scale(least=2, most=2, gpus=0.0, cores=2)
    assert _scale("auto", 4, cores=2) == Scale(least=4, most=4, gpus=1.0, cores=None)


def test_without_ray_there_is_one_sentence(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None)
    code, answer = here("serve", "--model", "espeak", "--replicas", "2")
    assert code == 3
    assert "Replicas need Ray Serve, which is not installed. Run: " in answer


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """Give a folder in which Ray has room for the names of its sockets."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


@pytest.mark.ray
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_when_it_ends(environment: dict[str, str], short_folder: Path, number: signal.Signals) -> None:
    folder = short_folder
    # Ray warns of itself, and does not run in a fork: with its own hash seed, this is a new process.
    own = {**environment, "TMPDIR": str(folder), "PYTHONWARNINGS": "ignore", "PYTHONHASHSEED": "0"}
    with served(own, "--model", "espeak", "--replicas", "2", seconds=120) as server:
        until(lambda: "ready" in server.words, 120)
        answer = httpx.post(server.url + SPEECH, json=FIELDS, timeout=60)
        assert answer.content[:4] == b"RIFF"
        processes = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        assert str(folder) in processes
        server.process.send_signal(number)
        code, words = server.end(60)
    assert code == 0, words
    assert [*folder.iterdir()] == []
    assert not (Path(environment["HOME"]) / ".ray").exists() if "HOME" in environment else True
    processes = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(folder) not in processes
