"""Files of a checkpoint: which are needed, and whether they are complete, told by their headers alone.

No tensor is read and no library needed. The format: https://github.com/huggingface/safetensors#format.
"""

import json
import math
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from rich.filesize import decimal

from voxcli.errors import ModelError

CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
CODEC = ("audiovae.safetensors", "audiovae.pth")

_PARTS = ((CONFIG,), WEIGHTS, CODEC, ("tokenizer.json",))
"""Of each part, one file is enough; the first that is there is taken."""

_EXTRAS = ("tokenizer_config.json", "special_tokens_map.json")
"""Other programs that share the files want them."""

_LENGTH_BYTES = 8
_LONGEST_HEADER = 100_000_000  # bytes; what the format allows


@dataclass(frozen=True, slots=True)
class TensorIndex:
    """The tensors of a file."""

    numbers: Counter[str]
    """How many numbers there are of each type, such as "BF16"."""
    file_size: int
    """How many bytes the file must have to hold them all."""


def read_index(path: Path) -> TensorIndex:
    """Read the header of a safetensors file.

    Raises:
        ModelError: it has none that makes sense.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            if length > _LONGEST_HEADER:
                raise ModelError(f"{path} is damaged: it does not begin as weights do. Pull the model again.")
            header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        numbers: Counter[str] = Counter()
        for tensor in header.values():
            numbers[tensor["dtype"]] += math.prod(tensor["shape"])
        end = max((tensor["data_offsets"][1] for tensor in header.values()), default=0)
        return TensorIndex(numbers, _LENGTH_BYTES + length + end)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ModelError(f"{path} is damaged: {error}. Pull the model again.") from error


def needed_files(names: Collection[str]) -> tuple[list[str], list[str]]:
    """Return which of these files make a checkpoint, and what is missing for one."""
    chosen, missing = [], []
    for part in _PARTS:
        name = next((name for name in part if name in names), None)
        chosen += [name] if name else []
        missing += [] if name else [" or ".join(part)]
    return chosen + [name for name in _EXTRAS if name in names], missing


def missing_parts(folder: Path) -> list[str]:
    """Say what is missing in a folder, or cut short; nothing if the checkpoint is whole."""
    chosen, missing = needed_files({name for part in _PARTS for name in part if (folder / name).is_file()})
    return missing + [trouble for name in chosen if (trouble := _trouble_with(folder / name))]


def _trouble_with(path: Path) -> str | None:
    there = path.stat().st_size
    if not there:
        return f"{path.name} (empty)"
    if path.suffix != ".safetensors":
        return None
    try:
        due = read_index(path).file_size
    except ModelError:
        return f"{path.name} (damaged)"
    return f"{path.name} (cut short: {decimal(there)} of {decimal(due)})" if there < due else None
