"""File sinks: a file that is valid while it grows and after an interruption, and standard output."""

import errno
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

from voxcli.audio.chunk import AudioChunk
from voxcli.errors import ConsumerClosed, DeviceError, RequestError
from voxcli.sinks.base import MarkWriter, Writer
from voxcli.synthesis.request import SentenceMark


class File:
    """One file on disk. It is not touched before the first chunk, so an earlier failure leaves it as it is."""

    underruns = None
    heard_at = None
    played_seconds = None

    def __init__(self, path: Path, new_writer: Callable[[FileIO, int], Writer], *, overwrite: bool = False) -> None:
        """new_writer: called with the open file and the sample rate in Hz."""
        self._path = path
        self._new_writer = new_writer
        self._overwrite = overwrite
        self._file: FileIO | None = None
        self._writer: Writer | None = None
        self._marks: list[SentenceMark] = []  # before the first chunk

    def __enter__(self) -> Self:
        with self._translating():  # a name that is too long, a folder that cannot be entered
            self._check_path()
        return self

    def _check_path(self) -> None:
        """Raise the errors that can be found before any work is done."""
        if self._path.is_dir():
            raise DeviceError(f"Cannot write {self._path}: it is a directory. Name a file in it.")
        if not self._path.parent.is_dir():
            raise DeviceError(f"Cannot write {self._path}: there is no directory {self._path.parent}.")
        if self._path.exists() and not self._overwrite and not is_device(self._path):
            raise _already_exists(self._path)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is None:
            return
        try:
            with self._file:
                if self._writer:
                    self._writer.finish(complete=kind is None)
        except OSError as failure:
            # After a failed write this is the same error again: only the first one is raised.
            if kind is None:
                raise self._translated(failure) from failure

    def write(self, chunk: AudioChunk) -> None:
        with self._translating():
            if self._writer is None:
                self._file = self._open()
                self._writer = self._new_writer(self._file, chunk.sample_rate)
                if isinstance(self._writer, MarkWriter):
                    for mark in self._marks:
                        self._writer.mark(mark)
            self._writer.write(chunk)

    def mark(self, mark: SentenceMark) -> None:
        if self._writer is None:
            self._marks.append(mark)
        elif isinstance(self._writer, MarkWriter):
            with self._translating():
                self._writer.mark(mark)

    def idle(self) -> None:
        """Do nothing: a file has no underruns."""

    def _open(self) -> FileIO:
        """Open the file unbuffered, so that written bytes are visible to readers and survive a kill."""
        if is_device(self._path):
            return FileIO(self._path, "w")
        return FileIO(self._path, "w+" if self._overwrite else "x+")

    @contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._translated(error) from error

    def _translated(self, error: OSError) -> DeviceError | RequestError | ConsumerClosed:
        if isinstance(error, BrokenPipeError):
            return ConsumerClosed(str(self._path))
        if isinstance(error, FileExistsError):
            return _already_exists(self._path)
        if error.errno == errno.EBADF:
            return DeviceError(f"Cannot write to {self._path}: it is closed.")
        kept = " The part written so far is kept." if self._writer and self._path.is_file() else ""
        return DeviceError(f"Cannot write {self._path}: {error.strerror or error}.{kept}")


class Stdout(File):
    """Standard output, which is open already and stays open. Bypasses Python's buffer."""

    def __init__(self, new_writer: Callable[[FileIO, int], Writer]) -> None:
        super().__init__(Path("standard output"), new_writer)

    def __enter__(self) -> Self:
        return self

    def _open(self) -> FileIO:
        return FileIO(sys.stdout.fileno(), "w", closefd=False)


def is_device(path: Path) -> bool:
    """Whether the path exists and is a pipe or a device, which cannot be rewound."""
    return path.exists() and not stat.S_ISREG(path.stat().st_mode)


def _already_exists(path: Path) -> RequestError:
    return RequestError(f"{path} already exists.", on_command_line="Use --force to overwrite it, or name another file.")
