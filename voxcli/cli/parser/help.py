"""Help pages: examples first, then what most people need; everything else with --help-all."""

import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from rich.cells import cell_len

from voxcli.cli.console import wrap

F = TypeVar("F", bound=Callable[..., Any])

_NARROW = 40
"""Columns; a narrower screen is treated as this wide."""
_WIDE = 100
"""Columns; lines are not longer on a wider screen, where they would be hard to read."""
_ROOMY = 60
"""Columns, from which on the whole help of an option is shown."""
_LONG = 130
"""Characters of help that --help shows at most."""
_SMALL = 9
"""A command with at most this many options shows all of them."""
_ENDLESS = 1e12
"""A larger limit is not worth telling."""
_PAGE = "help_page"


@dataclass(frozen=True, slots=True)
class HelpPage:
    """What the help of a command shows besides its options."""

    examples: tuple[str, ...] = ()
    basics: tuple[str, ...] | None = None
    """Names of the parameters that --help shows; None shows all."""
    notes: tuple[str, ...] = ()
    """Paragraphs at the end of --help-all and of the manual."""
    runs_without_settings: bool = False
    """Whether the command runs even if a settings file is broken."""
    translate: Callable[[list[str]], list[str]] | None = None
    """Rewrites old spellings of its arguments."""


def documented(*examples: str, **details: Any) -> Callable[[F], F]:
    """Attach a `HelpPage` to a command: command lines to copy, and the other fields by name."""

    def attach(function: F) -> F:
        vars(function)[_PAGE] = HelpPage(examples, **details)
        return function

    return attach


_RARELY_WANTED = frozenset({"help", "help_all", "show_completion"})
"""Options that the short help leaves out."""


def page_of(command: Any) -> HelpPage:
    """Return the help page of a command."""
    page = getattr(command.callback, _PAGE, None)
    return page if isinstance(page, HelpPage) else HelpPage()


def screen_columns() -> int:
    """Return the columns that help is written for: COLUMNS, or those of the terminal, or 80."""
    return max(_NARROW, min(_WIDE, shutil.get_terminal_size((80, 24)).columns))


def visible_options(command: Any, context: Any) -> list[Any]:
    """Return the options of a command that are not hidden."""
    return [param for param in command.get_params(context) if not getattr(param, "hidden", False) and _is_option(param)]


def basic_options(command: Any, context: Any) -> list[Any]:
    """Return the options that --help shows."""
    options, basics = visible_options(command, context), page_of(command).basics
    if basics is None or len(options) <= _SMALL:
        return options
    order = {name: number for number, name in enumerate(basics)}
    return sorted((option for option in options if option.name in order), key=lambda option: order[option.name])


def help_text(command: Any, context: Any, *, full: bool = False) -> str:
    """Return the help of a command, of the width of the screen."""
    columns, page = screen_columns(), page_of(command)
    blocks = [[usage(command, context)], _paragraphs(command.help or "", columns)]
    if page.examples:
        blocks.append(["Examples:", *(line for example in page.examples for line in wrap_command(example, columns))])
    if arguments := [
        (param.metavar or param.name.upper(), param.help)
        for param in command.params
        if not _is_option(param) and param.help
    ]:
        blocks.append(["Arguments:", *_table(arguments, columns)])
    commands: dict[str, str] = command.summaries() if hasattr(command, "summaries") else {}
    if commands:
        blocks.append(["Commands:", *_table(commands.items(), columns)])
    blocks += _option_blocks(command, context, columns, full=full)
    if full:
        blocks += [_paragraphs(note, columns) for note in page.notes]
    if not full and (more := _more(command, context, bool(commands))) != []:
        blocks.append(_paragraphs(" ".join(more), columns))
    return "\n\n".join("\n".join(block) for block in blocks if block)


def usage(command: Any, context: Any) -> str:
    """Return one line: the command and its arguments."""
    words = [context.command_path]
    words += [_argument(param) for param in command.params if not _is_option(param)]
    words += ["COMMAND"] if hasattr(command, "summaries") else []
    return f"Usage: {' '.join(words)} [options]"


def option_names(option: Any, *, every: bool = False) -> str:
    """Return the names of an option and its value, such as "-o, --output FILE"."""
    short = [name for name in option.opts if not name.startswith("--")]
    long = [name for name in option.opts if name.startswith("--")]
    if option.secondary_opts:
        name, opposite = long[0].removeprefix("--"), option.secondary_opts[0]
        long = [f"--[no-]{name}" if opposite == f"--no-{name}" else f"--{name}, {opposite}"]
    names = ", ".join([*short, *(long if every else long[:1])])
    if not short:
        names = f"    {names}"
    value = value_name(option)
    return f"{names} {value}" if value else names


def value_name(option: Any) -> str:
    """Return the word that stands for the value of an option; empty if it takes none."""
    if option.is_flag or option.count:
        return ""
    if option.metavar:
        return str(option.metavar)
    descriptor = option.type_descriptor
    if descriptor.choices:
        return "|".join(map(str, descriptor.choices))
    return "NUMBER" if descriptor.annotation in (int, float) else "TEXT"


def describe_option(option: Any) -> str:
    """Return the help of an option, with its range and its default."""
    text, facts = (option.help or "").rstrip(), []
    if (limits := number_range(option)) and limits != "at least 0":
        facts.append(limits)
    if option.show_default and option.default not in (None, False, ()) and "efault" not in text:
        facts.append(
            f"default {option.default:g}" if isinstance(option.default, float) else f"default {option.default}"
        )
    if not facts:
        return text
    return f"{text.removesuffix('.')} ({'; '.join(facts)})."


def number_range(option: Any) -> str:
    """Return the numbers that an option takes, such as "0.25 to 4"; empty if there is no limit."""
    least, most = getattr(option, "min", None), getattr(option, "max", None)
    if least is most is None:
        return ""
    if most is None or most > _ENDLESS:
        return f"at least {least:g}"
    return f"{least:g} to {most:g}" if least is not None else f"at most {most:g}"


def wrap_command(command: str, columns: int, indent: str = "  ") -> Iterator[str]:
    """Yield a command line in lines that fit, continued with backslashes where the shell allows it."""
    word = r"""(?:[^\s"']|"[^"]*"|'[^']*')+"""
    pieces = re.findall(rf"-\S+ (?!-){word}|{word}", command)  # an option stays with its value
    line = indent
    for number, piece in enumerate(pieces):
        room = columns - (2 if number + 1 < len(pieces) else 0)
        if line.strip() and cell_len(line) + cell_len(piece) > room:
            yield f"{line.rstrip()} \\"
            line = f"{indent}  "
        line += f"{piece} "
    yield line.rstrip()


def _paragraphs(text: str, columns: int) -> list[str]:
    lines: list[str] = []
    for number, paragraph in enumerate(re.split(r"\n\s*\n", text.strip())):
        lines += [""] if number else []
        lines += wrap(" ".join(paragraph.split()), columns)
    return lines


def _table(rows: Iterable[tuple[str, str]], columns: int) -> list[str]:
    """Return names with descriptions beside them, or below a name that is too long."""
    listed = list(rows)
    widest = max(14, columns * 2 // 5)
    fitting = [cell_len(name) for name, _ in listed if cell_len(name) <= widest]
    left = max(fitting, default=0) + 4
    lines: list[str] = []
    for name, description in listed:
        texts = wrap(description, columns - left)
        if cell_len(name) + 4 > left:
            lines.append(f"  {name}")
        else:
            lines.append(f"  {name}{' ' * (left - 2 - cell_len(name))}{texts.pop(0)}".rstrip())
        lines += [f"{' ' * left}{text}" for text in texts]
    return lines


def _option_blocks(command: Any, context: Any, columns: int, *, full: bool) -> Iterator[list[str]]:
    if not full:
        if rows := [
            (option_names(option), _brief(option.help or "", columns))
            for option in basic_options(command, context)
            if option.name not in _RARELY_WANTED
        ]:
            yield ["Options:", *_table(rows, columns)]
        return
    panels: dict[str, list[tuple[str, str]]] = {}
    for option in visible_options(command, context):
        row = (option_names(option, every=True), describe_option(option))
        panels.setdefault(getattr(option, "rich_help_panel", None) or "Options", []).append(row)
    for title, rows in panels.items():
        yield [f"{title}:", *_table(rows, columns)]


def _brief(text: str, columns: int) -> str:
    """Return a help text; of a long one, and on a narrow screen, the first sentence."""
    if columns >= _ROOMY and len(text) <= _LONG:
        return text
    sentence, end, _ = text.partition(". ")
    return f"{sentence}." if end else sentence


def _more(command: Any, context: Any, has_commands: bool) -> list[str]:
    more = []
    if has_commands:
        more.append(f"Options of a command: {context.command_path} COMMAND --help.")
    if page_of(command).basics is not None or (page_of(command).notes and context.parent):
        more.append(f"All options: {context.command_path} --help-all.")
    if context.parent is None:
        more.append("Topics and the manual: voxcli help. Exit codes: voxcli --help-all.")
    return more


def _argument(param: Any) -> str:
    name = param.metavar or param.name.upper()
    return name if param.required or name.startswith("[") else f"[{name}]"


def _is_option(param: Any) -> bool:
    return bool(param.param_type_name == "option")
