"""`voxcli help`: longer texts about one topic, help of commands, and the manual page."""

import sys
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from voxcli.cli.console import write_lines
from voxcli.cli.exits import MEANINGS
from voxcli.cli.parser.help import documented, help_text
from voxcli.cli.parser.man import manual
from voxcli.version import __version__

# importlib.resources would take 10 ms of every start.
_FOLDER = Path(__file__).parents[2] / "docs"
_MANUAL = "man"


def topics() -> list[str]:
    """List the topics, which are the Markdown files of `voxcli/docs`."""
    return sorted(path.stem for path in _FOLDER.glob("*.md"))


def _starting_with(incomplete: str) -> list[str]:
    return [topic for topic in [*topics(), _MANUAL] if topic.startswith(incomplete)]


Topic = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="TOPIC",
        help="A topic, a command, or man for the manual page. Leave it out for a list.",
        autocompletion=_starting_with,
    ),
]


@documented(
    "voxcli help voices",
    "voxcli help say",
    "voxcli help man > voxcli.1",
    runs_without_settings=True,
)
def show_help(context: typer.Context, topic: Topic = None) -> None:
    """Show a longer text about one topic, or the manual.

    The manual page has all commands with all their options: voxcli help man | man -l -
    """
    from voxcli.errors import NotFound, did_you_mean

    root = context.find_root()
    if not topic:
        write_lines([help_text(root.command, root), "", "Topics:"])
        write_lines([f"  voxcli help {name}" for name in [*topics(), _MANUAL]])
        return
    [name, *further] = topic
    if name == _MANUAL:
        write_lines([manual(root.command, root, __version__, MEANINGS)])
    elif name in topics() and not further:
        _show_topic(name)
    elif (found := _find_command(root, topic)) is not None:
        write_lines([help_text(found.command, found)])
    else:
        known = [*topics(), _MANUAL, *cast(Any, root.command).commands]
        raise NotFound(
            f"There is no topic {' '.join(topic)!r}.{did_you_mean(name, known)} "
            f"The topics are: {', '.join([*topics(), _MANUAL])}."
        )


def _find_command(root: Any, names: list[str]) -> Any:
    """Return the context of a command, named from the top; None if there is no such command."""
    context = root
    for name in names:
        command = getattr(context.command, "commands", {}).get(name)
        if command is None:
            return None
        context = typer.Context(command, info_name=name, parent=context)
    return context


def _show_topic(topic: str) -> None:
    text = (_FOLDER / f"{topic}.md").read_text("utf-8")
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(text))
    else:
        write_lines(text.splitlines())
