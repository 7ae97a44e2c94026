"""Standard streams that are closed, full, or lack characters: a message and an exit code, never a traceback."""

import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import pytest

from tests.program import PATIENCE_SECONDS, run_afresh, started

FULL = Path("/dev/full")

COMMANDS = {
    "a table": "voices",
    "json": "models --json",
    "help": "--help",
    "help of a command": "say --help",
    "the version": "--version",
    "sound": "say hi --model espeak -o -",
    "events": "say hi --model espeak -o x.wav --force --json",
    "a document": "help servers",
    "completion": "--show-completion bash",
}


def shell(line: str, folder: Path, environment: dict[str, str]) -> tuple[int, str]:
    """Run a line of a shell in which `voxcli` is the program; return the exit code and standard error."""
    done = subprocess.run(
        ["bash", "-c", f'voxcli() {{ "{sys.executable}" -m voxcli "$@"; }}; {line}'],
        cwd=folder,
        env=environment,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr.decode()


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_an_output_that_takes_nothing_is_a_sentence(command: str, tmp_path: Path, environment: dict[str, str]) -> None:
    if "completion" in command:  # it looks for the shell that has started it
        code, error = shell(f"voxcli {command} > {FULL}", tmp_path, environment)
        assert code == 5, error
        assert_one_sentence(error, "No space left")
        return
    program = [sys.executable, "-m", "voxcli", *command.split()]
    with (
        FULL.open("wb") as full,
        started(program, environment, (None, full.fileno(), PIPE), folder=tmp_path) as process,
    ):
        _, error = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 5, error
    assert_one_sentence(error.decode(), "No space left")


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_an_output_that_is_closed_is_a_sentence(command: str, tmp_path: Path, environment: dict[str, str]) -> None:
    code, error = shell(f"voxcli {command} >&-", tmp_path, environment)
    assert code == 5, error
    assert_one_sentence(error, "it is closed")


def assert_one_sentence(error: str, reason: str) -> None:
    [line] = [line for line in error.splitlines() if line.startswith("error: ")]
    assert "standard output" in line
    assert reason in line
    assert "Traceback" not in error


@pytest.mark.parametrize("way", ["2>&-", "2> /dev/full"])
def test_errors_that_nobody_can_read_keep_their_exit_code(
    way: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    assert shell(f"voxcli say hi --model espeak -o x.wav {way}", tmp_path, environment) == (0, "")
    assert shell(f"voxcli say hi --model espeak -o /nowhere/x.wav {way}", tmp_path, environment) == (5, "")
    assert (tmp_path / "x.wav").stat().st_size > 1000


def test_a_file_never_takes_the_place_of_a_closed_stream(tmp_path: Path, environment: dict[str, str]) -> None:
    code, error = shell(
        "voxcli say hi --model espeak -o x.wav <&- >&- 2>&-; voxcli say -f x.wav", tmp_path, environment
    )
    assert code == 4
    assert "x.wav is not UTF-8 text" in error or "x.wav is a binary file" in error
    assert (tmp_path / "x.wav").read_bytes()[:4] == b"RIFF"


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_characters_that_an_encoding_lacks_are_escaped(
    encoding: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    voice = Path(environment["VOXCLI_HOME"]) / "voices" / "安娜"
    voice.mkdir(parents=True)
    (voice / "voice.json").write_text('{"version": 1, "name": null, "style": "calm"}')
    environment = environment | {"PYTHONIOENCODING": encoding}
    listed = run_afresh(tmp_path, environment, ["voices"])
    assert listed.returncode == 0, listed.stderr.decode()
    assert ("安娜" if encoding == "utf-8" else "\\u5b89\\u5a1c") in listed.stdout.decode(encoding)
    failed = run_afresh(tmp_path, environment, ["say", "hi", "--voice", "不存在", "-o", "x.wav", "--model", "espeak"])
    assert failed.returncode == 3
    assert failed.stderr.startswith(b"error: ")


def test_a_reader_that_leaves_is_no_error(tmp_path: Path, environment: dict[str, str]) -> None:
    line = "set -o pipefail; voxcli voices | head -n 1 > first.txt"
    assert shell(line, tmp_path, environment) == (0, "")
    assert (tmp_path / "first.txt").stat().st_size


def test_an_event_that_nobody_can_read_keeps_its_exit_code(tmp_path: Path, environment: dict[str, str]) -> None:
    for way in ("2>&-", "2> /dev/full"):
        assert shell(f"voxcli say hi --speed x -o - --json {way}", tmp_path, environment) == (2, "")
