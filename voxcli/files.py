"""Files that several processes write and remove: a reader sees the old file or the new one, never a part of either."""

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_DEFAULT_MODE, _PRIVATE_MODE = 0o666, 0o600
_STAGED = re.compile(r"\.[0-9a-f]{16}")
_DAY = 24 * 60 * 60.0
UNUSED_DAYS = 30
"""After which a file of a cache is removed."""


@contextmanager
def replacing(path: Path, *, private: bool = False, durable: bool = True) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces `path` when the block ends without an error.

    The temporary file is in the same folder, has a random hidden name, and takes the place of `path` at the end. If
    `path` is a symbolic link, the file it points to is replaced.

    Args:
        path: need not exist; its folder must.
        private: create the file readable by its owner only. Otherwise the permissions of the old file are kept.
        durable: sync the file to disk first, so that it survives a power failure. Takes milliseconds.

    Raises:
        OSError: the file cannot be written. The old file is then unchanged and the temporary one deleted.
    """
    path = path.resolve()
    staged = path.with_name(f".{os.urandom(8).hex()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(staged, flags, _PRIVATE_MODE if private else _DEFAULT_MODE), "wb") as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        if not private:
            with suppress(FileNotFoundError):
                shutil.copymode(path, staged)
        staged.replace(path)
    finally:
        with suppress(OSError):
            staged.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes, *, private: bool = False, durable: bool = True) -> None:
    """Write a whole file, in place of the old one if there is one. See `replacing` for the arguments and errors."""
    with replacing(path, private=private, durable=durable) as file:
        file.write(data)


def is_staged(path: Path) -> bool:
    """Whether a file is being written by `replacing`, or was when its process was killed."""
    return _STAGED.fullmatch(path.name) is not None


def remove_unused(folder: Path, suffix: str, *, most_bytes: int | None = None, days: float = UNUSED_DAYS) -> None:
    """Remove the files of a cache that have not been used for days, and the least recently used ones beyond a size.

    A use sets the time of a file. One that is open stays readable on most systems, and is not removed on Windows.
    What cannot be removed stays.

    Args:
        suffix: of the names. Other files stay, except those that a killed process has left.
        most_bytes: that the files may take together.
    """
    found = []
    with suppress(OSError):
        for path in folder.iterdir():
            if path.name.endswith(suffix) or is_staged(path):
                with suppress(OSError):  # removed by another process
                    status = path.stat()
                    found.append((status.st_mtime, status.st_size, path))
    kept = 0
    for used, size, path in sorted(found, reverse=True):
        being_written = is_staged(path)
        kept += 0 if being_written else size
        too_much = most_bytes is not None and kept > most_bytes and not being_written
        if too_much or used < time.time() - days * _DAY:
            with suppress(OSError):
                path.unlink()
