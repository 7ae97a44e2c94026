"""The wiring of the network: read a sequence, then make one patch of latents after another.

Tokenizer, files and samples are not known here. All that changes from stream to stream is in `StreamState`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from voxcli.voxcpm.config import Architecture, ModelConfig
from voxcli.voxcpm.flow import TimeGrid, new_time_grid, solve_euler
from voxcli.voxcpm.kv_cache import KVCache
from voxcli.voxcpm.linear import Linear
from voxcli.voxcpm.local_dit import Condition, LocalDiT
from voxcli.voxcpm.local_encoder import LocalEncoder
from voxcli.voxcpm.sequence import AudioSegment, Segment, Sequence, TextSegment
from voxcli.voxcpm.transformer import Stack


@dataclass(slots=True, eq=False)
class StreamState:
    """Where one stream stands."""

    base_cache: KVCache
    residual_cache: KVCache
    base: Tensor
    """(1, hidden): what the text language model said last."""
    residual: Tensor
    """(1, hidden): what the residual language model said last."""
    previous: Tensor
    """(1, P, D): the patch before."""

    @property
    def length(self) -> int:
        """Positions filled."""
        return self.base_cache.length


@dataclass(frozen=True, slots=True, eq=False)
class Solver:
    """How the flow is solved: a grid of times, and what the local DiT makes of them."""

    grid: TimeGrid
    times: Tensor
    """(evaluations, hidden)."""
    guidance: float


class Backbone(nn.Module):
    """The network without its codec."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self._v2 = config.architecture is Architecture.V2
        hidden, dit = config.base_lm.hidden, config.local_dit.hidden
        self.embed_tokens = nn.Embedding(config.vocabulary, hidden)
        self.base_lm = Stack(config.base_lm)
        self.residual_lm = Stack(config.residual_lm)
        self.feat_encoder = LocalEncoder(config.local_encoder, config.latent_dim)
        self.feat_decoder = LocalDiT(config.local_dit, config.latent_dim, time_is_a_token=self._v2)
        self.fsq_layer = _ScalarQuantizer(hidden, config.fsq_dim, config.fsq_scale)
        self.enc_to_lm_proj = Linear(config.local_encoder.hidden, hidden)
        self.lm_to_dit_proj = Linear(hidden, dit)
        self.res_to_dit_proj = Linear(hidden, dit)
        if self._v2:
            self.fusion_concat_proj = Linear(2 * hidden, hidden)
        self.stop_proj = Linear(hidden, hidden)
        self.stop_head = Linear(hidden, 2, bias=False)

    @property
    def device(self) -> torch.device:
        return self.embed_tokens.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Of the activations."""
        return self.embed_tokens.weight.dtype

    def prepare(self) -> None:
        """Derive the tables that are not in the checkpoint. Call it once, after loading."""
        patch = self.config.patch_size
        for stack, positions in (
            (self.base_lm, self.config.max_length),
            (self.residual_lm, self.config.max_length),
            (self.feat_encoder.encoder, 1 + patch),
            (self.feat_decoder.decoder, 3 + 2 * patch),
        ):
            stack.prepare(self.device, positions)

    def new_solver(self, steps: int, guidance: float) -> Solver:
        grid = new_time_grid(steps, self.device, self.dtype)
        return Solver(grid, self.feat_decoder.embed_times(grid.times), guidance)

    def hear(self, patches: Tensor) -> AudioSegment:
        """Take in speech, (N, P, D), that is to be read in one sequence or in many."""
        return AudioSegment(patches, self._encode(patches))

    def prefill(self, sequence: Sequence, begun: StreamState | None = None) -> StreamState:
        """Read a sequence, and stand before its first new patch.

        Args:
            begun: where another sequence has led to, which this one goes on from. It stays as it is.
        """
        embedded = [self._embed(segment) for segment in sequence]
        base_cache = begun.base_cache.copy() if begun else self._new_cache(self.base_lm)
        residual_cache = begun.residual_cache.copy() if begun else self._new_cache(self.residual_lm)
        heard = self.base_lm(torch.cat(embedded, 0).unsqueeze(0), base_cache)[0]
        heard_by_segment = heard.split([len(segment) for segment in sequence])
        spoken, audio = [], []
        for segment, said, embedding in zip(sequence, heard_by_segment, embedded, strict=True):
            is_audio = isinstance(segment, AudioSegment)
            spoken.append(self.fsq_layer(said) if is_audio else said)
            audio.append(embedding if is_audio else torch.zeros_like(embedding))
        base = torch.cat(spoken, 0)
        residual = self.residual_lm(self._fused(base, torch.cat(audio, 0)).unsqueeze(0), residual_cache)[0]
        return StreamState(base_cache, residual_cache, base[-1:], residual[-1:], self._last_patch(sequence[-1]))

    def wants_to_stop(self, state: StreamState) -> Tensor:
        """Tell whether the next patch shall be the last, as a tensor of one truth."""
        logits: Tensor = self.stop_head(functional.silu(self.stop_proj(state.base)))
        return logits.argmax(-1) == 1

    def next_patch(self, state: StreamState, noise: Tensor, solver: Solver) -> Tensor:
        """Make the next patch, (1, P, D), from noise of that shape. The state stays as it is."""
        guides = self._guides(state)
        previous = self.feat_decoder.embed_previous(state.previous)
        # The second row does not know the guides.
        condition = Condition(torch.cat((guides, torch.zeros_like(guides))), previous.expand(2, -1, -1))

        def velocity(x: Tensor, number: int) -> tuple[Tensor, Tensor]:
            both = self.feat_decoder(x.expand(2, -1, -1), condition, solver.times[number])
            return both[:1], both[1:]

        return solve_euler(velocity, noise, solver.grid, solver.guidance)

    def advance(self, state: StreamState, patch: Tensor) -> None:
        """Hear a patch, (1, P, D), that was made, and go on to the next position."""
        heard = self._encode(patch)
        state.base = self.fsq_layer(self.base_lm(heard.unsqueeze(0), state.base_cache)[0])
        state.residual = self.residual_lm(self._fused(state.base, heard).unsqueeze(0), state.residual_cache)[0]
        state.previous = patch

    def _embed(self, segment: Segment) -> Tensor:
        if isinstance(segment, TextSegment):
            ids = torch.tensor(segment.ids, device=self.device)
            embedded: Tensor = self.embed_tokens(ids)
            return embedded * self.config.embedding_scale
        return segment.heard

    def _encode(self, patches: Tensor) -> Tensor:
        encoded: Tensor = self.enc_to_lm_proj(self.feat_encoder(patches))
        return encoded

    def _fused(self, base: Tensor, audio: Tensor) -> Tensor:
        """Join what the text language model says with what was heard, (T, hidden) each."""
        if not self._v2:
            return base + audio
        fused: Tensor = self.fusion_concat_proj(torch.cat((base, audio), -1))
        return fused

    def _guides(self, state: StreamState) -> Tensor:
        base, residual = self.lm_to_dit_proj(state.base), self.res_to_dit_proj(state.residual)
        return torch.stack((base, residual), 1) if self._v2 else (base + residual).unsqueeze(1)

    def _new_cache(self, stack: Stack) -> KVCache:
        return KVCache(stack.config, self.config.max_length, self.device, self.dtype)

    def _last_patch(self, segment: Segment) -> Tensor:
        if isinstance(segment, AudioSegment):
            return segment.patches[-1:]
        shape = (1, self.config.patch_size, self.config.latent_dim)
        return torch.zeros(shape, device=self.device, dtype=self.dtype)


class _ScalarQuantizer(nn.Module):
    """Rounds to a grid in a narrower space (finite scalar quantization, arXiv 2309.15505)."""

    def __init__(self, width: int, narrow: int, scale: int) -> None:
        super().__init__()
        self.in_proj = Linear(width, narrow)
        self.out_proj = Linear(narrow, width)
        self._scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """Map (T, width) to the same shape."""
        rounded = torch.round(torch.tanh(self.in_proj(x)) * self._scale) / self._scale
        widened: Tensor = self.out_proj(rounded)
        return widened
