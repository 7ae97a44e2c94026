"""`voxcli help`: every topic is there, and every topic that the README names."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.cells import cell_len

import voxcli
from tests.program import Run, said
from voxcli.cli.app import app
from voxcli.cli.commands.help import topics
from voxcli.cli.parser.command import first_sentence
from voxcli.cli.parser.help import wrap_command

README = (Path(voxcli.__file__).parents[1] / "README.md").read_text("utf-8")


def test_the_topics_are_listed(run: Run) -> None:
    done = run("help")
    assert done.returncode == 0, said(done)
    lines = done.stdout.decode().splitlines()
    assert lines[0] == "Usage: voxcli COMMAND [options]"
    assert lines[lines.index("Topics:") + 1 :] == [f"  voxcli help {topic}" for topic in [*topics(), "man"]]


@pytest.mark.parametrize("topic", topics())
def test_a_topic_is_shown(run: Run, topic: str) -> None:
    done = run("help", topic)
    assert done.returncode == 0, said(done)
    assert done.stdout.decode() == (Path(voxcli.__file__).parent / "docs" / f"{topic}.md").read_text("utf-8")


def test_an_unknown_topic_is_refused_with_the_nearest(run: Run) -> None:
    done = run("help", "voice")
    assert done.returncode == 3
    assert "Did you mean 'voices'?" in said(done)


def test_the_readme_names_topics_that_are_there() -> None:
    named = set(re.findall(r"`voxcli help ([a-z]+)`", README))
    assert named
    assert named <= {*topics(), "man"}


COMMANDS = [
    "say",
    "ps",
    "load",
    "stop",
    "clone",
    "serve",
    "bench",
    "voices",
    "models",
    "voices audition",
    "voices add",
    "config",
    "keys",
    "doctor",
    "mcp",
]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("columns", [50, 80])
def test_help_fits_the_screen(run: Run, command: str, columns: int) -> None:
    for option in ("--help", "--help-all"):
        done = run(*command.split(), option, env={"COLUMNS": str(columns)})
        assert done.returncode == 0, said(done)
        lines = done.stdout.decode().splitlines()
        assert lines[0].startswith(f"Usage: voxcli {command}")
        assert "<" not in done.stdout.decode().replace("<NAME>", "")
        for line in lines:
            assert cell_len(line) <= columns or len(line.split()) == 1 or line.lstrip().startswith("--"), line
        if columns == 80 and option == "--help":
            assert len(lines) < 40


def test_help_has_all_options_and_the_short_one_some(run: Run) -> None:
    some, all_options = (run("say", option).stdout.decode() for option in ("--help", "--help-all"))
    assert "--max-len" not in some
    assert "--max-len" in all_options
    assert "voxcli say --help-all" in some
    assert some.index("Examples:") < some.index("Options:")


def test_examples_can_be_copied_from_a_narrow_screen() -> None:
    command = 'voxcli say "a text with spaces" --voice anna --output there.wav --speed 1.5'
    lines = list(wrap_command(command, 40))
    assert len(lines) > 1
    assert max(map(len, lines)) <= 40
    assert shlex.split(" ".join(line.removesuffix("\\") for line in lines)) == shlex.split(command)


def test_the_bare_program_shows_its_help(run: Run) -> None:
    bare, asked = run(), run("--help")
    assert bare.returncode == asked.returncode == 0
    assert bare.stdout == asked.stdout
    assert len(bare.stdout.decode().splitlines()) < 40


def test_help_of_a_command_is_shown_by_name(run: Run) -> None:
    assert run("help", "say").stdout == run("say", "--help").stdout
    assert run("help", "voices", "add").stdout == run("voices", "add", "--help").stdout


def test_the_summaries_at_the_top_are_those_of_the_commands() -> None:
    root: Any = typer.main.get_command(app)
    for name, summary in root.summaries().items():
        assert first_sentence(root.commands[name].help) == summary.removesuffix(".") + "." or name == "help", name


def test_the_manual_is_valid_roff(run: Run) -> None:
    page = run("help", "man").stdout.decode()
    for option in ("\\-\\-max\\-len", "\\-\\-fail\\-if", "\\-\\-allow\\-host"):
        assert option in page
    for line in page.splitlines():
        assert not line.startswith("'")
        assert not line.startswith(".") or line.split()[0] in REQUESTS
    if checker := shutil.which("mandoc"):
        checked = subprocess.run(
            [checker, "-T", "lint", "-W", "warning"], input=page, capture_output=True, text=True, check=False
        )
        assert [line for line in checked.stdout.splitlines() if "missing date" not in line] == []


REQUESTS = {".TH", ".SH", ".B", ".I", ".TP", ".PP", ".nf", ".fi", ".RS", ".RE"}
