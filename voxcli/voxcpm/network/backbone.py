"""Backbone: language models, local encoder and local DiT, wired to prefill a sequence and generate patches of latents.

Everything that differs between streams is in `LMState`, so the modules hold weights only. Shapes: B streams, T
positions, P latent frames a patch, D values a frame, N patches.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from voxcli.voxcpm.network.config import Architecture, ModelConfig, StackConfig
from voxcli.voxcpm.network.kv_cache import JoinedCaches, KVCache, KVCacheView
from voxcli.voxcpm.network.linear import Linear
from voxcli.voxcpm.network.local_dit import Condition, LocalDiT, Solver, new_time_grid
from voxcli.voxcpm.network.sequence import AudioSegment, Segment, Sequence, TextSegment
from voxcli.voxcpm.network.transformer import Stack


class LocalEncoder(nn.Module):
    """Encodes a patch into one vector: the output of a special token in front of its frames."""

    def __init__(self, config: StackConfig, latent_dim: int) -> None:
        super().__init__()
        self.special_token = nn.Parameter(torch.empty(1, 1, 1, config.hidden))
        self.in_proj = Linear(latent_dim, config.hidden)
        self.encoder = Stack(config)

    def forward(self, patches: Tensor) -> Tensor:
        """Encode patches, (N, P, D), as (N, hidden)."""
        frames = self.in_proj(patches)
        token = self.special_token[0].expand(len(patches), 1, -1)
        encoded: Tensor = self.encoder(torch.cat((token, frames), 1))
        return encoded[:, 0]


@dataclass(slots=True, eq=False)
class LMState:
    """Where one stream stands."""

    base_cache: KVCache
    residual_cache: KVCache
    base_hidden: Tensor
    """(1, hidden): last hidden state of the text language model."""
    residual_hidden: Tensor
    """(1, hidden): last hidden state of the residual language model."""
    previous: Tensor
    """(1, P, D): the previous patch."""

    @property
    def length(self) -> int:
        """Positions filled."""
        return self.base_cache.length


@dataclass(slots=True, eq=False)
class Batch:
    """The states of B streams that make one step together."""

    base_kv: KVCacheView
    residual_kv: KVCacheView
    base_hidden: Tensor
    """(B, hidden)."""
    residual_hidden: Tensor
    """(B, hidden)."""
    previous: Tensor
    """(B, P, D)."""

    @classmethod
    def of(cls, states: list[LMState]) -> "Batch":
        return cls(
            JoinedCaches(state.base_cache for state in states),
            JoinedCaches(state.residual_cache for state in states),
            torch.cat([state.base_hidden for state in states]),
            torch.cat([state.residual_hidden for state in states]),
            torch.cat([state.previous for state in states]),
        )

    def write_back(self, states: list[LMState]) -> None:
        """Copy each row to the state of its stream, whose caches are up to date already."""
        for row, state in enumerate(states):
            own = slice(row, row + 1)
            state.base_hidden, state.residual_hidden = self.base_hidden[own], self.residual_hidden[own]
            state.previous = self.previous[own]


class Backbone(nn.Module):
    """The network without its codec."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self._v2 = config.architecture is Architecture.V2
        hidden, dit = config.base_lm.hidden, config.local_dit.hidden
        # From a tensor: initializing random weights on the meta device would make torch import its compiler.
        self.embed_tokens: nn.Embedding = nn.Embedding.from_pretrained(torch.empty(config.vocabulary, hidden))
        self.base_lm = Stack(config.base_lm)
        self.residual_lm = Stack(config.residual_lm)
        self.feat_encoder = LocalEncoder(config.local_encoder, config.latent_dim)
        self.feat_decoder = LocalDiT(
            config.local_dit, config.latent_dim, time_is_a_token=self._v2, mean_mode=config.dit_mean_mode
        )
        self.fsq_layer = _ScalarQuantizer(hidden, config.fsq_dim, config.fsq_scale)
        self.enc_to_lm_proj = Linear(config.local_encoder.hidden, hidden)
        self.lm_to_dit_proj = Linear(hidden, dit)
        self.res_to_dit_proj = Linear(hidden, dit)
        if self._v2:
            self.fusion_concat_proj = Linear(2 * hidden, hidden)
        self.stop_proj = Linear(hidden, hidden)
        self.stop_head = Linear(hidden, 2, bias=False)
        self._grids: dict[int, tuple[Tensor, Tensor]] = {}

    @property
    def device(self) -> torch.device:
        return self.embed_tokens.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Of weights and activations."""
        return self.embed_tokens.weight.dtype

    def use_kernels(self, kept: Path | None) -> None:
        """Compile the CPU kernels that the packed matrices are for.

        Args:
            kept: folder of compiled code.
        """
        for part in (self.base_lm, self.residual_lm, self.feat_encoder.encoder, self.feat_decoder):
            part.use_kernel(kept)

    def prepare(self) -> None:
        """Compute the tables that are not in the checkpoint. Call it once, after loading."""
        patch = self.config.patch_size
        for stack, positions in (
            (self.base_lm, self.config.max_length),
            (self.residual_lm, self.config.max_length),
            (self.feat_encoder.encoder, 1 + patch),
            (self.feat_decoder.decoder, 3 + 2 * patch),
        ):
            stack.prepare(self.device, positions)

    def new_solver(self, steps: int, guidance: float) -> Solver:
        """Return the settings of one stream: number of solver steps, and scale of classifier-free guidance."""
        if steps not in self._grids:
            grid = new_time_grid(steps, self.device, self.dtype)
            times = self.feat_decoder.embed_times(grid.times, grid.spans)
            self._grids[steps] = times.unsqueeze(1), grid.spans.unsqueeze(1)
        return Solver(*self._grids[steps], torch.full((1,), guidance, dtype=torch.float32, device=self.device))

    def encode_patches(self, patches: Tensor) -> AudioSegment:
        """Encode a clip, (N, P, D), for use in any number of sequences."""
        return AudioSegment(patches, self._encode(patches))

    def prefill(self, sequence: Sequence, begun: LMState | None = None) -> LMState:
        """Run the language models over a sequence.

        Args:
            begun: the state after a prefix that the sequence continues. It is not modified.

        Returns:
            The state before the first generated patch.
        """
        base_cache = begun.base_cache.copy() if begun else self._new_cache(self.base_lm)
        residual_cache = begun.residual_cache.copy() if begun else self._new_cache(self.residual_lm)
        embedded, is_speech = self.embed(sequence)
        base, residual = self.forward_lms(embedded.unsqueeze(0), is_speech, base_cache, residual_cache)
        return LMState(base_cache, residual_cache, base[:, -1], residual[:, -1], self.last_patch(sequence))

    def embed(self, sequence: Sequence) -> tuple[Tensor, Tensor | None]:
        """Return input embeddings, (T, hidden), and a mask of the speech positions, (T, 1), or None without any."""
        embedded = torch.cat([self._embed(segment) for segment in sequence])
        spoken = [isinstance(segment, AudioSegment) for segment in sequence]
        if not any(spoken):
            return embedded, None
        lengths = torch.tensor([len(segment) for segment in sequence])
        return embedded, to_device(torch.tensor(spoken).repeat_interleave(lengths).unsqueeze(1), self.device)

    def forward_lms(
        self, embedded: Tensor, is_speech: Tensor | None, base_kv: KVCacheView, residual_kv: KVCacheView
    ) -> tuple[Tensor, Tensor]:
        """Run both language models over sequences, and append their keys and values to their caches.

        Args:
            embedded: (B, T, hidden), from `embed`.
            is_speech: (T, 1) from `embed`, or (B, T, 1).

        Returns:
            Hidden states of the text and of the residual language model, (B, T, hidden) each.
        """
        base = self.base_lm(embedded, base_kv)
        speech = torch.zeros_like(embedded)
        if is_speech is not None:
            base = torch.where(is_speech, self.fsq_layer(base), base)
            speech = torch.where(is_speech, embedded, speech)
        return base, self.residual_lm(self._fused(base, speech), residual_kv)

    def last_patch(self, sequence: Sequence) -> Tensor:
        """Return the patch before the first generated one, (1, P, D): zeros if the sequence ends with text."""
        if isinstance(sequence[-1], AudioSegment):
            return sequence[-1].patches[-1:]
        shape = (1, self.config.patch_size, self.config.latent_dim)
        return torch.zeros(shape, device=self.device, dtype=self.dtype)

    def wants_to_stop(self, base_hidden: Tensor) -> Tensor:
        """Predict whether the next patch is the last, (B,), from the text model's hidden states, (B, hidden)."""
        logits: Tensor = self.stop_head(functional.silu(self.stop_proj(base_hidden)))
        return logits.argmax(-1) == 1

    def next_patches(self, batch: Batch, noise: Tensor, solver: Solver) -> Tensor:
        """Generate the next patch of each row, (B, P, D), from noise of that shape, without modifying the batch."""
        condition = self.new_condition(len(noise))
        self.set_condition(condition, batch)
        return self.feat_decoder.solve(noise, condition, solver)

    def new_condition(self, batch: int) -> Condition:
        """Return the memory for the condition of a batch of patches."""
        return self.feat_decoder.new_condition(batch, self.config.patch_size, self.embed_tokens.weight)

    def set_condition(self, condition: Condition, batch: Batch) -> None:
        """Write what the next patch of each row depends on: hidden states and the previous patch."""
        self.feat_decoder.set_condition(condition, self._dit_conditioning(batch), batch.previous)

    def advance(self, batch: Batch, patches: Tensor) -> None:
        """Run the language models over the generated patches, (B, P, D), one position further."""
        embedded = self._encode(patches).unsqueeze(1)
        base = self.fsq_layer(self.base_lm(embedded, batch.base_kv))
        residual = self.residual_lm(self._fused(base, embedded), batch.residual_kv)
        batch.base_hidden, batch.residual_hidden, batch.previous = base[:, 0], residual[:, 0], patches

    def embed_ids(self, ids: Tensor) -> Tensor:
        """Embed text ids, (...), as (..., hidden)."""
        embedded: Tensor = self.embed_tokens(ids)
        return embedded * self.config.embedding_scale

    def _embed(self, segment: Segment) -> Tensor:
        if isinstance(segment, TextSegment):
            return self.embed_ids(to_device(torch.tensor(segment.ids), self.device))
        return segment.embeddings

    def _encode(self, patches: Tensor) -> Tensor:
        encoded: Tensor = self.enc_to_lm_proj(self.feat_encoder(patches))
        return encoded

    def _fused(self, base: Tensor, speech: Tensor) -> Tensor:
        """Combine hidden states of the text model with embedded speech, (..., hidden) each."""
        if not self._v2:
            return base + speech
        fused: Tensor = self.fusion_concat_proj(torch.cat((base, speech), -1))
        return fused

    def _dit_conditioning(self, batch: Batch) -> Tensor:
        """Project the hidden states for the local DiT: (B, 2, hidden) in VoxCPM2, (B, 1, hidden) before."""
        base, residual = self.lm_to_dit_proj(batch.base_hidden), self.res_to_dit_proj(batch.residual_hidden)
        return torch.stack((base, residual), 1) if self._v2 else (base + residual).unsqueeze(1)

    def _new_cache(self, stack: Stack) -> KVCache:
        return KVCache(stack.config, self.config.max_length, self.device, self.dtype)


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a new tensor of the host to a device without waiting for it."""
    return (tensor.pin_memory() if device.type == "cuda" else tensor).to(device, non_blocking=True)


class _ScalarQuantizer(nn.Module):
    """Finite scalar quantization (arXiv 2309.15505): rounds to a grid in a narrower space."""

    def __init__(self, width: int, narrow: int, scale: int) -> None:
        super().__init__()
        self.in_proj = Linear(width, narrow)
        self.out_proj = Linear(narrow, width)
        self._scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., width) to the same shape."""
        rounded = torch.round(torch.tanh(self.in_proj(x)) * self._scale) / self._scale
        widened: Tensor = self.out_proj(rounded)
        return widened
