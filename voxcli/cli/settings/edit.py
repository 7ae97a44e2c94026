"""Edits of a settings file that keep its comments, its order and everything else in it."""

import tomllib
from pathlib import Path

from voxcli.cli.files import write_file, writing
from voxcli.errors import RequestError


def edit_settings(path: Path, key: str, value: str | None) -> None:
    """Set a key of a settings file, which need not exist yet, or remove the key.

    Raises:
        RequestError: the file is not valid TOML, or holds something other than a plain value under the key.
        DeviceError: it cannot be written.
    """
    try:
        with writing(path):
            text = path.read_bytes().decode() if path.exists() else ""
        edited = with_setting(text, key, value)
    except ValueError as error:
        advice = f"write there: {_line(key, value)}" if value is not None else f"remove {key} there"
        raise RequestError(f"{path} cannot be changed safely ({error}). Open it and {advice}") from error
    if edited != text:
        write_file(path, edited.encode())


def with_setting(text: str, key: str, value: str | None) -> str:
    """Return the text of a settings file with a key set, or removed if the value is None.

    Raises:
        ValueError: it is not valid TOML, or the key does not hold a plain value.
    """
    before = tomllib.loads(text)
    if before.get(key) == value:
        return text
    import tomlkit  # needed by the few commands that write settings only

    document = tomlkit.parse(text)
    if key in document:
        written = tomlkit.item(document[key]).as_string()
        if isinstance(before[key], dict | list) or written.startswith(('"""', "'''")):
            raise ValueError(f"{key} is not a plain value there")
        if value is None:
            document.remove(key)
        else:
            document[key] = value
        return tomlkit.dumps(document)
    end = "\r\n" if "\r\n" in text else "\n"
    line = _line(key, value or "") + end
    if any(isinstance(item, dict | list) for item in before.values()):
        return line + text  # a line at the end would belong to the last table
    return text + (end if text and not text.endswith("\n") else "") + line


def _line(key: str, value: str) -> str:
    import tomlkit

    return f"{key} = {tomlkit.item(value).as_string()}"
