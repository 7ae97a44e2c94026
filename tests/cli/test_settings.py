"""Flag, environment, project file, user file, default: in this order."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.program import Run, said
from voxcli.cli.app import app


@pytest.fixture
def user_file(environment: dict[str, str]) -> Path:
    return Path(environment["VOXCLI_HOME"]) / "voxcli.toml"


def shown(run: Run, **more: dict[str, str]) -> dict[str, dict[str, object]]:
    done = run("config", "show", "--json", **more)
    assert done.returncode == 0, said(done)
    result: dict[str, dict[str, object]] = json.loads(done.stdout)
    return result


def test_each_value_says_where_it_comes_from(run: Run, tmp_path: Path, user_file: Path) -> None:
    user_file.write_text('language = "zh"\nspeed = 1.5\naudio-device = "hall"\nquiet = true\n')
    (tmp_path / "voxcli.toml").write_text("speed = 2\nvoice = 'fr'\n")
    settings = shown(run, env={"VOXCLI_VOICE": "de"})
    assert settings["voice"] == {"value": "de", "origin": "VOXCLI_VOICE"}
    assert settings["speed"] == {"value": 2.0, "origin": "voxcli.toml"}
    assert settings["language"] == {"value": "zh", "origin": str(user_file)}
    assert settings["audio_device"] == {"value": "hall", "origin": str(user_file)}
    assert settings["quiet"] == {"value": True, "origin": str(user_file)}
    assert settings["volume"] == {"value": 1.0, "origin": "default"}
    assert settings["model"] == {"value": None, "origin": "default"}


def test_people_get_a_table(run: Run, tmp_path: Path, user_file: Path) -> None:
    (tmp_path / "voxcli.toml").write_text("speed = 2\n")
    lines = run("config", "show").stdout.decode().splitlines()
    assert ["speed", "2.0", "voxcli.toml"] in [line.split() for line in lines]
    assert f"  {user_file}  (missing)" in lines


def voice_used(run: Run, *arguments: str, env: dict[str, str] | None = None) -> str:
    """Find out which voice speaks, by one that does not exist."""
    done = run("say", "hello", "-o", "x.wav", *arguments, env=env)
    assert done.returncode == 3
    return said(done).partition("no voice '")[2].partition("'")[0]


def test_the_stronger_source_wins(run: Run, tmp_path: Path, user_file: Path) -> None:
    user_file.write_text('voice = "x-user"\n')
    assert voice_used(run) == "x-user"
    (tmp_path / "voxcli.toml").write_text('voice = "x-project"\n')
    assert voice_used(run) == "x-project"
    assert voice_used(run, env={"VOXCLI_VOICE": "x-env"}) == "x-env"
    assert voice_used(run, "--voice", "x-flag", env={"VOXCLI_VOICE": "x-env"}) == "x-flag"


def test_a_flag_that_equals_the_default_wins_too(run: Run, tmp_path: Path, user_file: Path) -> None:
    user_file.write_text("speed = 4.0\n")
    assert run("say", "one two three four five", "-o", "fast.wav").returncode == 0
    assert run("say", "one two three four five", "-o", "normal.wav", "--speed", "1.0").returncode == 0
    assert (tmp_path / "normal.wav").stat().st_size > 3 * (tmp_path / "fast.wav").stat().st_size


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('speed = "fast"', ["voxcli.toml", "'speed'"]),
        ("speed = 99", ["voxcli.toml", "'speed'"]),
        ("quiet = 17", ["voxcli.toml", "'quiet'"]),
        ("voice = [1]", ["voxcli.toml", "'voice'"]),
        ("voice = = 1", ["voxcli.toml", "line 1"]),
    ],
)
def test_a_wrong_settings_file_is_named(run: Run, tmp_path: Path, content: str, words: list[str]) -> None:
    (tmp_path / "voxcli.toml").write_text(content)
    done = run("say", "hello", "-o", "x.wav")
    assert done.returncode == 2
    for word in words:
        assert word in said(done)
    assert not (tmp_path / "x.wav").exists()


def test_help_is_there_even_then(run: Run, tmp_path: Path) -> None:
    (tmp_path / "voxcli.toml").write_text("nonsense")
    assert run("--help").returncode == 0
    assert run("--version").stdout.startswith(b"voxcli ")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('voise = "fr"', ["Unknown setting 'voise' in voxcli.toml", "Did you mean 'voice'?"]),
        ('output = "x.wav"', ["Unknown setting 'output' in voxcli.toml", "audio_device"]),
    ],
)
def test_an_unknown_setting_is_a_warning(run: Run, tmp_path: Path, content: str, words: list[str]) -> None:
    (tmp_path / "voxcli.toml").write_text(content)
    done = run("say", "hello", "-o", "y.wav")
    assert done.returncode == 0, said(done)
    for word in words:
        assert word in said(done)
    assert run("say", "hello", "-o", "z.wav", "--json").stderr == b""


def test_a_variable_that_is_nearly_a_setting_is_a_warning(run: Run) -> None:
    done = run("say", "hello", "-o", "x.wav", env={"VOXCLI_SPEDE": "2", "VOXCLI_ELSEWHERE": "x"})
    assert done.returncode == 0, said(done)
    assert "The variable VOXCLI_SPEDE has no effect. Did you mean 'VOXCLI_SPEED'?" in said(done)
    assert "VOXCLI_ELSEWHERE" not in said(done)


@pytest.mark.parametrize(
    "arguments",
    [
        ["say", "--help"],
        ["say", "--help-all"],
        ["help"],
        ["config", "show"],
        ["voices"],
        ["devices"],
        ["keys", "list"],
        ["models", "list"],
    ],
)
def test_a_broken_file_does_not_stop_what_needs_no_settings(run: Run, tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "voxcli.toml").write_text("nonsense")
    assert run(*arguments).returncode == 0
    for done in (run("say", "hello"), run("bench", "short")):
        assert done.returncode == 2
        assert "voxcli.toml" in said(done)
    assert "voxcli.toml" in said(run("config", "show"))


def test_every_setting_is_an_option_of_say() -> None:
    """So that the others need not be loaded to check a settings file."""
    commands: Any = typer.main.get_command(app)

    def settable(command: Any) -> set[str]:
        found = {param.name for param in command.params if param.envvar}
        return found.union(*(settable(child) for child in getattr(command, "commands", {}).values()))

    assert settable(commands) == settable(commands.commands["say"])


def test_doctor_finds_what_is_wrong_with_the_settings(run: Run, tmp_path: Path, without_torch: dict[str, str]) -> None:
    (tmp_path / "voxcli.toml").write_text("speed = 99\nvoise = 'x'\n")
    variables = {"VOXCLI_SPEDE": "2", "VOXCLI_STEPS": "many", "VOXCLI_GAP": "0.5"}
    done = run("doctor", "--json", env=variables | without_torch)
    found = {
        check["detail"]: check["verdict"] for check in json.loads(done.stdout) if check["name"] == "settings files"
    }
    assert done.returncode == 5
    assert [verdict for detail, verdict in found.items() if "'speed'" in detail] == ["fail"]
    assert [verdict for detail, verdict in found.items() if "'voise'" in detail] == ["warn"]
    assert [verdict for detail, verdict in found.items() if "VOXCLI_SPEDE" in detail] == ["warn"]
    assert [verdict for detail, verdict in found.items() if "VOXCLI_STEPS" in detail] == ["fail"]
    assert len(found) == 4
