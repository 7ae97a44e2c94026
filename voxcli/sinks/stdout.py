"""Sound on standard output, for the program behind the pipe."""

import sys
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Self

from voxcli.sinks.file import File
from voxcli.sinks.writer import Writer


class Stdout(File):
    """A file that is open already and stays open. Python's own buffer is passed by."""

    def __init__(self, new_writer: Callable[[FileIO, int], Writer]) -> None:
        super().__init__(Path("standard output"), new_writer)

    def __enter__(self) -> Self:
        return self

    def _open(self) -> FileIO:
        return FileIO(sys.stdout.fileno(), "w", closefd=False)
