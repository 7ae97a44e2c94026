"""Values of options are the same, and of the same type, as those that Typer makes of the same words."""

from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from hypothesis import example, given, settings
from hypothesis import strategies as st
from typer.exceptions import TyperException

from voxcli.cli.parser.command import VoxCommand


def _declare(
    words: Annotated[list[str] | None, typer.Argument()] = None,
    text: Annotated[str | None, typer.Option()] = None,
    several: Annotated[list[str] | None, typer.Option()] = None,
    file: Annotated[Path | None, typer.Option()] = None,
    there: Annotated[Path | None, typer.Option(exists=True, dir_okay=False)] = None,
    whole: Annotated[int, typer.Option()] = 3,
    bounded: Annotated[int | None, typer.Option(min=0, max=2**63 - 1)] = None,
    clamped: Annotated[int, typer.Option(min=1, max=9, clamp=True)] = 3,
    number: Annotated[float, typer.Option()] = 1.0,
    factor: Annotated[float, typer.Option(min=0.25, max=4.0)] = 1.0,
    flag: Annotated[bool, typer.Option("--flag/--no-flag")] = False,
) -> None: ...


def _command(kind: type[Any] | None) -> Any:
    app = typer.Typer(add_completion=False)
    app.command(cls=kind)(_declare)
    return typer.main.get_command(app)


OURS, TYPERS = (
    {param.name: (param, typer.Context(command)) for param in command.params}
    for command in (_command(VoxCommand), _command(None))
)
NAMES = sorted(TYPERS)

NUMBERS = st.integers() | st.floats() | st.booleans() | st.none()
WRITTEN = NUMBERS.map(str) | st.from_regex(r"[ +-]?[0-9_]{0,20}(\.[0-9_]{0,20})?(e[0-9]{1,3})?[ \n]?", fullmatch=True)
TEXTS = WRITTEN | st.text(max_size=8) | st.sampled_from(["true", "False", "1", "0", "yes", "", "inf", "٣", "1.", ".5"])
PATHS = st.sampled_from([".", "/", "/dev/null", "/proc/1/mem", __file__, f"{__file__}/x", "a\0b", "x" * 300, "~"])
VALUES = NUMBERS | TEXTS | PATHS | st.lists(TEXTS | NUMBERS, max_size=3) | st.lists(TEXTS, max_size=3).map(tuple)


def _outcome(param: Any, context: Any, value: Any) -> str:
    """Return the value that a parameter takes with its types, or its refusal."""
    try:
        return repr(param.process_value(context, value))
    except TyperException as error:
        return f"refused: {error.format_message()}"


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40)
@given(VALUES)
@example("007")
@example("-0")
@example("8\n")
@example(str(2**63))
@example(2**53 + 1)
@example(True)
@example("4.000000000000001")
def test_a_value_is_read_as_typer_reads_it(name: str, value: Any) -> None:
    assert _outcome(*OURS[name], value) == _outcome(*TYPERS[name], value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("file", "x.wav"),
        ("words", ("a", "b")),
        ("text", "a"),
        ("several", ["a"]),
        ("whole", "12"),
        ("factor", "1.5"),
        ("flag", "true"),
    ],
)
def test_a_plain_value_does_not_need_typers_conversion(name: str, value: Any) -> None:
    command = _command(VoxCommand)
    param = next(param for param in command.params if param.name == name)
    param.process_value(typer.Context(command), value)
    assert param._runtime_param is None
