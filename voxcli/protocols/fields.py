"""Fields of requests, parsed by pydantic: the types that all dialects share, and errors in their own sentences.

Each dialect has one model per message. Parsing, bounds and the OpenAPI document come from it.
"""

import json
import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import AfterValidator, BaseModel, Field, InstanceOf, ValidationError, WithJsonSchema
from pydantic_core import ErrorDetails, PydanticCustomError

from voxcli.audio.format import AudioFormat
from voxcli.protocols.dialect import FieldError, Problem
from voxcli.synthesis.request import Clip, Parameter

M = TypeVar("M", bound=BaseModel)

_SHOWN = 80
"""Most characters of the client's input that are repeated in an error message."""
_JSON_CODES = ("json_invalid", "json_type")
_BOUNDS = ("greater_than_equal", "less_than_equal")
_CHOICES = ("enum", "literal_error")


class Malformed(FieldError):
    """A field is missing, too long, or of another type. Its code is pydantic's."""


def shown(value: str) -> str:
    """Return a text in quotes, fit for a message: cut, and without anything that cannot be printed."""
    return repr(value if len(value) <= _SHOWN else value[:_SHOWN] + "…")


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise PydanticCustomError("string_unicode", "lone surrogate") from None
    return text


Text: TypeAlias = Annotated[str, AfterValidator(_encodable)]
"""Valid Unicode."""
Format: TypeAlias = Annotated[AudioFormat, Field(strict=False), WithJsonSchema({"enum": [*AudioFormat]})]
Upload: TypeAlias = Annotated[InstanceOf[Clip], WithJsonSchema({"type": "string", "format": "binary"})]


def parse(model: type[M], fields: Mapping[str, Any], *, text: str, max_characters: int | None) -> M:
    """Read a message.

    Args:
        text: name of the field with the text to speak.
        max_characters: of that text.

    Raises:
        Malformed: a field is missing, too long, or of another type.
        FieldError: a number is out of bounds.
    """
    message = parse_fields(model, fields)
    length = len(getattr(message, text))
    if max_characters is not None and length > max_characters:
        raise Malformed(_too_long(text, length, max_characters), text, "string_too_long")
    return message


def parse_fields(model: type[M], fields: Mapping[str, Any]) -> M:
    """Read a message that has no text to speak. Raises as `parse` does."""
    try:
        return model.model_validate(dict(fields))
    except ValidationError as error:
        errors = error.errors(include_url=False)
        raise _field_error(model, next((one for one in errors if one["type"] not in _BOUNDS), errors[0])) from None


def read_object(data: str | bytes, *, what: str = "message", codes: tuple[str, str] = _JSON_CODES) -> dict[str, Any]:
    """Read a message of a WebSocket.

    Args:
        what: the protocol's word for a message.
        codes: of the errors for what is not JSON, and for JSON that is no object.

    Raises:
        Malformed: it is not an object in JSON.
    """
    not_json, no_object = codes
    if isinstance(data, bytes):
        raise Malformed("Binary messages have no meaning here: send JSON as text.", None, "binary")
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError):
        raise Malformed(f"The {what} is not valid JSON.", None, not_json) from None
    if not isinstance(fields, dict):
        raise Malformed(f"The {what} is not a JSON object.", None, no_object)
    return fields


def seed_of(given: int | None) -> int | None:
    """Return a seed; None, to draw a new one, for the negative numbers that many clients send for it."""
    return None if given is None or given < 0 else given


_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MOST_NAMED = 32
_NOTHING: tuple[object, ...] = (None, "", False, "false")


def asking(fields: Mapping[str, Any], names: Iterable[str]) -> tuple[str, ...]:
    """Return those of the names whose fields ask for something: they are neither empty nor false."""
    return tuple(name for name in names if fields.get(name) not in _NOTHING)


def sent_parameters(fields: Mapping[str, Any], parameters: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """Return the fields that ask for something, with what they set.

    parameters: of all fields that set one.
    """
    return {name: parameters[name] for name in asking(fields, parameters)}


def unknown_fields(model: type[BaseModel], fields: Iterable[str]) -> tuple[str, ...]:
    """Return the names that a message does not have, as far as they fit into a header."""
    unknown = (name for name in fields if name not in model.model_fields and _NAME.fullmatch(name))
    return tuple(islice(unknown, _MOST_NAMED))


def json_schema(model: type[BaseModel], *, nullable: bool = True) -> dict[str, Any]:
    """Return the JSON schema of a message for OpenAPI.

    Args:
        nullable: whether optional fields may be null, which forms and queries have no value for.
    """
    schema = model.model_json_schema()
    for name, field in schema["properties"].items():
        field.pop("title", None)
        if name in schema.get("required", ()) or field.get("default", 0) is None:
            field.pop("default", None)
        if not nullable and "anyOf" in field:
            field.update(field.pop("anyOf")[0])
    return schema


def malformed_body(problem: Problem) -> dict[str, Any]:
    """Return the body of FastAPI's response to a malformed field, without the client's input."""
    location = ["body", problem.field] if problem.field else ["body"]
    return {
        "detail": [{"type": problem.code or "value_error", "loc": location, "msg": problem.message, "input": None}],
    }


def _field_error(model: type[BaseModel], error: ErrorDetails) -> FieldError:
    name, kind, given = ".".join(str(part) for part in error["loc"]), error["type"], error["input"]
    if kind in _BOUNDS:
        bounds = _bounds(model, name) if name in model.model_fields else _bound(error["ctx"])
        return FieldError(f"{name!r} must {bounds}.", name)
    if kind in _CHOICES and not isinstance(given, str):
        kind = "string_type"
    if kind == "too_long" and isinstance(given, str):  # as pydantic calls it behind another validator
        kind = "string_too_long"
    context = error.get("ctx", {})
    match kind:
        case "missing":
            message = f"{name!r} is missing."
        case "string_too_long":
            message = _too_long(name, len(given), context["max_length"])
        case "string_unicode":
            message = f"{name!r} is not valid Unicode: it holds half of a character."
        case "enum" | "literal_error":
            choices = str(context["expected"]).replace("'", "").replace(" or ", ", ")
            message = f"{name!r} cannot be {shown(given)}. Choose one of {choices}."
        case _:
            wrong = f", not {_KINDS.get(type(given), 'a number')}" if kind.endswith("_type") else ""
            message = f"{name!r} must be {_EXPECTED.get(kind.partition('_')[0], 'valid')}{wrong}."
    return Malformed(message, name, kind)


_EXPECTED = {
    "string": "a string",
    "int": "a whole number",
    "finite": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "an array",
    "is": "a file",
    "model": "a string or an object",
}
"""By the first word of pydantic's code."""
_KINDS: dict[type, str] = {
    bool: "a boolean",
    dict: "an object",
    list: "an array",
    str: "a string",
    Clip: "a file",
    type(None): "null",
}


def _too_long(name: str, length: int, most: int) -> str:
    return f"{name!r} has {length} characters, more than the {most} allowed."


def _bounds(model: type[BaseModel], name: str) -> str:
    limits = model.model_fields[name].metadata
    least = next((limit.ge for limit in limits if hasattr(limit, "ge")), None)
    most = next((limit.le for limit in limits if hasattr(limit, "le")), None)
    if least == most:
        return f"be {least:g}"
    if least is None:
        return f"be at most {_number(most)}"
    return f"be at least {least:g}" if most is None else f"lie between {_number(least)} and {_number(most)}"


def _bound(context: Mapping[str, Any]) -> str:
    """Return the bound that the field of an inner object has passed."""
    return f"be at least {_number(context['ge'])}" if "ge" in context else f"be at most {_number(context['le'])}"


def _number(value: float | None) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"
