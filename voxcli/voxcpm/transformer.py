"""One stack of transformer blocks, used four times: text and residual language models, local encoder, local DiT."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from voxcli.voxcpm.config import RopeConfig, StackConfig
from voxcli.voxcpm.kv_cache import KVCache
from voxcli.voxcpm.linear import Linear


class Stack(nn.Module):
    """Pre-norm blocks with grouped-query attention and a gated MLP, and a norm at the end.

    With a cache it is causal and appends to what the cache holds; without one every position sees every other.
    """

    def __init__(self, config: StackConfig) -> None:
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(_Block(config, index) for index in range(config.layers))
        self.norm = RMSNorm(config.hidden, config.norm_eps)
        self._rotary: Tensor | None = None

    def prepare(self, device: torch.device, positions: int) -> None:
        """Derive the tables that are not in the checkpoint, for so many positions."""
        if self.config.rope:
            self._rotary = rotary_table(self.config.rope, self.config.head_dim, positions).to(device)

    def forward(self, x: Tensor, cache: KVCache | None = None) -> Tensor:
        """Map (B, T, hidden) to the same shape. With a cache B is 1."""
        start, count = cache.length if cache else 0, x.size(1)
        rotary = None if self._rotary is None else self._rotary[:, start : start + count]
        if cache:
            cache.reserve(count)
        for layer in self.layers:
            x = layer(x, rotary, cache)
        if cache:
            cache.advance(count)
        normed: Tensor = self.norm(x)
        return normed


class RMSNorm(nn.Module):
    """Root mean square norm, computed in float32."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x, self.weight.shape, self.weight, self.eps)


class JoinedLinear(Linear):
    """Matrices with the same input as one, for one large product is faster than several small ones."""

    def __init__(self, in_features: int, parts: dict[str, int]) -> None:
        """parts: the matrices of the checkpoint that are stacked here, with their rows."""
        super().__init__(in_features, sum(parts.values()), bias=False)
        self.parts = parts


class _Block(nn.Module):
    def __init__(self, config: StackConfig, index: int) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden, config.norm_eps)
        self.self_attn = _Attention(config, index)
        self.post_attention_layernorm = RMSNorm(config.hidden, config.norm_eps)
        self.mlp = _GatedMLP(config)
        self._scale = config.residual_scale

    def forward(self, x: Tensor, rotary: Tensor | None, cache: KVCache | None) -> Tensor:
        x = torch.add(x, self.self_attn(self.input_layernorm(x), rotary, cache), alpha=self._scale)
        return torch.add(x, self.mlp(self.post_attention_layernorm(x)), alpha=self._scale)


class _Attention(nn.Module):
    """Grouped-query attention."""

    def __init__(self, config: StackConfig, index: int) -> None:
        super().__init__()
        self._heads, self._kv_heads, self._head_dim = config.heads, config.kv_heads, config.head_dim
        self._index = index
        wide, narrow = config.heads * config.head_dim, config.kv_heads * config.head_dim
        self.qkv_proj = JoinedLinear(config.hidden, {"q_proj": wide, "k_proj": narrow, "v_proj": narrow})
        self.o_proj = Linear(config.heads * config.head_dim, config.hidden, bias=False)

    def forward(self, x: Tensor, rotary: Tensor | None, cache: KVCache | None) -> Tensor:
        batch, count, _ = x.shape
        heads = self.qkv_proj(x).view(batch, count, -1, self._head_dim)
        turned = self._heads + self._kv_heads
        queries_keys, values = heads[:, :, :turned], heads[:, :, turned:].transpose(1, 2)
        if rotary is not None:
            queries_keys = rotated(queries_keys, rotary)
        queries, keys = queries_keys.transpose(1, 2).split((self._heads, self._kv_heads), dim=1)
        if cache:
            keys, values = cache.append(self._index, keys, values)
        mixed = _causal(queries, keys, values) if cache and count > 1 else _unmasked(queries, keys, values)
        projected: Tensor = self.o_proj(mixed.transpose(1, 2).reshape(batch, count, -1))
        return projected


class _GatedMLP(nn.Module):
    """SwiGLU."""

    def __init__(self, config: StackConfig) -> None:
        super().__init__()
        self.gate_up_proj = JoinedLinear(config.hidden, {"gate_proj": config.ffn, "up_proj": config.ffn})
        self.down_proj = Linear(config.ffn, config.hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up_proj(x).chunk(2, dim=-1)
        projected: Tensor = self.down_proj(functional.silu(gate).mul_(up))
        return projected


def _unmasked(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Attend to all of it. The queries that share a key head stand in line before it, so nothing is repeated.

    Args:
        queries: (B, heads, T, head_dim).
        keys, values: (B, kv_heads, L, head_dim).
    """
    batch, heads, count, width = queries.shape
    grouped = queries.reshape(batch, keys.size(1), -1, width)
    return functional.scaled_dot_product_attention(grouped, keys, values).view(batch, heads, count, width)


def _causal(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Attend to what is not later. The last query stands at the last key."""
    earlier = keys.size(2) - queries.size(2)
    if earlier == 0:
        return functional.scaled_dot_product_attention(queries, keys, values, is_causal=True, enable_gqa=True)
    mask = torch.ones(queries.size(2), keys.size(2), dtype=torch.bool, device=queries.device).tril(earlier)
    return functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask, enable_gqa=True)


def rotary_table(config: RopeConfig, head_dim: int, positions: int) -> Tensor:
    """Return cos and sin in float32, (2, positions, 1, head_dim). The sign of the turn is in the sin."""
    frequencies = 1.0 / (config.theta ** (torch.arange(0, head_dim, 2).float() / head_dim))
    factors = torch.tensor(config.factors, dtype=torch.float32)
    steps = torch.arange(positions, dtype=torch.float32)
    angles = torch.outer(steps, 1.0 / factors) * frequencies
    cos, sin = angles.cos() * config.scale, angles.sin() * config.scale
    return torch.stack((torch.cat((cos, cos), -1), torch.cat((-sin, sin), -1))).unsqueeze(2)


def rotated(x: Tensor, table: Tensor) -> Tensor:
    """Turn heads, (B, T, heads, head_dim), by a table of T positions. Computed in float32."""
    cos, sin = table
    wide = x.float()
    halves_swapped = wide.roll(x.size(-1) // 2, -1)
    turned: Tensor = (wide * cos).add_(halves_swapped.mul_(sin))
    return turned.to(x.dtype)
