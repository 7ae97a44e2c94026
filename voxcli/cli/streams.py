"""Standard streams that fail with a message: closed, full, or unable to write a character.

They are replaced once, when the program starts, so that every writer gets the same errors: tables, JSON, events and
help alike.
"""

import errno
import io
import os
import sys

from voxcli.errors import ConsumerClosed, DeviceError


class _StandardOutput(io.FileIO):
    """Standard output. Errors of the system become those of voxcli."""

    def write(self, data: object, /) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]
        except BrokenPipeError as error:
            raise ConsumerClosed("standard output") from error
        except OSError as error:
            raise cannot_write(error) from error


def cannot_write(error: OSError) -> DeviceError:
    """Return what the user is told when standard output cannot be written."""
    why = "it is closed" if error.errno == errno.EBADF else error.strerror or str(error)
    return DeviceError(f"Cannot write to standard output: {why}.")


def prepare_standard_streams() -> None:
    """Replace standard output, and let no character fail: what an encoding lacks is written as an escape.

    Streams that were closed by the caller are opened again, on nothing, so that no file takes their number. Standard
    output is then read-only, so that writing to it fails.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY if number == 1 else os.O_RDWR)
    before = sys.stdout
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_StandardOutput(1, "w", closefd=False)),
        encoding=before.encoding if before else "utf-8",
        errors="backslashreplace",
        line_buffering=bool(before and before.line_buffering),
    )


def discard_stdout() -> None:
    """Let standard output go nowhere, so that nothing more fails when Python flushes it at its exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
