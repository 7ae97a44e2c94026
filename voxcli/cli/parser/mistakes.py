"""Messages about mistakes on the command line: one sentence of what is wrong, with what, and what to do."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from typer.exceptions import TyperException

from voxcli.cli.parser import other_programs
from voxcli.cli.parser.help import number_range, value_name
from voxcli.errors import did_you_mean

_TOO_SHORT = 3
"""Characters; a shorter beginning of a name is not taken for the name."""


def explain(error: TyperException, arguments: Sequence[str]) -> str:
    """Return what is wrong with a command line, as one paragraph.

    Args:
        arguments: the whole command line, without the program.
    """
    context: Any = getattr(error, "ctx", None)
    if (option := getattr(error, "option_name", None)) is not None:
        if hasattr(error, "possibilities"):
            return _unknown_option(option, context, arguments)
        return _wrong_use(option, context)
    if type(error).__name__ == "MissingParameter":
        return _missing(error, context)
    cause = error.__cause__
    if cause is not None and hasattr(cause, "errors") and getattr(error, "param", None) is not None:
        return _wrong_value(error, cause.errors()[0], context)
    if found := re.fullmatch(r"Got unexpected extra argument\(s\) \((.*)\)", error.message, re.DOTALL):
        return f"Too many arguments: {found[1]}.{_see(context)}"
    if error.message == "Missing command.":
        return f"Name a command.{_see(context)}"
    return _with_option(error)


def unknown_command(word: str, following: Sequence[str], command: Any, path: str) -> str:
    """Return the message about a command that does not exist.

    Args:
        following: the words after it.
        command: the group.
        path: its name, such as "voxcli voices".
    """
    at_top = " " not in path
    name = following[0] if following and not following[0].startswith("-") else "NAME"
    if at_top and (hint := other_programs.COMMAND_HINTS.get(word)):
        return f"There is no command {word!r}. {hint.format(name=name)}"
    if at_top and (" " in word or not word.isascii()):
        return f'There is no command {word!r}. To speak a text: voxcli say "{word}"'
    if hint := other_programs.GROUP_HINTS.get((path.rpartition(" ")[2], word)):
        return f"There is no command {word!r}. {hint.format(name=name)}"
    if ours := other_programs.resembling_command(word, command.commands):
        return f"There is no command {word!r}. Did you mean {ours!r}? As in: {path} {ours} {name}"
    near = did_you_mean(word, command.commands)
    if not near and at_top:
        near = f' To speak a text: voxcli say "{" ".join([word, *following])}".'
    return f"There is no command {word!r}.{near} Commands: {', '.join(command.commands)}."


def _unknown_option(name: str, context: Any, arguments: Sequence[str]) -> str:
    takes_text = context is not None and any(param.name in ("text", "texts") for param in context.command.params)
    written = next((word for word in arguments if word.startswith(name)), name)
    if takes_text and (" " in written or re.match(r"-\d", written) or re.match(r"-\W", written.removeprefix("-"))):
        return (
            f"{written!r} begins with a dash, so it is read as options. "
            f'To speak it, put -- before it: {context.command_path} -- "{written}"'
        )
    if hint := other_programs.HINTS.get(name.replace("_", "-")):
        return f"There is no option {name}. {hint}"
    ours = _own_options(context)
    meant = [option for option in ours if len(name) > _TOO_SHORT and option.startswith(name)]
    near = f" Did you mean {meant[0]}?" if len(meant) == 1 else _near_option(name, ours)
    if not near and context is not None and context.parent is None and "say" in context.command.commands:
        say = context.command.commands["say"]
        if any(name in param.opts for param in say.params):
            near = f" It is an option of a command, as in: voxcli say {name} …"
    return f"There is no option {name}.{near}{_see(context)}"


def _near_option(name: str, ours: Iterable[str]) -> str:
    bare = {option.lstrip("-"): option for option in ours if option.startswith("--")}
    found = re.search(r"'(.+)'", did_you_mean(name.lstrip("-"), bare))
    return f" Did you mean {bare[found[1]]}?" if found else ""


def _own_options(context: Any) -> list[str]:
    if context is None:
        return []
    return [
        name
        for param in context.command.get_params(context)
        if not getattr(param, "hidden", False) and param.param_type_name == "option"
        for name in (*param.opts, *param.secondary_opts)
    ]


def _wrong_use(name: str, context: Any) -> str:
    option = next((param for param in context.command.get_params(context) if name in param.opts), None)
    if option is None or option.is_flag:
        return f"{name} takes no value: write it alone, or leave it out."
    return f"{name} needs a value: {name} {value_name(option)}.{_see(context)}"


def _missing(error: Any, context: Any) -> str:
    param = error.param
    name = param.opts[0] if param.param_type_name == "option" else (param.metavar or param.name.upper())
    words = [_argument(one) for one in context.command.params if one.param_type_name == "argument"]
    return f"{name.strip('.')} is missing, as in: {context.command_path} {' '.join(words).rstrip('.')}.{_see(context)}"


def _argument(param: Any) -> str:
    return str(param.metavar or param.name.upper()).strip("[]").removesuffix("...")


def _wrong_value(error: Any, detail: Any, context: Any) -> str:
    param, value = error.param, detail.get("input")
    place = _place(param, context, value)
    if param.param_type_name == "option" and (choices := param.type_descriptor.choices):
        known = [str(choice) for choice in choices]
        return f"Unknown value: {place}.{did_you_mean(str(value), known)} Choose from: {', '.join(known)}."
    whole = param.type_descriptor.annotation is int
    limits = number_range(param) or ("a whole number" if whole else "a number")
    kind = str(detail.get("type", ""))
    if kind in ("greater_than_equal", "less_than_equal", "finite_number"):
        note = ""
        if param.name == "speed" and isinstance(value, str | int | float) and float(value) > 20:
            note = f" For {float(value):g} words per minute: --speed {other_programs.speed_of(float(value))}"
        return f"Out of range: {place} ({limits}).{note}"
    if kind.startswith(("int", "float")):
        whole = whole and _is_number(value)
        return f"Not a {'whole ' if whole else ''}number: {place} ({limits})."
    if kind.startswith("bool"):
        return f"Neither true nor false: {place}."
    return f"Invalid value: {place}: {error.message}"


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _place(param: Any, context: Any, value: Any) -> str:
    """Return an option with its value, as it was given: on the command line, or by a variable."""
    source = context.get_parameter_source(param.name) if context is not None else None
    if source is not None and source.name == "ENVIRONMENT":
        return f"{param.envvar}={value}"
    if param.param_type_name == "argument":
        return f"{param.metavar or param.name.upper()} {value}"
    long = [name for name in param.opts if name.startswith("--")]
    return f"{(long or param.opts)[0]} {value}"


def _with_option(error: Any) -> str:
    """Return the message of an error, with the name of the option before it unless it has it already."""
    hint = getattr(error, "param_hint", None)
    param = getattr(error, "param", None)
    if hint is None and param is not None and param.param_type_name == "option":
        hint = next((name for name in param.opts if name.startswith("--")), param.opts[0])
    message = str(error.message)
    names = [hint] if isinstance(hint, str) else list(hint or [])
    if not names or not names[0].startswith("-") or any(re.search(rf"{re.escape(name)}\b", message) for name in names):
        return message
    return f"{' and '.join(names)}: {message}"


def _see(context: Any) -> str:
    return f" See: {context.command_path} --help" if context is not None else ""
