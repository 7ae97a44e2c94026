"""`voxcli help`: longer texts about one topic."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from voxcli.cli.console import write_lines

# importlib.resources would take 10 ms of every start.
_FOLDER = Path(__file__).parents[2] / "docs"


def topics() -> list[str]:
    """List the topics, which are the Markdown files of `voxcli/docs`."""
    return sorted(path.stem for path in _FOLDER.glob("*.md"))


def _starting_with(incomplete: str) -> list[str]:
    return [topic for topic in topics() if topic.startswith(incomplete)]


Topic = Annotated[
    str | None, typer.Argument(metavar="TOPIC", help="Leave it out for a list.", autocompletion=_starting_with)
]


def show_help(topic: Topic = None) -> None:
    """Show a longer text about one topic."""
    from voxcli.errors import NotFound, did_you_mean

    if topic is None:
        write_lines([f"voxcli help {name}" for name in topics()])
        return
    if topic not in topics():
        raise NotFound(
            f"There is no topic {topic!r}.{did_you_mean(topic, topics())} The topics are: {', '.join(topics())}."
        )
    text = (_FOLDER / f"{topic}.md").read_text("utf-8")
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(text))
    else:
        write_lines(text.splitlines())
