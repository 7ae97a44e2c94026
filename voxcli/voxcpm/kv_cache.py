"""Keys and values of one stream, for one stack. It grows as the stream does and ends at the model's last position."""

from copy import copy

import torch
from torch import Tensor

from voxcli.voxcpm.config import StackConfig

_BLOCK = 256
"""Positions by which it grows at first; later it doubles."""


class KVCache:
    """What the layers of one stack remember of one stream."""

    def __init__(self, config: StackConfig, max_length: int, device: torch.device, dtype: torch.dtype) -> None:
        self.length = 0
        """Positions filled."""
        self.max_length = max_length
        self._shape = (2, config.layers, 1, config.kv_heads)
        self._head_dim = config.head_dim
        self._kept = torch.empty(*self._shape, 0, config.head_dim, device=device, dtype=dtype)

    def copy(self) -> "KVCache":
        """Return one that goes on by itself."""
        copied = copy(self)
        copied._kept = self._kept.clone()
        return copied

    def reserve(self, count: int) -> None:
        """Make room for `count` more positions."""
        needed, capacity = self.length + count, self._kept.size(4)
        if needed <= capacity:
            return
        if needed > self.max_length:
            raise IndexError(f"position {needed} of {self.max_length}")
        capacity = min(self.max_length, max(2 * capacity, -(-needed // _BLOCK) * _BLOCK))
        grown = self._kept.new_empty(*self._shape, capacity, self._head_dim)
        grown[..., : self.length, :] = self._kept[..., : self.length, :]
        self._kept = grown

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Keep the newest keys and values of a layer, (1, kv_heads, T, head_dim) each.

        Returns:
            All of that layer so far, (1, kv_heads, length + T, head_dim) each, as views.
        """
        end = self.length + keys.size(2)
        kept = self._kept[:, layer, :, :, :end]
        kept[0, :, :, self.length :] = keys
        kept[1, :, :, self.length :] = values
        return kept[0], kept[1]

    def advance(self, count: int) -> None:
        """Go on, after every layer has appended."""
        self.length += count
