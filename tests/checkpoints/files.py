"""Writers of random tensors, with at most one tensor in memory where the format allows it."""

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from tests.checkpoints.draw import Floats, Tensors, Uniform, drawn, drawn_whole

Stored = Literal["bfloat16", "float32"]

_NAMES = {"bfloat16": "BF16", "float32": "F32"}
_BYTES = {"bfloat16": 2, "float32": 4}


def to_bfloat16(values: Floats) -> NDArray[np.uint16]:
    """Return the bits of the nearest bfloat16, ties to even. `values` must be finite."""
    bits = values.view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)).astype(np.uint16)


def write_safetensors(path: Path, tensors: Tensors, seed: int, stored: Stored) -> None:
    """Write a safetensors file piece by piece: the library would need all tensors in memory at once."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, tensor in tensors.items():
        start, end = end, end + tensor.size * (_BYTES[stored] if isinstance(tensor, Uniform) else 4)
        kind = _NAMES[stored] if isinstance(tensor, Uniform) else "I32"
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, tensor in tensors.items():
            if not isinstance(tensor, Uniform):
                file.write(tensor.astype("<i4").tobytes())
                continue
            for piece in drawn(tensor, seed, name):
                file.write(to_bfloat16(piece).tobytes() if stored == "bfloat16" else piece.tobytes())


def write_torch(path: Path, tensors: Tensors, seed: int, stored: Stored, *, bare: bool) -> None:
    """Write a file for `torch.load`, with the tensors under the key `state_dict` unless `bare`."""
    state = {name: _to_torch(tensor, seed, name, stored) for name, tensor in tensors.items()}
    torch.save(state if bare else {"state_dict": state}, path)


def _to_torch(tensor: Uniform | NDArray[np.int32], seed: int, name: str, stored: Stored) -> torch.Tensor:
    if not isinstance(tensor, Uniform):
        return torch.from_numpy(tensor)
    values = drawn_whole(tensor, seed, name)
    if stored == "float32":
        return torch.from_numpy(values)
    return torch.from_numpy(to_bfloat16(values).view(np.int16)).view(torch.bfloat16)
