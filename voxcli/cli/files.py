"""Whole files: read no further than they may go, and written so that nobody ever sees half of one."""

import os
import secrets
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from voxcli.errors import ConsumerClosed, RequestError
from voxcli.synthesis.request import Clip

STDIO = "-"
"""What names standard input and standard output."""


def read_at_most(path: Path, limit_bytes: int, advice: str) -> bytes:
    """Read a file that the user named, or standard input.

    Raises:
        RequestError: it cannot be read, or is larger than it may be; then with the advice.
    """
    try:
        if str(path) == STDIO:
            return _read(sys.stdin.buffer, "standard input", limit_bytes, advice)
        with path.open("rb") as file:
            return _read(file, str(path), limit_bytes, advice)
    except OSError as error:
        raise RequestError(f"Cannot read {path}: {error.strerror or error}.") from error


def read_clip(path: Path) -> Clip:
    """Read a recording, whatever its format.

    Raises:
        RequestError: it cannot be read, or is too large.
    """
    from voxcli.audio.decode import MAX_BYTES  # the decoders are slow to load, and other files need none

    return Clip(read_at_most(path, MAX_BYTES, "Cut out the part that counts, or save it as MP3."), path.name)


def _read(file: BinaryIO, name: str, limit_bytes: int, advice: str) -> bytes:
    data = file.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise RequestError(f"{name} is larger than the {limit_bytes / 2**20:.4g} MiB allowed. {advice}")
    return data


def replace_file(path: Path, data: bytes) -> None:
    """Write a file in one step, in the place of another if there is one, whose permissions it keeps.

    A link stays, and what it leads to is replaced.

    Raises:
        OSError: it cannot be written; then all is as before.
    """
    path = path.resolve()
    staged = path.with_name(f".{secrets.token_hex(8)}")
    try:
        with staged.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            shutil.copymode(path, staged)
        staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)


def create_file(path: Path, data: bytes) -> None:
    """Write a file that must not be there yet.

    Raises:
        FileExistsError: it is.
        OSError: it cannot be written; then it is not there.
    """
    with path.open("xb") as file:
        try:
            file.write(data)
            file.flush()
        except OSError:
            path.unlink()
            raise


def write_stdout(data: bytes) -> None:
    """Write bytes to standard output.

    Raises:
        ConsumerClosed: whoever read it has seen enough.
    """
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError as error:
        raise ConsumerClosed("standard output") from error
