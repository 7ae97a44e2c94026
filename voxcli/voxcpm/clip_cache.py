"""Encoded clips: kept in memory for the next sentence, and on disk for the next run."""

import hashlib
import logging
import os
import tempfile
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

_log = logging.getLogger(__name__)

_KEPT_IN_MEMORY = 16
_KEPT_ON_DISK = 200
"""A minute of sound is 400 KB at most."""

_SUFFIX = ".safetensors"
_NAME = "patches"


class ClipCache:
    """Patches by what they were made of. What cannot be written or read is made again, without a word."""

    def __init__(self, folder: Path | None, origin: str) -> None:
        """folder: on disk, or None. origin: which codec encodes, and how; what another one made is never taken."""
        self._folder = folder
        self._origin = origin.encode()
        self._newest_last: OrderedDict[str, Tensor] = OrderedDict()

    def encoded(self, key: bytes, encode: Callable[[], Tensor]) -> Tensor:
        """Return the patches of a clip, (N, P, D), which `encode` makes if they are not there.

        key: what else but the origin makes a difference.
        """
        name = hashlib.sha256(self._origin + b"\0" + key).hexdigest()
        patches = self._newest_last.pop(name, None)
        if patches is None:
            patches = self._read(name)
        if patches is None:
            patches = encode()
            self._write(name, patches)
        self._newest_last[name] = patches
        if len(self._newest_last) > _KEPT_IN_MEMORY:
            self._newest_last.popitem(last=False)
        return patches

    def clear(self) -> None:
        """Forget what is in memory."""
        self._newest_last.clear()

    def _read(self, name: str) -> Tensor | None:
        if self._folder is None:
            return None
        path = self._folder / (name + _SUFFIX)
        try:
            patches = load(path.read_bytes())[_NAME]
            os.utime(path)  # it is of use: the last that will be deleted
        except (OSError, SafetensorError, KeyError):
            return None
        return patches

    def _write(self, name: str, patches: Tensor) -> None:
        if self._folder is None:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:
                file.write(save({_NAME: patches.cpu().contiguous()}))
            Path(file.name).replace(self._folder / (name + _SUFFIX))
            self._prune(self._folder)
        except OSError as error:
            _log.debug("encoded clips cannot be kept in %s: %s", self._folder, error)

    def _prune(self, folder: Path) -> None:
        """Delete what was not used for longest, and what was never finished."""
        by_age = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in by_age[_KEPT_ON_DISK:]:
            with suppress(OSError):
                path.unlink()
