"""Options that are declared in groups are options like any other."""

from dataclasses import dataclass
from typing import Annotated

import typer
from typer.testing import CliRunner

from voxcli.cli.options.groups import grouped


@dataclass(frozen=True)
class Colour:
    hue: Annotated[int, typer.Option("--hue", "-u", min=0, help="An angle.")] = 10
    bright: Annotated[bool, typer.Option("--bright/--dark")] = False


taken: list[object] = []
app = typer.Typer()


@app.command()
@grouped
def paint(colour: Colour, wall: Annotated[str, typer.Argument()] = "north") -> None:
    """Paint a wall."""
    taken.append((colour, wall))


def test_a_command_gets_the_group_and_the_user_sees_its_options() -> None:
    result = CliRunner().invoke(app, ["south", "-u", "20", "--bright"])
    assert result.exit_code == 0, result.output
    assert taken.pop() == (Colour(20, True), "south")
    assert CliRunner().invoke(app, []).exit_code == 0
    assert taken.pop() == (Colour(), "north")


def test_help_and_checks_are_those_of_the_options() -> None:
    shown = CliRunner().invoke(app, ["--help"]).output
    assert "Paint a wall." in shown
    assert "An angle." in shown
    assert CliRunner().invoke(app, ["--hue", "-1"]).exit_code == 2
