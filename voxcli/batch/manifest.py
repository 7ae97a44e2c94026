"""Manifest: a file of JSON lines beside the results, which says what each of them was made from.

A line is added with one write when a result is complete, before the result takes its name. So a process that is killed
at any moment leaves a manifest that is true of every file with a name: what is not in it, or differs from it, is made
again. A line that was cut off is ignored, and the last line about a file counts.
"""

import hashlib
import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from voxcli.errors import DeviceError, ModelError, RequestError
from voxcli.files import replacing

VERSION = 1
_VERSION = "manifest"
"""The key of the first line that only it has."""
_LONGEST_LINE = 2**22
_OWN = ("file", "key", "state", "seconds", "hash", "size", "modified")


class State(StrEnum):
    """How the work on a result ended."""

    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestEntry:
    """One result."""

    file: str
    """Its path below the folder of the manifest, with / between the parts."""
    key: str
    """Hash of everything that decides the result: another one means that it has to be made again."""
    state: State = State.DONE
    seconds: float = 0.0
    """Of sound."""
    hash: str = ""
    """SHA-256 of the file."""
    size: int = 0
    """Bytes."""
    modified: int = 0
    """Time of the file in nanoseconds; with the size, it tells without reading the file that it is the same."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """What else is known about it, such as the text and the error."""

    @classmethod
    def of(cls, path: Path, *, file: str, key: str, seconds: float, more: Mapping[str, Any] | None = None) -> Self:
        """Describe a complete file.

        Args:
            path: where it is now; moving it to `file` keeps its time.

        Raises:
            OSError: it cannot be read.
        """
        status = path.stat()
        return cls(
            file=file,
            key=key,
            seconds=round(seconds, 6),
            hash=hash_of(path),
            size=status.st_size,
            modified=status.st_mtime_ns,
            more=more or {},
        )

    def is_intact(self, folder: Path) -> bool:
        """Whether the file is there and is the one that was made. It is read only if its time has changed.

        folder: of the manifest.
        """
        path = folder / self.file
        try:
            status = path.stat()
            if self.state is not State.DONE or status.st_size != self.size or not path.is_file():
                return False
            return status.st_mtime_ns == self.modified or hash_of(path) == self.hash
        except OSError:
            return False

    def to_dict(self) -> dict[str, Any]:
        return {**{name: getattr(self, name) for name in _OWN}, **self.more}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_dict` returned. Raises ValueError or TypeError for anything else."""
        if not isinstance(values, dict):
            raise TypeError("not an object")
        own = {name: values[name] for name in _OWN if name in values}
        for name, kind in (("file", str), ("key", str), ("hash", str), ("size", int), ("modified", int)):
            if not isinstance(own.get(name, kind()), kind):
                raise TypeError(name)
        own["state"] = State(own.get("state", State.DONE))
        return cls(**own, more={name: value for name, value in values.items() if name not in _OWN})


class Manifest:
    """A manifest that is read, and added to by one process at a time, from several threads.

    In memory it keeps where in the file each result is described, and no more.
    """

    def __init__(self, path: Path) -> None:
        """Read a manifest. It need not exist: nothing is written before `begin`.

        Raises:
            RequestError: it is something else.
            ModelError: a newer version wrote it.
            DeviceError: it cannot be read.
        """
        self.path = path
        self.header: Mapping[str, Any] = {}
        """The first line: what was asked for."""
        self._lock = threading.Lock()
        self._file: BinaryIO | None = None
        self._offsets: dict[str, int] = {}
        self._by_key: dict[int, int] = {}
        self._end = 0
        self.exists = False
        """Whether there is one already."""
        try:
            self._read()
        except FileNotFoundError:
            pass
        except OSError as error:
            raise DeviceError(f"Cannot read {path}: {error.strerror or error}.") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._offsets)

    def begin(self, header: Mapping[str, Any]) -> None:
        """Write a new first line, and keep the entries.

        Raises:
            DeviceError: it cannot be written.
        """
        self.rewrite(header, self.entries())

    def append(self, entry: ManifestEntry) -> None:
        """Add an entry to a manifest that was begun, and return when it is on the disk.

        Raises:
            DeviceError: it cannot be written; the manifest is then as before.
        """
        line = _line(entry.to_dict())
        with self._lock:
            try:
                file = self._opened()
                if file.seek(0, os.SEEK_END) > self._end:
                    file.truncate(self._end)  # of a line that was cut off nothing stays
                file.seek(self._end)
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            except OSError as error:
                self._cut_back()
                raise self._unwritable(error) from error
            self._note(entry, self._end)
            self._end += len(line)

    def find(self, file: str) -> ManifestEntry | None:
        """Return the last entry about a file."""
        with self._lock:
            offset = self._offsets.get(file)
            return None if offset is None else self._entry_at(offset)

    def find_key(self, key: str) -> ManifestEntry | None:
        """Return the last result that was made from the same."""
        with self._lock:
            offset = self._by_key.get(hash(key))
            entry = None if offset is None else self._entry_at(offset)
            return entry if entry and entry.key == key else None

    def entries(self) -> Iterator[ManifestEntry]:
        """Yield the last entry about each file, in the order in which the files were first entered."""
        for file in list(self._offsets):
            if entry := self.find(file):
                yield entry

    def rewrite(self, header: Mapping[str, Any], entries: Iterable[ManifestEntry]) -> None:
        """Replace all of it in one step.

        Args:
            header: the values of its first line.
            entries: may be read from this manifest meanwhile.

        Raises:
            DeviceError: it cannot be written; it is then as before.
        """
        first = {_VERSION: VERSION, **header}
        try:
            with replacing(self.path) as file:
                file.write(_line(first))
                for entry in entries:
                    file.write(_line(entry.to_dict()))
            with self._lock:
                self._close()
                self._read()
        except OSError as error:
            raise self._unwritable(error) from error

    def close(self) -> None:
        with self._lock:
            self._close()

    def _opened(self) -> BinaryIO:
        if self._file is None:
            try:
                self._file = self.path.open("r+b")
            except PermissionError:  # it is only looked at
                self._file = self.path.open("rb")
        return self._file

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _cut_back(self) -> None:
        """Remove what a failed write has left, which may be still in the buffer of the file."""
        file, self._file = self._file, None
        with suppress(OSError):  # the rest of the buffer does not fit either
            if file is not None:
                file.close()
        with suppress(OSError):
            os.truncate(self.path, self._end)

    def _read(self) -> None:
        """Index the lines. One that is damaged is left out, as is what follows the last end of a line."""
        self._offsets, self._by_key, self._end = {}, {}, 0
        with self.path.open("rb") as file:
            while (line := file.readline(_LONGEST_LINE)).endswith(b"\n"):
                if self._end:
                    with suppress(ValueError, TypeError):
                        self._note(ManifestEntry.from_dict(json.loads(line)), self._end)
                else:
                    self.header, self.exists = self._header_of(line), True
                self._end += len(line)
            if line and not self._end:
                self._header_of(line)

    def _header_of(self, line: bytes) -> dict[str, Any]:
        """Return the values of the first line, which was written in one step with the file."""
        try:
            values = json.loads(line)
            version = values[_VERSION]
        except (ValueError, TypeError, KeyError):
            raise RequestError(f"{self.path} is not a manifest of voxcli. Choose another folder, or move it.") from None
        if version != VERSION:
            raise ModelError(f"{self.path} was written by a newer version of voxcli. Upgrade yours.")
        return {name: value for name, value in values.items() if name != _VERSION}

    def _note(self, entry: ManifestEntry, offset: int) -> None:
        self._offsets[entry.file] = offset
        if entry.state is State.DONE:
            self._by_key[hash(entry.key)] = offset

    def _entry_at(self, offset: int) -> ManifestEntry | None:
        try:
            file = self._opened()
            file.seek(offset)
            return ManifestEntry.from_dict(json.loads(file.readline(_LONGEST_LINE)))
        except (OSError, ValueError, TypeError):  # removed or changed by someone else
            return None

    def _unwritable(self, error: OSError) -> DeviceError:
        return DeviceError(f"Cannot write {self.path}: {error.strerror or error}.")


def hash_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _line(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
