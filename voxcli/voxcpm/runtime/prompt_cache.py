"""Encoded clips: kept in memory for the next sentence, and on disk for the next run."""

import hashlib
import logging
import os
import tempfile
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from voxcli.voxcpm.network.sequence import AudioSegment

_log = logging.getLogger(__name__)

_KEPT_IN_MEMORY = 16
_KEPT_ON_DISK = 200
"""A minute of sound is 400 KB at most."""

_SUFFIX = ".safetensors"
_PATCHES, _HEARD = "patches", "heard"


class ClipCache:
    """Encoded clips by what they were made of. What cannot be written or read is made again, without a word."""

    def __init__(self, folder: Path | None, origin: str, device: torch.device) -> None:
        """
        Args:
            folder: on disk, or None.
            origin: which model encodes, and how; what another one made is never taken.
            device: where clips are wanted.
        """
        self._device = device
        self._folder = folder
        self._origin = origin.encode()
        self._newest_last: OrderedDict[str, AudioSegment] = OrderedDict()

    def encoded(self, key: bytes, encode: Callable[[], AudioSegment]) -> AudioSegment:
        """Return a clip, which `encode` makes if it is not there.

        key: what else but the origin makes a difference.
        """
        name = hashlib.sha256(self._origin + b"\0" + key).hexdigest()
        clip = self._newest_last.pop(name, None) or self._read(name)
        if clip is None:
            clip = encode()
            self._write(name, clip)
        self._newest_last[name] = clip
        if len(self._newest_last) > _KEPT_IN_MEMORY:
            self._newest_last.popitem(last=False)
        return clip

    def clear(self) -> None:
        """Forget what is in memory."""
        self._newest_last.clear()

    def _read(self, name: str) -> AudioSegment | None:
        if self._folder is None:
            return None
        path = self._folder / (name + _SUFFIX)
        try:
            tensors = load(path.read_bytes())
            os.utime(path)  # it is of use: the last that will be deleted
            return AudioSegment(tensors[_PATCHES].to(self._device), tensors[_HEARD].to(self._device))
        except (OSError, SafetensorError, KeyError):
            return None

    def _write(self, name: str, clip: AudioSegment) -> None:
        if self._folder is None:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:
                file.write(save({_PATCHES: _flat(clip.patches), _HEARD: _flat(clip.heard)}))
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


def _flat(tensor: Tensor) -> Tensor:
    return tensor.cpu().contiguous()
