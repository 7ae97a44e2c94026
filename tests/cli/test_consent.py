"""A settings file of a project does not send texts away unasked."""

import json
import sys
from pathlib import Path

import pytest

from tests.program import Run, said
from tests.screen import Reactions, run_on_terminal

AWAY = "http://192.0.2.1:9"
"""An address that documents may use (RFC 5737), where nothing answers."""
ASKED = "in this folder would send texts to http://192.0.2.1:9. Nothing was sent."


@pytest.fixture
def user_file(environment: dict[str, str]) -> Path:
    return Path(environment["VOXCLI_HOME"]) / "voxcli.toml"


def speak(run: Run, *arguments: str, command: str = "say", env: dict[str, str] | None = None) -> tuple[int, str]:
    proxy = {"http_proxy": "http://127.0.0.1:9"}  # so that nothing leaves, and fails at once
    done = run(command, "hello", *arguments, env=proxy | (env or {}))
    return done.returncode, said(done)


@pytest.mark.parametrize(
    "project", [f'remote = "{AWAY}"', f'[remote]\ndefault = "box"\n[remote.box]\nurl = "{AWAY}"', 'remote = "box"']
)
def test_a_project_that_names_a_server_is_asked_about(run: Run, tmp_path: Path, user_file: Path, project: str) -> None:
    if project == 'remote = "box"':
        user_file.write_text(f'[remote.box]\nurl = "{AWAY}"')
    (tmp_path / "voxcli.toml").write_text(project)
    for command, output in (("say", ["-o", "x.wav"]), ("bench", [])):
        code, words = speak(run, *output, command=command)
        assert code == 2, words
        assert ASKED in words
    assert run("say", "hello", "-o", "x.wav", "--remote", "").returncode == 0
    code, words = speak(run, "-o", "y.wav", "--remote", AWAY)
    assert code == 6, words
    code, words = speak(run, "-o", "y.wav", env={"VOXCLI_REMOTE": AWAY})
    assert code == 6, words


def test_a_project_cannot_redirect_a_server_of_the_user(run: Run, tmp_path: Path, user_file: Path) -> None:
    user_file.write_text('[remote]\ndefault = "box"\n[remote.box]\nurl = "http://127.0.0.1:9"')
    (tmp_path / "voxcli.toml").write_text(f'[remote.box]\nurl = "{AWAY}"')
    for arguments in ([], ["--remote", "box"]):
        code, words = speak(run, "-o", "x.wav", *arguments)
        assert code == 2
        assert ASKED in words


def test_a_server_that_the_user_names_needs_no_question(run: Run, tmp_path: Path, user_file: Path) -> None:
    user_file.write_text(f'remote = "{AWAY}"')
    assert speak(run, "-o", "x.wav")[0] == 6
    user_file.unlink()
    (tmp_path / "voxcli.toml").write_text(f'[remote.box]\nurl = "{AWAY}"')
    assert speak(run, "-o", "x.wav", "--remote", "box")[0] == 6
    (tmp_path / "voxcli.toml").write_text('remote = "http://127.0.0.1:9"')
    assert speak(run, "-o", "x.wav")[0] == 6


def test_the_answer_is_remembered(tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "voxcli.toml").write_text(f'remote = "{AWAY}"')
    command = [sys.executable, "-m", "voxcli", "say", "hello", "-o", "x.wav"]
    environment = environment | {"http_proxy": "http://127.0.0.1:9"}
    consents = Path(environment["VOXCLI_HOME"]) / "consents.json"
    for answer, code in ((b"n\n", 2), (b"y\n", 6)):
        typed: Reactions = {b"from now on? [y/N]": answer}
        assert run_on_terminal(command, environment, typed)[0] == code
    assert json.loads(consents.read_text()) == {str(tmp_path): [AWAY]}
    assert run_on_terminal(command, environment, {})[0] == 6
    (tmp_path / "voxcli.toml").write_text('remote = "http://192.0.2.2:9"')
    code, shown = run_on_terminal(command, environment, {b"[y/N]": b"\n"})
    assert code == 2
    assert "192.0.2.2" in shown
