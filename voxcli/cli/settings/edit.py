"""One line of a settings file set or taken out, and all others left as they stand."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from voxcli.cli.files import replace_file
from voxcli.errors import DeviceError, RequestError

_VALUE = r"""(?P<value>"(?:[^"\\]|\\.)*"|'[^']*'|[^\s"'#\[{]+)"""


def edit_settings(path: Path, key: str, value: str | None) -> None:
    """Set a key of a settings file, which need not be there yet, or take it out.

    Raises:
        RequestError: the file is not one in which this can be done line by line.
        DeviceError: it cannot be written.
    """
    try:
        text = path.read_bytes().decode() if path.exists() else ""
        edited = with_setting(text, key, value)
        if edited != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, edited.encode())
    except ValueError as error:
        line = f"write there: {_line(key, value)}" if value is not None else f"take {key} out there"
        raise RequestError(f"{path} cannot be changed safely ({error}). Open it and {line}") from error
    except OSError as error:
        raise DeviceError(f"Cannot write {path}: {error.strerror or error}.") from error


def with_setting(text: str, key: str, value: str | None) -> str:
    """Return the text of a settings file with a key of it set, or with None taken out.

    Raises:
        ValueError: it is no TOML, or the value stands there in a way that takes more than a line.
    """
    before = tomllib.loads(text)
    wanted: dict[str, Any] = {name: known for name, known in before.items() if name != key}
    if value is not None:
        wanted[key] = value
    if before == wanted:
        return text
    # A line that looks right may be part of a longer string, so whatever is tried is also read.
    for edited in _attempts(text, key, value):
        if _meaning(edited) == wanted:
            return edited
    raise ValueError(f"{key} is set there in a way not known here")


def _attempts(text: str, key: str, value: str | None) -> Iterator[str]:
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    pattern = re.compile(rf"""(?P<before>\s*(["']?){re.escape(key)}\2\s*=\s*){_VALUE}(?P<after>\s*(#.*)?\n?)""")
    for number, line in enumerate(lines):
        if match := pattern.fullmatch(line):
            changed = [] if value is None else [match["before"] + _quoted(value) + match["after"]]
            yield "".join([*lines[:number], *changed, *lines[number + 1 :]])
    if value is not None:
        end = "\r\n" if "\r\n" in text else "\n"
        yield text + (end if text and not text.endswith("\n") else "") + _line(key, value) + end
        yield _line(key, value) + end + text  # where the end belongs to a table


def _meaning(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _line(key: str, value: str | None) -> str:
    return f"{key} = {_quoted(value or '')}"


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
