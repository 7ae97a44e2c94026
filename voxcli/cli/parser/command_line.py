"""Words of a command line before they are parsed: names from other programs, flags with values, options given twice."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import typer

from voxcli.cli.parser import other_programs

_TRUTHS = {"true": True, "false": False}
_END_OF_OPTIONS = "--"
_FACTORS = {"speed", "volume"}
"""Options that other programs take in percent."""


@dataclass(frozen=True, slots=True)
class Word:
    """An option of the command line, with its value if it takes one."""

    name: str
    option: Any
    """Its Click parameter; None for an argument, and for an unknown option."""
    value: str | None
    raw: tuple[str, ...]
    """As it was written."""


def read_words(command: Any, context: Any, arguments: Sequence[str]) -> Iterator[Word]:
    """Yield the words of a command line up to "--"; what follows comes as one word."""
    options = _options_by_name(command, context)
    at = 0
    while at < len(arguments):
        written = arguments[at]
        if written == _END_OF_OPTIONS:
            yield Word(written, None, None, tuple(arguments[at:]))
            return
        name, joined, value = written.partition("=") if written.startswith("--") else (written[:2], "", written[2:])
        if (option := options.get(name)) is None or not written.startswith("-"):
            yield Word(written, None, None, (written,))
            at += 1
        elif option.is_flag or joined or value:
            yield Word(name, option, value if joined or not option.is_flag else None, (written,))
            at += 1
        else:
            following = arguments[at + 1] if at + 1 < len(arguments) else None
            yield Word(name, option, following, tuple(arguments[at : at + 2]))
            at += 2


def understood(command: Any, context: Any, arguments: Sequence[str]) -> list[str]:
    """Return a command line with the words of other programs replaced by ours, where they mean the same.

    Raises:
        typer.BadParameter: such a word means something else here; the message names ours.
    """
    options = _options_by_name(command, context)
    words = list(arguments)
    result: list[str] = []
    while words:
        word = words.pop(0)
        if word == _END_OF_OPTIONS:
            return [*result, word, *words]
        name, joined, value = word.partition("=")
        if not word.startswith("-"):
            result.append(word)
            continue
        if (option := options.get(name)) is not None:
            given = [value] if joined else ([] if option.is_flag else words[:1])
            del words[: 0 if joined else len(given)]
            given = [other_programs.as_factor(one) for one in given] if option.name in _FACTORS else given
            result += [f"{name}={given[0]}"] if joined else [name, *given]
            continue
        name = f"--{name[2:].replace('_', '-')}" if name.startswith("--") else name
        if name in options:
            words.insert(0, f"{name}{joined}{value}")
            continue
        ours = other_programs.translate(name, value if joined else (words[0] if words else None), options)
        if ours is None:
            result.append(word)
            continue
        if ours.takes_value and not joined and words:
            words.pop(0)
        words[:0] = ours.words
    return result


def check_words(command: Any, context: Any, arguments: Sequence[str]) -> list[str]:
    """Refuse flags followed by true or false, and return warnings about options that are given twice.

    Raises:
        typer.BadParameter: a flag is followed by true or false.
    """
    given: dict[str, Word] = {}
    warnings, before = [], None
    for word in read_words(command, context, arguments):
        if before is not None and word.option is None and word.name.lower() in _TRUTHS:
            _refuse_truth(before, word.name)
        before = word if word.option is not None and word.option.is_flag else None
        if word.option is None:
            continue
        if word.option.is_flag and word.value is not None:
            _refuse_truth(word, word.value)
        earlier = given.get(word.option.name)
        if earlier and not word.option.multiple and (warning := _overridden(earlier, word)):
            warnings.append(warning)
        given[word.option.name] = word
    return warnings


def _overridden(earlier: Word, later: Word) -> str | None:
    if later.option.is_flag:
        opposite = (earlier.name in later.option.secondary_opts) != (later.name in later.option.secondary_opts)
        return f"{later.name} counts, {earlier.name} before it does not." if opposite else None
    if earlier.value == later.value:
        return None
    return f"{later.name} is given twice: {later.value} counts, {earlier.value} does not."


def _refuse_truth(flag: Word, written: str) -> None:
    option = flag.option
    opposites = option.opts if flag.name in option.secondary_opts else option.secondary_opts
    instead = "leave the value out"
    if _TRUTHS.get(written.lower()) is False:
        instead = f"write {opposites[0]}" if opposites else "leave it out"
    raise typer.BadParameter(
        f"{flag.name} takes no value, so {written!r} would be read as a text: {instead}.", param_hint=flag.name
    )


def _options_by_name(command: Any, context: Any) -> dict[str, Any]:
    return {
        name: param
        for param in command.get_params(context)
        if param.param_type_name == "option"
        for name in (*param.opts, *param.secondary_opts)
    }
