"""A user who has set nothing, in an empty folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.program import STRICT, Done, Here, Run
from voxcli.cli import app


@pytest.fixture
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """No settings, no voices, no models, no loudspeaker."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("VOXCLI_", "PULSE_", "HF_"))}
    home = tmp_path_factory.mktemp("home")
    own = {"VOXCLI_HOME": str(home), "HF_HOME": str(home / "hf")}
    return kept | own | {"PYTHONWARNINGS": STRICT, "PYTHONUTF8": "1"}


@pytest.fixture
def run(tmp_path: Path, environment: dict[str, str]) -> Run:
    def run_voxcli(*arguments: str | os.PathLike[str], stdin: bytes = b"", env: dict[str, str] | None = None) -> Done:
        return subprocess.run(
            [sys.executable, "-m", "voxcli", *arguments],
            input=stdin,
            capture_output=True,
            cwd=tmp_path,
            env=environment | (env or {}),
            timeout=60,
            check=False,
        )

    return run_voxcli


@pytest.fixture
def here(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Here:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VOXCLI_HOME", environment["VOXCLI_HOME"])
    monkeypatch.setenv("COLUMNS", "200")

    def run_here(*arguments: str) -> tuple[int, str]:
        code = app.run(arguments)
        return code, " ".join(capsys.readouterr().err.replace("│", " ").split())

    return run_here
