"""A file that is good to play while it grows, and after whatever ends it."""

import stat
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

from voxcli.audio.chunk import AudioChunk
from voxcli.errors import ConsumerClosed, DeviceError, RequestError
from voxcli.sinks.writer import Writer


class File:
    """One file on disk. It is not touched before the first chunk, so a failure before that costs nothing."""

    underruns = None

    def __init__(self, path: Path, new_writer: Callable[[FileIO, int], Writer], *, overwrite: bool = False) -> None:
        """new_writer: makes the writer for an open file and a sample rate in Hz."""
        self._path = path
        self._new_writer = new_writer
        self._overwrite = overwrite
        self._file: FileIO | None = None
        self._writer: Writer | None = None

    def __enter__(self) -> Self:
        try:
            self._look()
        except OSError as error:  # a name that is too long, a folder that cannot be entered
            raise self._translated(error) from error
        return self

    def _look(self) -> None:
        """See what can be seen before any work is done."""
        if self._path.is_dir():
            raise DeviceError(f"Cannot write {self._path}: it is a directory. Name a file in it.")
        if not self._path.parent.is_dir():
            raise DeviceError(f"Cannot write {self._path}: there is no directory {self._path.parent}.")
        if self._path.exists() and not self._overwrite and not is_device(self._path):
            raise _exists(self._path)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is None:
            return
        try:
            with self._file:
                if self._writer:
                    self._writer.finish()
        except OSError as failure:
            # After a failed write the disk is as full as before: the first error is the one to tell.
            if kind is None:
                raise self._translated(failure) from failure

    def write(self, chunk: AudioChunk) -> None:
        try:
            if self._writer is None:
                self._file = self._open()
                self._writer = self._new_writer(self._file, chunk.sample_rate)
            self._writer.write(chunk)
        except OSError as error:
            raise self._translated(error) from error

    def idle(self) -> None:
        """A file does not mind waiting."""

    def _open(self) -> FileIO:
        """Unbuffered: what is written is in the file, also for a reader and after a kill. Devices are not read."""
        if is_device(self._path):
            return FileIO(self._path, "w")
        return FileIO(self._path, "w+" if self._overwrite else "x+")

    def _translated(self, error: OSError) -> DeviceError | RequestError | ConsumerClosed:
        if isinstance(error, BrokenPipeError):
            return ConsumerClosed(str(self._path))
        if isinstance(error, FileExistsError):
            return _exists(self._path)
        kept = " What was written until then is kept." if self._writer else ""
        return DeviceError(f"Cannot write {self._path}: {error.strerror or error}.{kept}")


def is_device(path: Path) -> bool:
    """Tell whether a path is there and is no plain file: a pipe or a device, which nobody can go back in."""
    return path.exists() and not stat.S_ISREG(path.stat().st_mode)


def _exists(path: Path) -> RequestError:
    return RequestError(f"{path} is there already. Use --force to overwrite it, or name another file.")
