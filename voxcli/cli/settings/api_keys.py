"""API keys of servers by address, in a file that only its owner may read."""

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path

import typer

from voxcli.cli.files import write_file
from voxcli.cli.settings.files import find_user_places


def keys_path() -> Path:
    """Return the file of this user's keys, beside the settings."""
    return find_user_places().settings.with_name("keys.json")


def read_keys(path: Path) -> dict[str, str]:
    """Return keys by address. A missing file holds none.

    Raises:
        typer.BadParameter: it is damaged, or readable by other users.
    """
    try:
        with path.open("rb") as file:
            _refuse_if_open(path, os.fstat(file.fileno()))
            keys = json.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{path} cannot be read: {error}") from error
    if not isinstance(keys, dict) or not all(isinstance(key, str) for key in keys.values()):
        raise typer.BadParameter(
            f"{path} is not a file of API keys. Delete it, and save them again with: voxcli keys set URL"
        )
    return keys


def write_keys(path: Path, keys: Mapping[str, str]) -> None:
    """Replace all keys. At no moment can another user read them.

    Raises:
        DeviceError: they cannot be written; the old file is then unchanged.
    """
    write_file(path, json.dumps(dict(keys), indent=1).encode(), private=True)


def find_key(keys: Mapping[str, str], url: str) -> str | None:
    """Return the key of a server: the one of its address, or of the nearest address above it."""
    above = [address for address in keys if url == address or url.startswith(f"{address}/")]
    return keys[max(above, key=len)] if above else None


def read_key(path: Path) -> str:
    """Read an API key: the first line of a file that is neither empty nor a comment.

    Raises:
        typer.BadParameter: there is no such line.
    """
    try:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise typer.BadParameter(f"Cannot read {path}: {reason}.", param_hint="--api-key-file") from error
    for line in lines:
        if line and not line.startswith("#"):
            return line
    raise typer.BadParameter(f"{path} contains no key.", param_hint="--api-key-file")


def _refuse_if_open(path: Path, status: os.stat_result) -> None:
    if os.name == "posix" and status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise typer.BadParameter(f"Other users can read the keys in {path}. Run: chmod 600 {path}")
