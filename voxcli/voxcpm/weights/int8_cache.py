"""Cache of int8 matrices on disk, so that a model is quantized once and not at every start."""

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from voxcli.files import replacing
from voxcli.voxcpm.network.linear import MatrixFormat
from voxcli.voxcpm.weights.quantization import INT8_MAX, FormatOf, Int8Matrix, round_to_int8

_log = logging.getLogger(__name__)

_VERSION = b"1"
_SUFFIX = ".safetensors"
_KEPT_FILES = 3
"""A file has about half the size of the model's own."""
_HEADER_BYTES = 1 << 18
"""Reserved for the header, which is written last; the format allows spaces at its end (huggingface/safetensors)."""
_LEVELS, _SCALES = ".levels", ".scales"
_DTYPES = {_LEVELS: "I8", _SCALES: "F32"}


class DamagedCache(Exception):
    """The cached matrices are not what was written. They have been deleted."""


class _NotKept(Exception):
    """The file that was written is not to be kept."""


class Int8Cache:
    """The int8 matrices of one checkpoint: read if they are on disk, written there if they are not.

    A file that cannot be read or written costs time only.
    """

    def __init__(self, folder: Path | None, origin: Iterable[bytes]) -> None:
        """
        Args:
            folder: None keeps nothing.
            origin: everything that the matrices depend on: weights, config, dtype.
        """
        digest = hashlib.sha256(_VERSION)
        for part in origin:
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)
        self._path = folder and folder / (digest.hexdigest() + _SUFFIX)
        self._read: Any = None
        self._written: _Writer | None = None
        self.names: frozenset[str] = frozenset()
        """Matrices on disk, whose weights need not be read."""

    @property
    def exists(self) -> bool:
        """Whether there is a file of matrices."""
        return self._path is not None and self._path.is_file()

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Open the cache while a model is loaded; what was quantized meanwhile is kept if the loading succeeds."""
        if self._path is None:
            yield
            return
        try:
            self._read = safe_open(self._path, framework="pt")
            there = self._read.keys()
            self.names = frozenset(name.removesuffix(_LEVELS) for name in there if name.endswith(_LEVELS))
            os.utime(self._path)  # files that are in use are pruned last
        except (OSError, SafetensorError):
            with self._writing(self._path):
                yield
            return
        try:
            yield
        finally:
            self._read = None

    @contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        """Keep the matrices that are added within the block, if it ends without an error."""
        with ExitStack() as closing:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                _prune(path.parent)
                self._written = _Writer(closing.enter_context(replacing(path, private=True)))
            except OSError as error:
                _log.debug("int8 matrices cannot be kept in %s: %s", path.parent, error)
            yield
            writer, finishing = self._written, closing.pop_all()
        if writer:
            with suppress(OSError, _NotKept), finishing:
                writer.finish()

    def format_of(self, choose: FormatOf) -> FormatOf:
        """Return the choice of formats, with int8 matrices read from and written to the cache."""

        def chosen(name: str) -> MatrixFormat | None:
            form = choose(name)
            return self._form(name) if form is Int8Matrix and self._path else form

        return chosen

    def _form(self, name: str) -> MatrixFormat:
        def build(weight: Tensor, bias: Tensor | None) -> Int8Matrix:
            if name in self.names:
                levels, scales = self._checked(name)
            else:
                levels, scales = round_to_int8(weight)
                if self._written:
                    self._written.add(name, levels, scales)
            return Int8Matrix.of_levels(levels, scales, bias)

        return build

    def _checked(self, name: str) -> tuple[Tensor, Tensor]:
        """Read a matrix. By construction, the largest level of each row is the largest there is.

        Raises:
            DamagedCache: it is not, as after a power failure.
        """
        levels: Tensor = self._read.get_tensor(name + _LEVELS)
        scales: Tensor = self._read.get_tensor(name + _SCALES)
        full = torch.maximum(levels.amax(1), -levels.amin(1)) == INT8_MAX
        empty = scales == torch.finfo(torch.float32).tiny
        if not bool((full | empty).all()) or not bool(torch.isfinite(scales).all()):
            assert self._path
            _log.debug("%s is damaged: the model is quantized again", self._path)
            with suppress(OSError):
                self._path.unlink()
            raise DamagedCache(name)
        return levels, scales


class _Writer:
    """A safetensors file that is written matrix by matrix."""

    def __init__(self, file: BinaryIO) -> None:
        file.seek(8 + _HEADER_BYTES)
        self._file = file
        self._header: dict[str, Any] = {}
        self._offset = 0
        self._failed = False

    def add(self, name: str, levels: Tensor, scales: Tensor) -> None:
        if self._failed:
            return
        try:
            for suffix, tensor in ((_LEVELS, levels), (_SCALES, scales)):
                data = np.ascontiguousarray(tensor.numpy()).data.cast("B")
                self._file.write(data)
                offsets = [self._offset, self._offset + len(data)]
                described = {"dtype": _DTYPES[suffix], "shape": list(tensor.shape), "data_offsets": offsets}
                self._header[name + suffix] = described
                self._offset += len(data)
        except OSError as error:
            self._failed = True
            _log.debug("int8 matrices cannot be kept: %s", error)

    def finish(self) -> None:
        """Write the header.

        Raises:
            OSError: it cannot be written.
            _NotKept: there is nothing to keep, or not everything was written.
        """
        header = json.dumps(self._header).encode()
        if self._failed or not self._header or len(header) > _HEADER_BYTES:
            raise _NotKept
        self._file.seek(0)
        self._file.write(_HEADER_BYTES.to_bytes(8, "little") + header.ljust(_HEADER_BYTES))


def _prune(folder: Path) -> None:
    """Delete the least recently used files, so that one more is kept at most."""
    by_age = sorted(folder.glob("*" + _SUFFIX), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in by_age[_KEPT_FILES - 1 :]:
        path.unlink(missing_ok=True)
