"""A user who has set nothing, in an empty folder."""

import os
from pathlib import Path

import pytest

from tests.program import WITHOUT_VOICES, Done, Here, Run, RunIn, run_afresh, user_environment
from voxcli.cli import app


@pytest.fixture
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """No settings, no voices, no models, no loudspeaker, and nothing that is kept loaded after a run."""
    return user_environment(tmp_path_factory.mktemp("home"))


@pytest.fixture
def run(tmp_path: Path, environment: dict[str, str], run_in: RunIn) -> Run:
    def run_voxcli(*arguments: str | os.PathLike[str], stdin: bytes = b"", env: dict[str, str] | None = None) -> Done:
        start = run_afresh if env and "PYTHONPATH" in env else run_in  # Python reads that when it starts
        return start(tmp_path, environment | (env or {}), [*map(os.fspath, arguments)], stdin)

    return run_voxcli


@pytest.fixture(scope="session")
def without_torch(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What an environment needs so that the doctor does not spend two seconds on loading torch."""
    folder = tmp_path_factory.mktemp("without_torch")
    (folder / "torch.py").write_text("raise ImportError('left out')")
    return {"PYTHONPATH": os.pathsep.join([str(folder), WITHOUT_VOICES])}


@pytest.fixture
def here(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Here:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VOXCLI_HOME", environment["VOXCLI_HOME"])
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.syspath_prepend(WITHOUT_VOICES)

    def run_here(*arguments: str) -> tuple[int, str]:
        code = app.run(arguments)
        return code, " ".join(capsys.readouterr().err.replace("│", " ").split())

    return run_here
