"""Outputs of agents: files, only below a folder that the user has named, and sound that is kept for an answer."""

import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.format import AudioFormat, find_format, known_suffixes
from voxcli.errors import DeviceError, NotFound, RequestError
from voxcli.sinks import ToFile, open_sink
from voxcli.synthesis.provenance import Provenance
from voxcli.synthesis.request import Clip, SentenceMark

NO_FOLDER = "The user has chosen no folder for files, so none can be written. Ask the user to choose one."
_MOST_BYTES = 64 * 2**20
"""Of a recording."""


class NewFile:
    """A file that takes its place when it is complete."""

    def __init__(self, path: Path, format: AudioFormat, *, overwrite: bool) -> None:
        self.path, self.format = path, format
        self._overwrite = overwrite
        self.draft = path.with_name(f".{secrets.token_hex(8)}{path.suffix}")
        """Where it is written until then."""

    def keep(self) -> None:
        """Give it its name.

        Raises:
            RequestError: there is a file of that name by now.
            DeviceError: the folder cannot be written.
        """
        try:
            if self._overwrite:
                self.draft.replace(self.path)
            else:
                _rename_new(self.draft, self.path)
        except FileExistsError:
            raise _exists(self.path) from None
        except OSError as error:
            raise DeviceError(f"Cannot write {self.path}: {error.strerror or error}.") from error
        finally:
            self.discard()

    def discard(self) -> None:
        with suppress(OSError):
            self.draft.unlink(missing_ok=True)


class FileSink:
    """Writes a new file, of which nothing is left if it does not become complete."""

    underruns = heard_at = played_seconds = None

    def __init__(self, file: NewFile, provenance: Callable[[], Provenance] | None = None) -> None:
        """provenance: what the file says of itself; None says nothing."""
        self._file = file
        self._draft = open_sink([ToFile(file.draft, file.format, provenance=provenance)])

    def __enter__(self) -> Self:
        self._draft.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._draft.__exit__(kind, error, trace)
            if kind is None:
                self._file.keep()
        finally:
            self._file.discard()

    def write(self, chunk: AudioChunk) -> None:
        self._draft.write(chunk)

    def mark(self, mark: SentenceMark) -> None:
        self._draft.mark(mark)

    def idle(self) -> None:
        """Do nothing: a file has no underruns."""


class CollectedSound:
    """A sink that keeps everything."""

    underruns = heard_at = played_seconds = None

    def __init__(self) -> None:
        self.chunks: list[AudioChunk] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def write(self, chunk: AudioChunk) -> None:
        self.chunks.append(chunk)

    def mark(self, mark: SentenceMark) -> None:
        """Do nothing: only the sound is kept."""

    def idle(self) -> None:
        """Do nothing: nothing is played."""


class Folder:
    """The folder in which agents may write."""

    def __init__(self, path: Path) -> None:
        """path: of an existing folder."""
        self.path = path.resolve()

    def new_file(self, name: str, *, overwrite: bool = False) -> NewFile:
        """Return a file to write, and create the folders that lead to it.

        Args:
            name: a path below this folder. Its suffix names the format.

        Raises:
            RequestError: it leads out of the folder, exists, or its suffix names no format.
            DeviceError: it cannot be written.
        """
        path = self._inside(name)
        format = find_format(path)
        if format is None:
            raise RequestError(f"{name!r} has no known audio format. Use one of: {', '.join(known_suffixes())}.")
        try:
            self._refuse_links(path)
            if path.is_dir():
                raise RequestError(f"{name!r} is a folder. Name a file in it.")
            if path.exists() and not overwrite:
                raise _exists(path)
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DeviceError(f"Cannot write {path}: {error.strerror or error}.") from error
        return NewFile(path, format, overwrite=overwrite)

    def free_name(self, beginning: str) -> str:
        """Return a name that no file has, as the original server makes them: with the time in seconds."""
        now = int(time.time())
        names = (f"{beginning}_{now}{number}.wav" for number in ("", *(f"_{number}" for number in range(2, 1000))))
        return next(name for name in names if not (self.path / name).exists())

    def find(self, name: str) -> Path:
        """Return the path of a file to read.

        Raises:
            RequestError: it leads out of the folder.
        """
        path = self._inside(name)
        self._refuse_links(path)
        return path

    def _inside(self, name: str) -> Path:
        if "\0" in name:
            raise RequestError("The name of a file cannot hold the character 0.")
        path = Path(os.path.normpath(self.path / name))
        if ".." in Path(name).parts or path == self.path or not path.is_relative_to(self.path):
            raise RequestError(f"{name!r} is not below the folder {self.path}, which the user has chosen for files.")
        return path

    def _refuse_links(self, path: Path) -> None:
        """Refuse a path with a link on it, which may lead anywhere."""
        for part in (path, *path.parents):
            if part == self.path:
                return
            if part.is_symlink():
                raise RequestError(f"{part} is a link, and may lead out of the folder that the user has chosen.")


def read_recording(path: Path) -> Clip:
    """Read a recording of a voice.

    Raises:
        NotFound: there is no such file.
        RequestError: it cannot be read, or is too large.
    """
    try:
        if not path.is_file():
            raise NotFound(f"There is no file {path}.")
        if path.stat().st_size > _MOST_BYTES:
            raise RequestError(f"{path} is too large for a recording of a voice. 5 to 30 s are enough.")
        return Clip(path.read_bytes(), path.name)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise RequestError(f"Cannot read {path}: {reason}.") from error


def _rename_new(draft: Path, path: Path) -> None:
    """Rename a file unless one of the new name exists. Raises FileExistsError."""
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if path.exists():
            raise FileExistsError(path) from None
        draft.rename(path)


def _exists(path: Path) -> RequestError:
    return RequestError(f"{path} exists already. Choose another name, or ask to overwrite it.")
