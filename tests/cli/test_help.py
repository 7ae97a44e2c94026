"""`voxcli help`: every topic is there, and every topic that the README names."""

import re
from pathlib import Path

import pytest

import voxcli
from tests.program import Run, said
from voxcli.cli.commands.help import topics

README = (Path(voxcli.__file__).parents[1] / "README.md").read_text("utf-8")


def test_the_topics_are_listed(run: Run) -> None:
    done = run("help")
    assert done.returncode == 0, said(done)
    assert done.stdout.decode().split("\n")[:-1] == [f"voxcli help {topic}" for topic in [*topics(), "man"]]


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
    assert named <= set(topics())
