"""Manual page in roff, from the tree of commands."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import typer

from voxcli.cli.parser.help import describe_option, option_names, page_of, visible_options


def manual(root: Any, context: Any, version: str, exit_codes: Mapping[Any, str]) -> str:
    """Return the manual of voxcli with all its commands and options.

    Args:
        root: the group of all commands.
    """
    lines = [
        f'.TH VOXCLI 1 "" "voxcli {_text(version)}" "User Commands"',
        ".SH NAME",
        "voxcli \\- text\\-to\\-speech for the command line",
        ".SH SYNOPSIS",
        ".B voxcli",
        "COMMAND [options]",
    ]
    for name, command, its_context in _walk(root, context):
        lines += _command(name, command, its_context)
    lines += [".SH EXIT STATUS"]
    for code, meaning in exit_codes.items():
        lines += [".TP", f".B {code}", _line(meaning)]
    lines += [
        ".SH ENVIRONMENT",
        ".TP",
        ".B VOXCLI_HOME",
        "Folder of everything that voxcli stores.",
        ".TP",
        ".B VOXCLI_API_KEY",
        "API key of the server.",
        ".TP",
        ".B VOXCLI_<NAME>",
        "Default of the option \\-\\-NAME, for the settings that voxcli config show lists.",
        ".SH FILES",
        ".TP",
        ".I voxcli.toml",
        "Settings, in the current folder and in the folder of the user. voxcli config show names both.",
    ]
    return "\n".join(lines)


def _walk(command: Any, context: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield all commands that do something, with their full names."""
    below = getattr(command, "commands", None)
    if below is None:
        yield context.command_path, command, context
        return
    for name in below:
        child = below[name]
        if not child.hidden:
            yield from _walk(child, typer.Context(child, info_name=name, parent=context))


def _command(name: str, command: Any, context: Any) -> Iterator[str]:
    arguments = [param.metavar or param.name.upper() for param in command.params if param.param_type_name == "argument"]
    yield f".SH {_text(name.upper())}"
    yield f".B {_text(name)}"
    yield _line(" ".join([*arguments, "[options]"]))
    for paragraph in re.split(r"\n\s*\n", command.help or ""):
        yield ".PP"
        yield _line(" ".join(paragraph.split()))
    page = page_of(command)
    if page.examples:
        yield from [".PP", "Examples:", ".nf", ".RS 4", *map(_line, page.examples), ".RE", ".fi"]
    for param in command.params:
        if param.param_type_name == "argument" and param.help:
            yield from [".TP", f".I {_text(param.metavar or param.name.upper())}", _line(param.help)]
    for option in visible_options(command, context):
        if option.name not in ("help", "help_all"):
            yield from [".TP", f".B {_text(option_names(option, every=True).strip())}", _line(describe_option(option))]
    yield from _notes(page.notes)


def _notes(notes: Sequence[str]) -> Iterator[str]:
    for note in notes:
        yield from [".PP", _line(note)]


def _text(text: str) -> str:
    """Escape a text for roff."""
    return text.replace("\\", "\\e").replace("-", "\\-")


def _line(text: str) -> str:
    """Escape a text at the beginning of a line, where a dot or an apostrophe would be a request."""
    escaped = _text(text)
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
