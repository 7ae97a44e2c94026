"""Error bodies: OpenAI's envelope, and the message in an error response of any server."""

import html
import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from voxcli.protocols.dialect import Problem

_MOST = 300
"""Characters of a server's message that a user is shown."""
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_TOO_MANY = 429


def error_type(problem: Problem) -> str:
    if problem.status == _TOO_MANY:
        return "rate_limit_error"
    return "server_error" if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"


def error_body(problem: Problem) -> dict[str, Any]:
    """Return a problem in OpenAI's envelope, with all four keys."""
    return {
        "error": {
            "message": problem.message,
            "type": error_type(problem),
            "param": problem.field,
            "code": problem.code,
        }
    }


def error_message(status: int, body: bytes) -> str:
    """Return one sentence from an error response of any shape."""
    said = find_message(_parsed(body)) or _plain_text(body)
    return said or f"It gave no reason ({status} {_phrase(status)})."


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def find_message(value: Any, depth: int = 4) -> str | None:
    """Find the message in a JSON value: OpenAI's `error.message`, FastAPI's `detail`, and similar shapes."""
    if depth and isinstance(value, list):
        found = (find_message(item, depth - 1) for item in value)
        return "; ".join(dict.fromkeys(message for message in found if message))[:_MOST] or None
    if depth and isinstance(value, Mapping):
        for key in ("message", "error", "detail", "msg"):
            if message := find_message(value.get(key), depth - 1):
                return _with_place(message, value.get("loc"))
    return _one_line(value) if isinstance(value, str) else None


def _with_place(message: str, place: Any) -> str:
    """Prefix the location of a FastAPI error, whose messages name no field."""
    if not isinstance(place, list) or not place:
        return message
    return f"{'.'.join(str(part) for part in place if part != 'body') or 'body'}: {message}"


def _plain_text(body: bytes) -> str | None:
    """Return plain text, or the title of an HTML page."""
    text = body[: 1 << 16].decode(errors="replace")
    if title := _TITLE.search(text):
        text = html.unescape(title[1])
    elif "<" in text or "\0" in text or "�" in text:
        return None
    return _one_line(text)


def _one_line(text: str) -> str | None:
    """Return the beginning of a text without control characters."""
    line = "".join(c if c.isprintable() else " " for c in text[: 4 * _MOST])
    line = " ".join(line.split())
    return (line if len(line) <= _MOST else line[:_MOST] + "…") or None


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "unknown status"
