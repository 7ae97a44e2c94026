"""The keys of servers, kept in a file that nobody else may read, each under the address it opens."""

import contextlib
import json
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path

import typer

from voxcli.cli.settings.files import find_user_places
from voxcli.errors import DeviceError

_OWNER_ONLY = 0o600


def keys_path() -> Path:
    """Return where this user's keys are, beside the settings."""
    return find_user_places().settings.with_name("keys.json")


def read_keys(path: Path) -> dict[str, str]:
    """Return keys by address. A file that is not there holds none.

    Raises:
        typer.BadParameter: it is damaged, or others may read it.
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
        raise typer.BadParameter(f"{path} does not hold keys. Delete it, and keep them anew with: voxcli keys set URL")
    return keys


def write_keys(path: Path, keys: Mapping[str, str]) -> None:
    """Write all keys, in the place of those before, so that at no moment anybody else may read them.

    Raises:
        DeviceError: it cannot be written; then all is as before.
    """
    staged = path.with_name(f".{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(dict(keys), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        staged.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            staged.unlink(missing_ok=True)
        raise DeviceError(f"Cannot write {path}: {error.strerror or error}.") from error


def find_key(keys: Mapping[str, str], url: str) -> str | None:
    """Return the key for a server: that of its address, or of what its address lies below."""
    above = [address for address in keys if url == address or url.startswith(f"{address}/")]
    return keys[max(above, key=len)] if above else None


def read_key(path: Path) -> str:
    """Read the first line that says anything from a file with a key.

    Raises:
        typer.BadParameter: there is none.
    """
    try:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{path} cannot be read: {error}", param_hint="--api-key-file") from error
    for line in lines:
        if line and not line.startswith("#"):
            return line
    raise typer.BadParameter(f"{path} holds no key.", param_hint="--api-key-file")


def _refuse_if_open(path: Path, status: os.stat_result) -> None:
    if os.name == "posix" and status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise typer.BadParameter(f"{path} can be read by others, and holds keys. Run: chmod 600 {path}")
