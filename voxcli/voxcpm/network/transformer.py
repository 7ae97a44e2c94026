"""Transformer stack, used four times: text and residual language models, local encoder, local DiT."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from voxcli.voxcpm.kernels.ops import add_rms_norm, full_attention, rms_norm, silu_and_mul
from voxcli.voxcpm.network.block_matrix import BlockMatrix
from voxcli.voxcpm.network.config import RopeConfig, StackConfig
from voxcli.voxcpm.network.kv_cache import KVCacheView
from voxcli.voxcpm.network.linear import Linear

if TYPE_CHECKING:
    from voxcli.voxcpm.network.cpu_stack import CpuStack


class Stack(nn.Module):
    """Pre-norm blocks with grouped-query attention and a SwiGLU MLP, and a final norm.

    With a KV cache attention is causal and continues the cached positions; without one it is bidirectional.
    """

    def __init__(self, config: StackConfig) -> None:
        super().__init__()
        self.config = config
        blocks = [_Block(config, index) for index in range(config.layers)]
        self.layers = nn.ModuleList(blocks)
        self.norm = RMSNorm(config.hidden, config.norm_eps)
        # Each block ends with the first norm of the next one, because adding and normalizing are one fused operation.
        self._norms = [*(block.input_layernorm for block in blocks), self.norm]
        self._rotary: Tensor | None = None
        self._kernel: CpuStack | None = None

    def prepare(self, device: torch.device, positions: int) -> None:
        """Compute the rotary table, which is not in the checkpoint, for this number of positions."""
        if self.config.rope:
            self._rotary = rotary_table(self.config.rope, self.config.head_dim, positions).to(device)

    @property
    def rotary(self) -> Tensor | None:
        """The table of all positions, (2, positions, 1, head_dim)."""
        return self._rotary

    @property
    def kernel(self) -> "CpuStack | None":
        """The CPU kernel for the whole stack, if it is used."""
        return self._kernel

    def use_kernel(self, kept: Path | None) -> None:
        """Compile the CPU kernel for the whole stack, if the matrices are packed for it.

        Args:
            kept: folder of compiled code.
        """
        blocks = [layer for layer in self.layers if isinstance(layer, _Block)]
        matrices = [block.matrices() for block in blocks]
        if all(len(of_block) == _Block.PRODUCTS for of_block in matrices):
            from voxcli.voxcpm.network.cpu_stack import CpuStack  # loads a compiler

            norms = (norm for block in blocks for norm in (block.input_layernorm, block.post_attention_layernorm))
            self._kernel = CpuStack(self.config, matrices, [norm.weight for norm in (*norms, self.norm)], kept)

    def forward(self, x: Tensor, cache: KVCacheView | None = None) -> Tensor:
        """Map (B, T, hidden) to the same shape.

        Args:
            cache: of the B streams; the new keys and values are appended to it.
        """
        count, rotary = x.size(1), self._rotary
        if cache:
            cache.reserve(count)
        caches = cache.of_streams() if cache else ()
        if self._kernel and caches is not None:
            mapped = self._kernel(x, caches, rotary)
            if cache:
                cache.advance(count)
            return mapped
        if rotary is not None:
            rotary = cache.rotary(rotary, count) if cache else rotary[:, :count]
        normed: Tensor = self._norms[0](x)
        for layer, norm in zip(self.layers, self._norms[1:], strict=True):
            x, normed = layer(x, normed, norm, rotary, cache)
        if cache:
            cache.advance(count)
        return normed


class RMSNorm(nn.Module):
    """Root mean square norm, computed in float32."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return rms_norm(x, self.weight, self.eps)

    def of_sum(self, x: Tensor, update: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        """Return x + scale·update, and the norm of it."""
        return add_rms_norm(x, update, scale, self.weight, self.eps)


class JoinedLinear(Linear):
    """Several matrices with the same input stacked into one, since one large product is faster."""

    def __init__(self, in_features: int, parts: dict[str, int]) -> None:
        """
        Args:
            in_features: of all matrices.
            parts: number of rows of each matrix, by its name in the checkpoint.
        """
        super().__init__(in_features, sum(parts.values()), bias=False)
        self.parts = parts


class _Block(nn.Module):
    PRODUCTS = 4

    def __init__(self, config: StackConfig, index: int) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden, config.norm_eps)
        self.self_attn = _Attention(config, index)
        self.post_attention_layernorm = RMSNorm(config.hidden, config.norm_eps)
        self.mlp = _GatedMLP(config)
        self._scale = config.residual_scale

    def matrices(self) -> list[BlockMatrix]:
        """Return the matrices that are packed for the kernel, in the order in which they are multiplied with."""
        products = (self.self_attn.qkv_proj, self.self_attn.o_proj, self.mlp.gate_up_proj, self.mlp.down_proj)
        return [product.packed for product in products if isinstance(product.packed, BlockMatrix)]

    def forward(
        self, x: Tensor, normed: Tensor, next_norm: RMSNorm, rotary: Tensor | None, cache: KVCacheView | None
    ) -> tuple[Tensor, Tensor]:
        """Map the residual stream and its norm, (B, T, hidden) each, to those of the next block."""
        x, normed = self.post_attention_layernorm.of_sum(x, self.self_attn(normed, rotary, cache), self._scale)
        return next_norm.of_sum(x, self.mlp(normed), self._scale)


class _Attention(nn.Module):
    """Grouped-query attention."""

    def __init__(self, config: StackConfig, index: int) -> None:
        super().__init__()
        self._queries, self._head_dim = config.heads, config.head_dim
        self._index = index
        wide, narrow = config.heads * config.head_dim, config.kv_heads * config.head_dim
        self.qkv_proj = JoinedLinear(config.hidden, {"q_proj": wide, "k_proj": narrow, "v_proj": narrow})
        self.o_proj = Linear(config.heads * config.head_dim, config.hidden, bias=False)

    def forward(self, x: Tensor, rotary: Tensor | None, cache: KVCacheView | None) -> Tensor:
        heads = self.qkv_proj(x).view(x.size(0), x.size(1), -1, self._head_dim)
        if cache:
            mixed = cache.attend(self._index, heads, rotary, self._queries)
        else:
            mixed = full_attention(heads, rotary, self._queries)
        projected: Tensor = self.o_proj(mixed)
        return projected


class _GatedMLP(nn.Module):
    """SwiGLU."""

    def __init__(self, config: StackConfig) -> None:
        super().__init__()
        self.gate_up_proj = JoinedLinear(config.hidden, {"gate_proj": config.ffn, "up_proj": config.ffn})
        self.down_proj = Linear(config.ffn, config.hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        projected: Tensor = self.down_proj(silu_and_mul(self.gate_up_proj(x)))
        return projected


def rotary_table(config: RopeConfig, head_dim: int, positions: int) -> Tensor:
    """Return cos and sin in float32, (2, positions, 1, head_dim). The first half of sin is negated."""
    frequencies = 1.0 / (config.theta ** (torch.arange(0, head_dim, 2).float() / head_dim))
    factors = torch.tensor(config.factors, dtype=torch.float32)
    steps = torch.arange(positions, dtype=torch.float32)
    angles = torch.outer(steps, 1.0 / factors) * frequencies
    cos, sin = angles.cos() * config.scale, angles.sin() * config.scale
    return torch.stack((torch.cat((cos, cos), -1), torch.cat((-sin, sin), -1))).unsqueeze(2)
