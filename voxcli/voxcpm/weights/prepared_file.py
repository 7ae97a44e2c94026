"""Files of prepared weights: blocks of bytes with checksums, which are mapped into memory.

A file ends with an index, so that it can be written in one go: what it was made from, where its blocks are, and a sum
of every mebibyte. Nothing here loads torch: a file is checked by a thread of its own while torch is imported.
"""

import base64
import hashlib
import json
import logging
import mmap
import os
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_log = logging.getLogger(__name__)

_ALIGNMENT = 64
_SUMMED_BYTES = 1 << 20
_SUMMED_AT_ONCE = 64
_WRITTEN_AT_ONCE = 8 << 20
_MARK = b"voxcli prepared\n"
_TRAILER_BYTES = 16 + hashlib.sha256().digest_size + len(_MARK)
"""Position and length of the index, its digest, and a mark."""


class DamagedFile(Exception):
    """A file is not what was written."""


class Cancelled(Exception):
    """Writing has been cancelled."""


class PreparedFile:
    """A file that is mapped into memory. Its pages are read, and compared with their sums, by a thread."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            OSError: the file cannot be read.
            DamagedFile: it has no index.
        """
        self.path = path
        with path.open("rb") as file:
            self._index, end = read_index(file)
            self._descriptor = os.dup(file.fileno())
            # Changes would be private to this process. A read-only mapping cannot be the memory of a tensor.
            self.memory = mmap.mmap(file.fileno(), end, access=mmap.ACCESS_COPY)
        self._read: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._damaged = False
        threading.Thread(target=self._compare, name="prepared weights", daemon=True).start()

    @property
    def about(self) -> Mapping[str, Any]:
        """What the weights were made from and for."""
        about: Mapping[str, Any] = self._index["about"]
        return about

    @property
    def blocks(self) -> Mapping[str, Mapping[str, Any]]:
        """By name: `at` and `size` in bytes, and what else the writer has said of them."""
        blocks: Mapping[str, Mapping[str, Any]] = self._index["blocks"]
        return blocks

    def check(self, on_read: Callable[[int], object]) -> None:
        """Wait until all pages are in memory and have been compared. Call it once.

        Args:
            on_read: receives how many more bytes are.

        Raises:
            DamagedFile: one of them is not what was written.
        """
        while (count := self._read.get()) is not None:
            on_read(count)
        if self._damaged:
            raise DamagedFile(self.path)

    def _compare(self) -> None:
        expected = np.frombuffer(base64.b64decode(self._index["sums"]), np.uint64)
        words = np.frombuffer(self.memory, np.uint64)
        each = _SUMMED_BYTES // words.itemsize
        try:
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_WILLNEED)
            for start in range(0, len(expected), _SUMMED_AT_ONCE):
                end = start + _SUMMED_AT_ONCE
                piece = words[start * each : end * each]
                if not np.array_equal(_sums(piece), expected[start:end]):
                    self._damaged = True
                    break
                self._read.put(piece.nbytes)
        except (OSError, ValueError):
            self._damaged = True
        finally:
            os.close(self._descriptor)
            self._read.put(None)


Blocks = Sequence[tuple[str, Mapping[str, Any], NDArray[np.uint8]]]
"""Name, description and bytes of each block."""


def write_blocks(
    write: Callable[[Any], object], about: Mapping[str, Any], blocks: Blocks, cancelled: threading.Event
) -> None:
    placed, position = {}, 0
    summing = _Summing(write)
    for name, described, data in blocks:
        summing.write(bytes(-position % _ALIGNMENT))
        position += -position % _ALIGNMENT
        placed[name] = {**described, "at": position, "size": data.nbytes}
        for start in range(0, data.nbytes, _WRITTEN_AT_ONCE):
            if cancelled.is_set():
                raise Cancelled
            summing.write(data[start : start + _WRITTEN_AT_ONCE])
        position += data.nbytes
    padding = -position % _SUMMED_BYTES
    summing.write(bytes(padding))
    summing.flush()
    sums = base64.b64encode(np.concatenate(summing.sums).tobytes()).decode()
    index = json.dumps({"about": dict(about), "blocks": placed, "sums": sums}).encode()
    write(index)
    place = (position + padding).to_bytes(8, "little") + len(index).to_bytes(8, "little")
    write(place + hashlib.sha256(index).digest() + _MARK)


class _Summing:
    """Writes bytes in pieces of the same size, and sums them up by the mebibyte.

    Linux keeps a file in its memory in pieces as large as they were written, and maps those of 2 MiB at a multiple of
    2 MiB as huge pages: freshly written weights are then read at 28 GB/s, otherwise at 22 to 25.
    """

    def __init__(self, write: Callable[[Any], object]) -> None:
        self._write = write
        self._piece = np.empty(_WRITTEN_AT_ONCE, np.uint8)
        self._filled = 0
        self.sums: list[NDArray[np.uint64]] = []

    def write(self, data: "NDArray[np.uint8] | bytes") -> None:
        given = np.frombuffer(data, np.uint8)
        while len(given):
            taken = given[: len(self._piece) - self._filled]
            self._piece[self._filled : self._filled + len(taken)] = taken
            self._filled += len(taken)
            given = given[len(taken) :]
            if self._filled == len(self._piece):
                self.flush()

    def flush(self) -> None:
        """Write what is left. It has to be whole mebibytes."""
        piece = self._piece[: self._filled]
        self._write(piece)
        self.sums.append(_sums(piece.view(np.uint64)))
        self._filled = 0


def _sums(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the sum, modulo 2⁶⁴, of every mebibyte. It costs no more time than reading, unlike a digest."""
    sums: NDArray[np.uint64] = words.reshape(-1, _SUMMED_BYTES // words.itemsize).sum(axis=1, dtype=np.uint64)
    return sums


def read_index(file: Any) -> tuple[Mapping[str, Any], int]:
    """Return the index of a file, and where it begins.

    Raises:
        DamagedFile: there is none, as in a file that was cut short.
    """
    end = file.seek(0, os.SEEK_END)
    if end < _TRAILER_BYTES:
        raise DamagedFile(file.name)
    file.seek(end - _TRAILER_BYTES)
    trailer = file.read(_TRAILER_BYTES)
    at, length = (int.from_bytes(trailer[start : start + 8], "little") for start in (0, 8))
    if not trailer.endswith(_MARK) or at + length + _TRAILER_BYTES != end or at % _SUMMED_BYTES or not at:
        raise DamagedFile(file.name)
    file.seek(at)
    document = file.read(length)
    if hashlib.sha256(document).digest() != trailer[16 : -len(_MARK)]:
        raise DamagedFile(file.name)
    index: Mapping[str, Any] = json.loads(document)
    return index, at
