"""Whole files: read up to a limit, and written atomically."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from voxcli.audio.format import MAX_BYTES
from voxcli.errors import DeviceError, RequestError
from voxcli.files import write_atomically
from voxcli.synthesis.request import Clip

STDIO = "-"
"""The file name that stands for standard input and output."""


def read_at_most(path: Path, limit_bytes: int, advice: str) -> bytes:
    """Read a file that the user named, or standard input.

    Raises:
        RequestError: it cannot be read, or is too large; the message then ends with the advice.
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
    return Clip(read_at_most(path, MAX_BYTES, "Cut out the relevant part, or save it as MP3."), path.name)


def _read(file: BinaryIO, name: str, limit_bytes: int, advice: str) -> bytes:
    data = file.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise RequestError(f"{name} is larger than the {limit_bytes / 2**20:.4g} MiB allowed. {advice}")
    return data


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError into a DeviceError that names the file."""
    try:
        yield
    except OSError as error:
        raise DeviceError(f"Cannot write {path}: {error.strerror or error}.") from error


def write_file(path: Path, data: bytes, *, private: bool = False) -> None:
    """Write a whole file atomically, and create its folder if it does not exist.

    Args:
        private: only its owner may read it.

    Raises:
        DeviceError: it cannot be written; the old file is then unchanged.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data, private=private)


def create_file(path: Path, data: bytes) -> None:
    """Write a file that must not exist yet.

    Raises:
        FileExistsError: it exists.
        OSError: it cannot be written; it is then removed again.
    """
    with path.open("xb") as file:
        try:
            file.write(data)
            file.flush()
        except OSError:
            path.unlink()
            raise


def write_stdout(data: bytes) -> None:
    """Write bytes to standard output. Raises as `streams` says."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
