"""KV caches: of one stream, growing, and views of several streams that make one step together."""

from collections.abc import Iterable, Sequence
from copy import copy
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from voxcli.voxcpm.kernels.ops import decode_attention, rotate_and_append_kv, split_heads, unmasked
from voxcli.voxcpm.network.config import StackConfig

_BLOCK = 256
"""Positions by which a cache grows at first; later its capacity doubles."""


class KVCacheView(Protocol):
    """Keys and values of the streams in a batch, as the attention layers of one stack use them."""

    def reserve(self, count: int) -> None:
        """Make room for `count` more positions of each stream."""

    def rotary(self, table: Tensor, count: int) -> Tensor:
        """Return the rows of a rotary table, (2, positions, 1, head_dim), that `attend` needs for the next `count`."""

    def attend(self, layer: int, heads: Tensor, rotary: Tensor | None, queries: int) -> Tensor:
        """Append the newest keys and values of a layer, and attend causally to all of them.

        Args:
            heads: (B, count, queries + 2·kv_heads, head_dim), before rotary embedding.
            queries: number of query heads.

        Returns:
            (B, count, queries·head_dim).
        """

    def advance(self, count: int) -> None:
        """Count the new positions as filled, after every layer has attended."""

    def of_streams(self) -> "Sequence[KVCache] | None":
        """Return the cache of each stream, or None if they are not separate."""


class KVCache:
    """Keys and values in all layers of one stack, of one stream or of several that fill the same positions.

    It grows up to the model's last position.
    """

    def __init__(
        self, config: StackConfig, max_length: int, device: torch.device, dtype: torch.dtype, capacity: int = 0
    ) -> None:
        """capacity: positions to allocate at once."""
        self.length = 0
        """Positions filled."""
        self.max_length = max_length
        self._shape = (2, config.layers, 1, config.kv_heads)
        self._head_dim = config.head_dim
        self._cached = torch.empty(*self._shape, capacity, config.head_dim, device=device, dtype=dtype)

    def divided(self, batch: int) -> "KVCache":
        """Return an empty cache of a batch of streams that shares the memory of this one in equal parts."""
        other = copy(self)
        layers, _, kv_heads = self._shape[1:]
        capacity = self._cached.size(4) // batch
        other.length, other.max_length = 0, min(capacity, self.max_length)
        other._shape = (2, layers, batch, kv_heads)
        used = self._cached.view(-1)[: 2 * layers * batch * kv_heads * capacity * self._head_dim]
        other._cached = used.view(*other._shape, capacity, self._head_dim)
        return other

    @property
    def filled(self) -> Tensor:
        """(2, layers, B, kv_heads, length, head_dim): the keys and the values, as a view."""
        return self._cached[..., : self.length, :]

    def copy(self) -> "KVCache":
        """Return an independent copy."""
        copied = copy(self)
        copied._cached = self._cached.clone()
        return copied

    def reserve(self, count: int) -> None:
        needed, capacity = self.length + count, self._cached.size(4)
        if needed <= capacity:
            return
        if needed > self.max_length:
            raise IndexError(f"position {needed} of {self.max_length}")
        capacity = min(self.max_length, max(2 * capacity, -(-needed // _BLOCK) * _BLOCK))
        grown = self._cached.new_empty(*self._shape, capacity, self._head_dim)
        grown[..., : self.length, :] = self.filled
        self._cached = grown

    def rotary(self, table: Tensor, count: int) -> Tensor:
        return table[:, self.length : self.length + count]

    def attend(self, layer: int, heads: Tensor, rotary: Tensor | None, queries: int) -> Tensor:
        query, keys, values = split_heads(heads, rotary, queries)
        cached = self.append(layer, keys, values)
        mixed = _causal(query, *cached) if heads.size(1) > 1 else unmasked(query, *cached)
        return mixed.transpose(1, 2).flatten(2)

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Append the newest keys and values of a layer, (B, kv_heads, T, head_dim) each.

        Returns:
            All keys and values of the layer, (B, kv_heads, length + T, head_dim) each, as views.
        """
        end = self.length + keys.size(2)
        cached = self._cached[:, layer, :, :, :end]
        cached[0, :, :, self.length :] = keys
        cached[1, :, :, self.length :] = values
        return cached[0], cached[1]

    def advance(self, count: int) -> None:
        self.length += count

    def of_streams(self) -> "Sequence[KVCache] | None":
        return (self,) if self._shape[2] == 1 else None

    def layout(self, more: int = 0) -> tuple[int, int, int, int, int]:
        """Return the addresses of keys and values, the numbers from one layer and one head to the next, and the length.

        Behind the head, the dimensions are the positions and the head dimension.

        Args:
            more: positions that are filled, but not counted yet.
        """
        keys, values = self._cached
        return keys.data_ptr(), values.data_ptr(), keys.stride(0), keys.stride(2), self.length + more


class JoinedCaches:
    """The caches of several streams of any lengths that advance by one position together."""

    def __init__(self, caches: Iterable[KVCache]) -> None:
        self._caches = tuple(caches)

    def reserve(self, count: int) -> None:
        for cache in self._caches:
            cache.reserve(count)

    def rotary(self, table: Tensor, count: int) -> Tensor:
        rows = [cache.rotary(table, count) for cache in self._caches]
        return rows[0] if len(rows) == 1 else torch.stack(rows, 1)

    def attend(self, layer: int, heads: Tensor, rotary: Tensor | None, queries: int) -> Tensor:
        query, keys, values = split_heads(heads, rotary, queries)
        rows = [
            unmasked(query[row : row + 1], *cache.append(layer, keys[row : row + 1], values[row : row + 1]))
            for row, cache in enumerate(self._caches)
        ]
        return (rows[0] if len(rows) == 1 else torch.cat(rows)).transpose(1, 2).flatten(2)

    def advance(self, count: int) -> None:
        for cache in self._caches:
            cache.advance(count)

    def of_streams(self) -> Sequence[KVCache]:
        return self._caches


class SlotCache:
    """Keys and values of all slots at fixed addresses, as CUDA graphs require.

    The lengths are a tensor on the device that the owner of the slots advances.
    """

    def __init__(self, config: StackConfig, max_length: int, lengths: Tensor, dtype: torch.dtype) -> None:
        """lengths: (slots,), positions filled; an integer tensor on the device of the keys and values."""
        shape = (config.layers, 2, len(lengths), config.kv_heads, max_length, config.head_dim)
        self._cached = torch.zeros(shape, device=lengths.device, dtype=dtype)
        self._lengths = lengths

    def load_slots(self, slots: slice, cache: KVCache) -> None:
        """Copy the first streams of a cache into slots."""
        count = slots.stop - slots.start
        self._cached[:, :, slots, :, : cache.length] = cache.filled[:, :, :count].transpose(0, 1)

    def move_slot(self, source: int, target: int, length: int) -> None:
        """Copy the first `length` positions of one slot to another."""
        self._cached[:, :, target, :, :length] = self._cached[:, :, source, :, :length]

    def reserve(self, count: int) -> None:
        """Nothing to do: all positions are allocated."""

    def rotary(self, table: Tensor, count: int) -> Tensor:
        return table

    def attend(self, layer: int, heads: Tensor, rotary: Tensor | None, queries: int) -> Tensor:
        keys, values = self._cached[layer]
        query = rotate_and_append_kv(heads, rotary, self._lengths, keys, values, queries)
        return decode_attention(query, keys, values, self._lengths).unsqueeze(1)

    def advance(self, count: int) -> None:
        """Nothing to do: the owner advances the lengths, once for all stacks."""

    def of_streams(self) -> None:
        return None


def _causal(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Causal attention; the last query is at the position of the last key."""
    earlier = keys.size(2) - queries.size(2)
    if earlier == 0:
        return functional.scaled_dot_product_attention(queries, keys, values, is_causal=True, enable_gqa=True)
    mask = torch.ones(queries.size(2), keys.size(2), dtype=torch.bool, device=queries.device).tril(earlier)
    return functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask, enable_gqa=True)
