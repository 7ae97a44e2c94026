"""The fields of a form, a query or a loose JSON object, looked at one by one.

What counts as a number or as true is what pydantic takes for it, which reads these fields in other servers.
"""

import re
from collections.abc import Mapping
from typing import Any

from voxcli.protocols.dialect import FieldError, Problem
from voxcli.synthesis.request import Clip

_WHOLE = re.compile(r"\s*([+-]?[0-9]{1,20})(\.0*)?\s*")
_TRUE = frozenset(("1", "true", "t", "yes", "y", "on"))
_FALSE = frozenset(("0", "false", "f", "no", "n", "off"))


class Malformed(FieldError):
    """A field is missing, or its value is of another type. Its code is the one that pydantic has for that."""


def read_text(fields: Mapping[str, Any], name: str, default: str = "", *, most: int | None = None) -> str:
    """Return a text.

    Args:
        most: characters that it may have.

    Raises:
        Malformed: it is none, is too long, or holds half of a character.
    """
    value = fields.get(name, default)
    if not isinstance(value, str):
        raise Malformed(f"{name!r} should be a text.", name, "string_type")
    if most is not None and len(value) > most:
        raise Malformed(f"{name!r} has {len(value)} characters, more than the {most} allowed.", name, "string_too_long")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Malformed(
            f"{name!r} is not valid Unicode: it holds half of a character.", name, "string_unicode"
        ) from None
    return value


def read_whole(fields: Mapping[str, Any], name: str, default: int) -> int:
    """Return a whole number.

    Raises:
        Malformed: it is none.
    """
    value = fields.get(name, default)
    if isinstance(value, str) and (match := _WHOLE.fullmatch(value)):
        return int(match[1])
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    raise Malformed(f"{name!r} should be a whole number.", name, "int_parsing")


def read_number(fields: Mapping[str, Any], name: str, default: float) -> float:
    """Return a number, which may be infinite or NaN.

    Raises:
        Malformed: it is none.
    """
    value = fields.get(name, default)
    try:
        if isinstance(value, str | int | float):
            return float(value)
    except (ValueError, OverflowError):
        pass
    raise Malformed(f"{name!r} should be a number.", name, "float_parsing")


def read_flag(fields: Mapping[str, Any], name: str, default: bool) -> bool:
    """Return true or false.

    Raises:
        Malformed: it is neither.
    """
    value = fields.get(name, default)
    word = f"{value:g}" if isinstance(value, int | float) else value.lower() if isinstance(value, str) else ""
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise Malformed(f"{name!r} should be true or false.", name, "bool_parsing")


def read_upload(fields: Mapping[str, Any], name: str) -> Clip | None:
    """Return a file, or None where there is none.

    Raises:
        Malformed: there is something else.
    """
    value = fields.get(name)
    if value is None or isinstance(value, Clip):
        return value
    raise Malformed(f"{name!r} should be a file.", name, "value_error")


def malformed_body(problem: Problem) -> dict[str, Any]:
    """Return what FastAPI answers when a field is malformed. What was sent is not sent back."""
    place = ["body", problem.field] if problem.field else ["body"]
    return {
        "detail": [{"type": problem.code or "value_error", "loc": place, "msg": problem.message, "input": None}],
    }
