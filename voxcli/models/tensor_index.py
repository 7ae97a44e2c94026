"""What a file of weights holds, told by its header alone: no tensor is read and no library needed.

The format: https://github.com/huggingface/safetensors#format.
"""

import json
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from voxcli.errors import ModelError

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
