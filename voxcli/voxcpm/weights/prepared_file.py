"""Files of prepared weights: blocks of bytes that are mapped into memory, with checksums, in a cache of limited size.

A file ends with an index, so that it can be written in one go: what it was made from, where its blocks are, and a sum
of every mebibyte. Nothing here loads torch: a file is checked by a thread of its own while torch is imported.
"""

import base64
import hashlib
import json
import logging
import mmap
import os
import platform
import queue
import re
import shutil
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxcli.files import replacing
from voxcli.models.checkpoint import CONFIG, describe_weights

_log = logging.getLogger(__name__)

_FORMAT = 1
"""Changes whenever a tensor of the same name means something else."""
SUFFIX = ".prepared"
MOST_BYTES = 10 << 30
"""Of all files together. VoxCPM2 takes 5 GB in bfloat16 and 3 GB in int8."""

_LOCK = "lock"
_STAGED = re.compile(r"\.[0-9a-f]{16}")
"""Names of files that are being written; see `replacing`."""
_ALIGNMENT = 64
_SUMMED_BYTES = 1 << 20
_SUMMED_AT_ONCE = 64
_WRITTEN_AT_ONCE = 8 << 20
_MARK = b"voxcli prepared\n"
_TRAILER_BYTES = 16 + hashlib.sha256().digest_size + len(_MARK)
"""Position and length of the index, its digest, and a mark."""
_CPU_INFO, _CPU_INFO_BYTES = Path("/proc/cpuinfo"), 1 << 13


class DamagedFile(Exception):
    """A file is not what was written."""


class Cancelled(Exception):
    """Writing has been cancelled."""


@dataclass(frozen=True, slots=True)
class PreparedModel:
    """A file in the cache, as far as its index tells."""

    path: Path
    size: int
    about: Mapping[str, Any]
    """What the weights were made from and for: `weights`, the paths of the checkpoint's files, `dtype`, `quantize`."""


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
            self._index, end = _read_index(file)
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


class PreparedFolder:
    """The folder of the files. One that cannot be read or written costs time only."""

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        """most_bytes: that its files may take together."""
        self.folder = folder
        self._most_bytes = most_bytes
        self._ahead: PreparedFile | None = None

    def read_ahead(self, names: Iterable[str]) -> None:
        """Begin to read the first of these files that is there; `find` returns it if it is the right one."""
        for name in names:
            if file := self._opened(name):
                self._ahead = file
                return

    def find(self, name: str) -> PreparedFile | None:
        """Open a file, unless it is not there or has no index."""
        ahead, self._ahead = self._ahead, None
        return ahead if ahead and ahead.path.name == name else self._opened(name)

    def remove(self, file: PreparedFile) -> None:
        """Remove a file that is of no use."""
        _log.debug("%s is damaged or of another version: the weights are prepared again", file.path)
        with suppress(OSError):
            file.path.unlink()

    def write(self, name: str, about: Mapping[str, Any], blocks: "Blocks", cancelled: threading.Event) -> None:
        """Write a file, unless another process is writing one or it would take too much space.

        Args:
            about: for `PreparedFile.about`; its `weights` are paths without which the file is of no use.
            cancelled: may be set by another thread.
        """
        from filelock import FileLock, Timeout

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / _LOCK, timeout=0):
                self._remove_staged()
                if self._make_room(sum(data.nbytes for _, _, data in blocks)):
                    with replacing(self.folder / name, private=True, durable=False) as file:
                        _write_blocks(file.write, about, blocks, cancelled)
        except (Timeout, OSError, Cancelled) as error:
            _log.debug("Prepared weights are not kept in %s: %r", self.folder, error)

    def files(self) -> list[PreparedModel]:
        """Return the files, the most recently used first."""
        found = []
        for path in self._paths():
            with suppress(OSError, DamagedFile), path.open("rb") as file:
                index, _ = _read_index(file)
                found.append(PreparedModel(path, path.stat().st_size, index["about"]))
        return found

    def _opened(self, name: str) -> PreparedFile | None:
        path = self.folder / name
        try:
            file = PreparedFile(path)
            os.utime(path)  # files that are in use are removed last
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:  # as for lack of memory
            _log.debug("%s cannot be read: %r", path, error)
            return None
        except DamagedFile:
            with suppress(OSError):
                path.unlink()
            return None
        return file

    def _paths(self) -> list[Path]:
        paths = self.folder.glob("*" + SUFFIX)
        return sorted(paths, key=lambda path: path.stat().st_mtime, reverse=True)

    def _remove_staged(self) -> None:
        """Remove what a process that was killed has left. The lock tells that no other is writing."""
        for path in self.folder.iterdir():
            if _STAGED.fullmatch(path.name):
                path.unlink(missing_ok=True)

    def _make_room(self, size: int) -> bool:
        """Remove files of no use and the least recently used ones; return whether there is room for a new one."""
        kept = 0
        known = {file.path: file for file in self.files()}
        for path in self._paths():
            file = known.get(path)
            useful = file is not None and all(Path(weights).exists() for weights in file.about["weights"])
            if not useful or kept + path.stat().st_size + size > self._most_bytes:
                path.unlink(missing_ok=True)
            else:
                kept += path.stat().st_size
        # At most half of what is free, so that a disk is never filled.
        return size <= min(self._most_bytes, shutil.disk_usage(self.folder).free // 2)


Blocks = Sequence[tuple[str, Mapping[str, Any], NDArray[np.uint8]]]
"""Name, description and bytes of each block."""


def name_of_file(checkpoint: Path, dtype: str, quantize: str | None) -> str:
    """Return the name of the file for a checkpoint, a dtype and a quantization on this processor.

    Raises:
        ModelError: the checkpoint is not complete.
    """
    config = (checkpoint / CONFIG).read_bytes()
    digest = hashlib.sha256(config)
    for part in (_FORMAT, describe_weights(checkpoint), dtype, quantize, _cpu_identity()):
        written = str(part).encode()
        digest.update(len(written).to_bytes(8, "little") + written)
    return digest.hexdigest()[:32] + SUFFIX


def _cpu_identity() -> str:
    """Return what the layout of weights may depend on: kind of processor and its instructions."""
    with suppress(OSError), _CPU_INFO.open(encoding="utf-8") as file:
        for line in file.read(_CPU_INFO_BYTES).splitlines():
            if line.startswith(("flags", "Features")):
                return " ".join(sorted(line.partition(":")[2].split()))
    return f"{platform.machine()} {platform.processor()}"


def _write_blocks(
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
    sums = base64.b64encode(np.concatenate(summing.sums).tobytes()).decode() if summing.sums else ""
    index = json.dumps({"about": dict(about), "blocks": placed, "sums": sums}).encode()
    write(index)
    place = (position + padding).to_bytes(8, "little") + len(index).to_bytes(8, "little")
    write(place + hashlib.sha256(index).digest() + _MARK)


class _Summing:
    """Writes bytes, and sums them up by the mebibyte."""

    def __init__(self, write: Callable[[Any], object]) -> None:
        self._write = write
        self._rest = np.empty(0, np.uint8)
        self.sums: list[NDArray[np.uint64]] = []

    def write(self, data: "NDArray[np.uint8] | bytes") -> None:
        self._write(data)
        joined = np.concatenate((self._rest, np.frombuffer(data, np.uint8)))
        whole = len(joined) - len(joined) % _SUMMED_BYTES
        self.sums.append(_sums(joined[:whole].view(np.uint64)))
        self._rest = joined[whole:]


def _sums(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the sum, modulo 2⁶⁴, of every mebibyte. It costs no more time than reading, unlike a digest."""
    sums: NDArray[np.uint64] = words.reshape(-1, _SUMMED_BYTES // words.itemsize).sum(axis=1, dtype=np.uint64)
    return sums


def _read_index(file: Any) -> tuple[Mapping[str, Any], int]:
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
