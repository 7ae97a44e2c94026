"""Zip archives of documents, read with limits: nothing is written to disk, and a bomb is refused before it unpacks."""

import io
import zipfile
import zlib
from pathlib import Path
from types import TracebackType
from typing import Self

from voxcli.errors import RequestError

MAX_FILES = 5000
"""Of a book with a page per file and pictures."""
MAX_FILE_BYTES = 2**26
MAX_TOTAL_BYTES = 2**28
"""Of the files that are read, unpacked."""
MAX_RATIO = 200
"""Of a large file to its compressed bytes. Text is compressed to a tenth at most."""
_LARGE_BYTES = 2**20


class Archive:
    """A zip archive that is open for reading."""

    def __init__(self, source: Path | bytes, name: str) -> None:
        """
        Raises:
            RequestError: it is damaged, or too large.
        """
        self._name = name
        self._read_bytes = 0
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source)
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise self._damaged(error) from error
        entries = self._zip.infolist()
        if len(entries) > MAX_FILES:
            raise RequestError(f"{name} holds {len(entries):,} files. A document has at most {MAX_FILES:,}.")
        self._entries = {entry.filename: entry for entry in entries}
        self._folded = {entry.filename.casefold(): entry for entry in entries}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._entries)

    def __contains__(self, path: str) -> bool:
        return self._find(path) is not None

    def read(self, path: str) -> bytes:
        """Return the bytes of a file.

        Raises:
            RequestError: it is missing, damaged, locked, or unpacks to too much.
        """
        entry = self._find(path)
        if entry is None:
            raise RequestError(f"{self._name} is damaged: it names a file that it does not hold, {path}.")
        if entry.flag_bits & 1:
            raise RequestError(f"{self._name} is protected with a password. Save a copy without one first.")
        ratio = entry.file_size / max(1, entry.compress_size)
        if entry.file_size > MAX_FILE_BYTES or (entry.file_size > _LARGE_BYTES and ratio > MAX_RATIO):
            raise self._too_large(path)
        try:
            with self._zip.open(entry) as file:
                data = file.read(MAX_FILE_BYTES + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError) as error:
            raise self._damaged(error) from error
        self._read_bytes += len(data)
        if len(data) > MAX_FILE_BYTES or self._read_bytes > MAX_TOTAL_BYTES:
            raise self._too_large(path)
        return data

    def _find(self, path: str) -> zipfile.ZipInfo | None:
        return self._entries.get(path) or self._folded.get(path.casefold())

    def _damaged(self, error: Exception) -> RequestError:
        return RequestError(f"{self._name} is damaged: {error or type(error).__name__}.")

    def _too_large(self, path: str) -> RequestError:
        return RequestError(f"{self._name} unpacks to more than a document holds, at {path}. It is not read.")
