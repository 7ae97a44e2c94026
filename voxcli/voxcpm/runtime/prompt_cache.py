"""Encoded clips: kept in memory for the next sentence, and on disk for the next run."""

import hashlib
import logging
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from voxcli.files import write_atomically
from voxcli.voxcpm.network.sequence import AudioSegment

_log = logging.getLogger(__name__)

_FORMAT_VERSION = b"2"
_KEPT_IN_MEMORY = 16
_KEPT_ON_DISK = 200
"""Files. A minute of sound takes 400 KB at most."""

_SUFFIX = ".clip"
_PATCHES, _EMBEDDINGS = "patches", "embeddings"


class PromptCache:
    """Encoded clips by everything that they were made from.

    A file is the SHA-256 of its key and its content, then the two tensors in the safetensors format. A file that is
    damaged, or cannot be read or written, costs time only: the clip is encoded again.
    """

    def __init__(self, folder: Path | None, origin: Iterable[bytes], device: torch.device) -> None:
        """
        Args:
            folder: on disk; None keeps clips in memory only.
            origin: everything but the clip that the result depends on: program version, model, device, precision.
            device: of the tensors that are returned.
        """
        self._device = device
        self._folder = folder
        self._origin = _digest(_FORMAT_VERSION, *origin)
        self._newest_last: OrderedDict[str, AudioSegment] = OrderedDict()

    def encoded(self, key: bytes, encode: Callable[[], AudioSegment]) -> AudioSegment:
        """Return the encoded clip, from memory or disk if it is there, otherwise from `encode`.

        Args:
            key: the clip, and how it is prepared.
        """
        name = _digest(self._origin, key).hex()
        clip = self._newest_last.pop(name, None) or self._read(name)
        if clip is None:
            clip = encode()
            self._write(name, clip)
        self._newest_last[name] = clip
        if len(self._newest_last) > _KEPT_IN_MEMORY:
            self._newest_last.popitem(last=False)
        return clip

    def clear(self) -> None:
        """Drop what is in memory."""
        self._newest_last.clear()

    def _read(self, name: str) -> AudioSegment | None:
        if self._folder is None:
            return None
        path = self._folder / (name + _SUFFIX)
        try:
            data = path.read_bytes()
            length = hashlib.sha256().digest_size
            checksum, content = data[:length], data[length:]
            if checksum != _digest(name.encode(), content):
                _log.debug("%s is damaged: the clip is encoded again", path)
                return None
            tensors = load(content)
            os.utime(path)  # files that are in use are pruned last
            return AudioSegment(tensors[_PATCHES].to(self._device), tensors[_EMBEDDINGS].to(self._device))
        except (OSError, SafetensorError, KeyError):
            return None

    def _write(self, name: str, clip: AudioSegment) -> None:
        if self._folder is None:
            return
        content = save({_PATCHES: _on_cpu(clip.patches), _EMBEDDINGS: _on_cpu(clip.embeddings)})
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            data = _digest(name.encode(), content) + content
            write_atomically(self._folder / (name + _SUFFIX), data, private=True)
            self._prune(self._folder)
        except OSError as error:
            _log.debug("encoded clips cannot be kept in %s: %s", self._folder, error)

    def _prune(self, folder: Path) -> None:
        """Delete the least recently used files, and temporary files that were left behind."""
        by_age = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in by_age[_KEPT_ON_DISK:]:
            with suppress(OSError):
                path.unlink()


def _digest(*parts: bytes) -> bytes:
    """Return the SHA-256 of the parts, each preceded by its length so that no two lists give the same bytes."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()


def _on_cpu(tensor: Tensor) -> Tensor:
    return tensor.cpu().contiguous()
