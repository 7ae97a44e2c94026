"""Keys and values: of one stream, which grow with it, and of several streams that make one step together."""

from collections.abc import Iterable
from copy import copy
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from voxcli.voxcpm.kernels.ops import decode_attention, rotate_and_append_kv, split_heads, unmasked
from voxcli.voxcpm.network.config import StackConfig

_BLOCK = 256
"""Positions by which a cache grows at first; later it doubles."""


class Memory(Protocol):
    """What a stack remembers of the streams in a batch, which it hears the next positions of."""

    def reserve(self, count: int) -> None:
        """Make room for `count` more positions of each stream."""

    def rotary(self, table: Tensor, count: int) -> Tensor:
        """Return of a table of all positions, (2, positions, 1, head_dim), what `attend` needs for the next `count`."""

    def attend(self, layer: int, heads: Tensor, rotary: Tensor | None, queries: int) -> Tensor:
        """Keep the newest keys and values of a layer, and look at all that are not later.

        Args:
            heads: (B, count, queries + 2·kv_heads, head_dim), not rotated.
            queries: how many of the heads ask.

        Returns:
            (B, count, queries·head_dim).
        """

    def advance(self, count: int) -> None:
        """Go on, after every layer has attended."""


class KVCache:
    """What the layers of one stack remember of one stream, up to the model's last position."""

    def __init__(
        self, config: StackConfig, max_length: int, device: torch.device, dtype: torch.dtype, capacity: int = 0
    ) -> None:
        """capacity: positions to have room for at once."""
        self.length = 0
        """Positions filled."""
        self.max_length = max_length
        self._shape = (2, config.layers, 1, config.kv_heads)
        self._head_dim = config.head_dim
        self._kept = torch.empty(*self._shape, capacity, config.head_dim, device=device, dtype=dtype)

    @property
    def filled(self) -> Tensor:
        """(2, layers, 1, kv_heads, length, head_dim): the keys and the values, as a view."""
        return self._kept[..., : self.length, :]

    def copy(self) -> "KVCache":
        """Return one that goes on by itself."""
        copied = copy(self)
        copied._kept = self._kept.clone()
        return copied

    def reserve(self, count: int) -> None:
        needed, capacity = self.length + count, self._kept.size(4)
        if needed <= capacity:
            return
        if needed > self.max_length:
            raise IndexError(f"position {needed} of {self.max_length}")
        capacity = min(self.max_length, max(2 * capacity, -(-needed // _BLOCK) * _BLOCK))
        grown = self._kept.new_empty(*self._shape, capacity, self._head_dim)
        grown[..., : self.length, :] = self.filled
        self._kept = grown

    def rotary(self, table: Tensor, count: int) -> Tensor:
        return table[:, self.length : self.length + count]

    def attend(self, layer: int, heads: Tensor, rotary: Tensor | None, queries: int) -> Tensor:
        asking, keys, values = split_heads(heads, rotary, queries)
        kept = self.append(layer, keys, values)
        mixed = _causal(asking, *kept) if heads.size(1) > 1 else unmasked(asking, *kept)
        return mixed.transpose(1, 2).flatten(2)

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
        self.length += count


class JoinedCaches:
    """The caches of several streams that go on by one position together, each from where it stands."""

    def __init__(self, caches: Iterable[KVCache]) -> None:
        self._caches = tuple(caches)

    def reserve(self, count: int) -> None:
        for cache in self._caches:
            cache.reserve(count)

    def rotary(self, table: Tensor, count: int) -> Tensor:
        rows = [cache.rotary(table, count) for cache in self._caches]
        return rows[0] if len(rows) == 1 else torch.stack(rows, 1)

    def attend(self, layer: int, heads: Tensor, rotary: Tensor | None, queries: int) -> Tensor:
        asking, keys, values = split_heads(heads, rotary, queries)
        rows = [
            unmasked(asking[row : row + 1], *cache.append(layer, keys[row : row + 1], values[row : row + 1]))
            for row, cache in enumerate(self._caches)
        ]
        return (rows[0] if len(rows) == 1 else torch.cat(rows)).transpose(1, 2).flatten(2)

    def advance(self, count: int) -> None:
        for cache in self._caches:
            cache.advance(count)


class SlotCache:
    """The keys and values of all slots in memory that never moves, as a CUDA graph wants it.

    Where each stream stands is a tensor on the device, which whoever owns the slots moves on.
    """

    def __init__(self, config: StackConfig, max_length: int, lengths: Tensor, dtype: torch.dtype) -> None:
        """lengths: (slots,), the positions filled; an integer tensor on the device of the keys and values."""
        shape = (config.layers, 2, len(lengths), config.kv_heads, max_length, config.head_dim)
        self._kept = torch.zeros(shape, device=lengths.device, dtype=dtype)
        self._lengths = lengths

    def load_slot(self, slot: int, cache: KVCache) -> None:
        """Put what one stream remembers into a slot."""
        self._kept[:, :, slot, :, : cache.length] = cache.filled[:, :, 0].transpose(0, 1)

    def move_slot(self, source: int, target: int, length: int) -> None:
        """Move so many positions from one slot to another."""
        self._kept[:, :, target, :, :length] = self._kept[:, :, source, :, :length]

    def reserve(self, count: int) -> None:
        """All the room there ever is, is there."""

    def rotary(self, table: Tensor, count: int) -> Tensor:
        return table

    def attend(self, layer: int, heads: Tensor, rotary: Tensor | None, queries: int) -> Tensor:
        keys, values = self._kept[layer]
        asking = rotate_and_append_kv(heads, rotary, self._lengths, keys, values, queries)
        return decode_attention(asking, keys, values, self._lengths).unsqueeze(1)

    def advance(self, count: int) -> None:
        """The owner does that, once for all stacks."""


def _causal(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Attend to what is not later. The last query stands at the last key."""
    earlier = keys.size(2) - queries.size(2)
    if earlier == 0:
        return functional.scaled_dot_product_attention(queries, keys, values, is_causal=True, enable_gqa=True)
    mask = torch.ones(queries.size(2), keys.size(2), dtype=torch.bool, device=queries.device).tril(earlier)
    return functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask, enable_gqa=True)
