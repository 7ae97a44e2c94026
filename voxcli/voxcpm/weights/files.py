"""Files of weights, safetensors or torch, read tensor by tensor so that no file is in memory twice."""

import pickle
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from voxcli.errors import ModelError
from voxcli.voxcpm.memory import is_out_of_memory

_LFS = b"version https://git-lfs"
"""Beginning of the small file that Git has in place of a large one (git-lfs, docs/spec.md)."""


def find_weights(folder: Path, *names: str) -> Path | None:
    """Return the first of these files that exists."""
    return next((path for name in names if (path := folder / name).is_file()), None)


def read_shapes(path: Path) -> dict[str, torch.Size]:
    """Return the shape of each tensor in a file, by name.

    Raises:
        ModelError: the file is cut short or holds no weights.
    """
    with open_weights(path) as weights:
        if isinstance(weights, _Safetensors):
            return weights.shapes()
        return {name: tensor.shape for name, tensor in weights.items()}


@contextmanager
def open_weights(path: Path) -> Iterator[Mapping[str, Tensor]]:
    """Map a file into memory. Tensors taken from it keep it mapped until the last of them is freed.

    Raises:
        ModelError: the file is cut short or holds no weights.
    """
    if _is_lfs_pointer(path):
        raise ModelError(f"{path} is a Git LFS pointer, not the weights. Run in its folder: git lfs pull")
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                yield _Safetensors(file)
        else:
            yield _unpickled(path)
    except (SafetensorError, pickle.UnpicklingError, zipfile.BadZipFile, EOFError, OSError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        raise ModelError(f"{path} is damaged: {_first_line(error)}. Pull the model again.") from error


class _Safetensors(Mapping[str, Tensor]):
    def __init__(self, file: safe_open) -> None:
        self._file = file
        self._names = set(file.keys())

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._names:
            raise KeyError(name)
        tensor: Tensor = self._file.get_tensor(name)
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def shapes(self) -> dict[str, torch.Size]:
        return {name: torch.Size(self._file.get_slice(name).get_shape()) for name in self._names}


def _unpickled(path: Path) -> dict[str, Tensor]:
    """Read a file of torch.save, without executing code that it may contain."""
    # Only the zip format, the default since torch 1.6, can be mapped; the older one is read into memory as a whole.
    mapped = zipfile.is_zipfile(path)
    document = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    tensors = document.get("state_dict", document) if isinstance(document, dict) else None
    if not isinstance(tensors, dict) or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise ModelError(f"{path} holds no weights.")
    return tensors


def _is_lfs_pointer(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_LFS)) == _LFS
    except OSError:  # reported when the file is opened for its weights
        return False


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
