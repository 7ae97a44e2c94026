"""The fields of a JSON object, looked at one by one; the errors carry OpenAI's codes."""

from collections.abc import Mapping, Sequence
from typing import Any

from voxcli.protocols.dialect import FieldError

_SHOWN = 80
"""Characters of what a client has sent that go back to it."""


def shown(value: str) -> str:
    """Return a text in quotes, fit for a message: cut, and without anything that cannot be printed."""
    return repr(value if len(value) <= _SHOWN else value[:_SHOWN] + "…")


def read_text(fields: Mapping[str, Any], name: str, *, most: int, label: str | None = None) -> str | None:
    """Return a text, or None where there is none.

    Args:
        most: characters.
        label: what to call it, if that is not its name.

    Raises:
        FieldError: it is no text, too long, or not Unicode.
    """
    value, label = fields.get(name), label or name
    if value is None:
        return None
    if not isinstance(value, str):
        raise _wrong_type(label, "a string", value)
    if len(value) > most:
        raise FieldError(
            f"{label!r} has {len(value)} characters, more than the {most} allowed.", label, "string_above_max_length"
        )
    try:
        value.encode()
    except UnicodeEncodeError:
        raise FieldError(f"{label!r} is not valid Unicode: it holds half of a character.", label) from None
    return value


def read_choice(fields: Mapping[str, Any], name: str, choices: Sequence[str]) -> str | None:
    """Return one of a few words, or None where there is none."""
    value = read_text(fields, name, most=256)
    if value is not None and value not in choices:
        listing = ", ".join(choices)
        raise FieldError(f"{name!r} cannot be {shown(value)}. Choose one of {listing}.", name)
    return value


def read_number(fields: Mapping[str, Any], name: str, least: float, most: float) -> float | None:
    """Return a number within bounds, or None where there is none."""
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong_type(name, "a number", value)
    if not least <= value <= most:  # nor is NaN
        raise FieldError(f"{name!r} must lie between {least:g} and {most:g}.", name)
    return float(value)


def read_whole(fields: Mapping[str, Any], name: str, least: int, most: int) -> int | None:
    """Return a whole number within bounds, or None where there is none."""
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # in JSON, 8000.0 is a whole number
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong_type(name, "a whole number", value)
    if not least <= value <= most:
        raise FieldError(f"{name!r} must lie between {least} and {most}.", name)
    return value


def read_flag(fields: Mapping[str, Any], name: str) -> bool | None:
    value = fields.get(name)
    if value is None or isinstance(value, bool):
        return value
    raise _wrong_type(name, "true or false", value)


_KINDS: dict[type, str] = {bool: "a boolean", dict: "an object", list: "an array", str: "a string"}


def _wrong_type(name: str, expected: str, value: object) -> FieldError:
    return FieldError(f"{name!r} must be {expected}, not {_KINDS.get(type(value), 'a number')}.", name, "invalid_type")
