"""Folder of prepared weights: a cache of limited size, which one process writes at a time.

Nothing here loads torch: a file is read and checked while torch is imported.
"""

import hashlib
import logging
import os
import platform
import shutil
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from voxcli.files import is_staged, remove_unused, replacing
from voxcli.models.checkpoint import CONFIG, describe_weights
from voxcli.voxcpm.weights.prepared_file import (
    Blocks,
    Cancelled,
    DamagedFile,
    PreparedFile,
    read_index,
    write_blocks,
)

_log = logging.getLogger(__name__)

_FORMAT = 2
"""Changes whenever a tensor of the same name means something else."""
_SUFFIX = ".prepared"
_MOST_BYTES = 10 << 30
"""Of all files together. VoxCPM2 takes 5 GB in bfloat16 and 3 GB in int8."""
_LOCK = "lock"
_CPU_INFO, _CPU_INFO_BYTES = Path("/proc/cpuinfo"), 1 << 13


@dataclass(frozen=True, slots=True)
class PreparedModel:
    """A file in the cache, as far as its index tells."""

    path: Path
    size: int
    used: int
    """When it was last opened: a time in nanoseconds."""
    about: Mapping[str, Any]
    """What the weights were made from and for: `weights`, the paths of the checkpoint's files, `dtype`, `quantize`."""


class PreparedFolder:
    """The folder of the files. One that cannot be read or written costs time only."""

    def __init__(self, folder: Path, most_bytes: int = _MOST_BYTES) -> None:
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
        """Open a file, unless it is not there or has no index. Remove those that have not been used for long."""
        if self._staged():
            with suppress(Timeout, OSError), self._locked():
                self._remove_staged()
        ahead, self._ahead = self._ahead, None
        found = ahead if ahead and ahead.path.name == name else self._opened(name)
        remove_unused(self.folder, _SUFFIX)
        return found

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
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._locked():
                self._remove_staged()
                if self._make_room(sum(data.nbytes for _, _, data in blocks)):
                    with replacing(self.folder / name, private=True, durable=False) as file:
                        write_blocks(file.write, about, blocks, cancelled)
        except (Timeout, OSError, Cancelled) as error:
            _log.debug("Prepared weights are not kept in %s: %r", self.folder, error)

    def files(self) -> list[PreparedModel]:
        """Return the files, the most recently used first."""
        found = []
        for path in self.folder.glob("*" + _SUFFIX):
            with suppress(OSError, DamagedFile), path.open("rb") as file:
                index, _ = read_index(file)
                status = os.fstat(file.fileno())
                found.append(PreparedModel(path, status.st_size, status.st_mtime_ns, index["about"]))
        return sorted(found, key=lambda one: one.used, reverse=True)

    def _opened(self, name: str) -> PreparedFile | None:
        path = self.folder / name
        try:
            file = PreparedFile(path)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:  # as for lack of memory
            _log.debug("%s cannot be read: %r", path, error)
            return None
        except DamagedFile:
            with suppress(OSError):
                path.unlink()
            return None
        with suppress(OSError):  # the folder may belong to someone else
            os.utime(path)  # files that are in use are removed last
        return file

    def _locked(self) -> FileLock:
        """Return the lock of who writes. Raises Timeout when it is entered while another process has it."""
        return FileLock(self.folder / _LOCK, timeout=0)

    def _staged(self) -> list[Path]:
        """Return the files that are being written, or were when a process was killed."""
        try:
            return [path for path in self.folder.iterdir() if is_staged(path)]
        except OSError:
            return []

    def _remove_staged(self) -> None:
        """Remove what killed processes have left; the lock tells that no other is writing."""
        for path in self._staged():
            path.unlink(missing_ok=True)

    def _make_room(self, size: int) -> bool:
        """Remove files of no use and the least recently used ones; return whether there is room for a new one."""
        useful = [file for file in self.files() if all(Path(path).exists() for path in file.about["weights"])]
        for path in set(self.folder.glob("*" + _SUFFIX)) - {file.path for file in useful}:
            path.unlink(missing_ok=True)
        # At most half of what is free, so that a disk is never filled.
        if size > min(self._most_bytes, shutil.disk_usage(self.folder).free // 2):
            return False
        kept = size
        for file in useful:
            kept += file.size
            if kept > self._most_bytes:
                file.path.unlink(missing_ok=True)
        return True


def name_of_file(checkpoint: Path, dtype: str, quantize: str | None) -> str:
    """Return the name of the file for a checkpoint, a dtype and a quantization, with this torch on this processor.

    Raises:
        ModelError: the checkpoint is not complete.
    """
    config = (checkpoint / CONFIG).read_bytes()
    digest = hashlib.sha256(config)
    for part in (_FORMAT, describe_weights(checkpoint), dtype, quantize, _torch_version(), _cpu_identity()):
        written = str(part).encode()
        digest.update(len(written).to_bytes(8, "little") + written)
    return digest.hexdigest()[:32] + _SUFFIX


def _torch_version() -> str | None:
    """Return the version of torch without loading it."""
    with suppress(PackageNotFoundError):
        return version("torch")
    return None


def _cpu_identity() -> str:
    """Return what the layout of weights may depend on: kind of processor and its instructions."""
    with suppress(OSError), _CPU_INFO.open(encoding="utf-8") as file:
        for line in file.read(_CPU_INFO_BYTES).splitlines():
            if line.startswith(("flags", "Features")):
                return " ".join(sorted(line.partition(":")[2].split()))
    return f"{platform.machine()} {platform.processor()}"
