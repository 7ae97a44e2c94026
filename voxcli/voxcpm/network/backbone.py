"""The wiring of the network: read a sequence, then make one patch of latents after another.

Tokenizer, files and samples are not known here. All that changes from stream to stream is in `LMState`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from voxcli.voxcpm.network.config import Architecture, ModelConfig, StackConfig
from voxcli.voxcpm.network.kv_cache import JoinedCaches, KVCache, Memory
from voxcli.voxcpm.network.linear import Linear
from voxcli.voxcpm.network.local_dit import Condition, LocalDiT, new_time_grid, solve_euler
from voxcli.voxcpm.network.sequence import AudioSegment, Segment, Sequence, TextSegment
from voxcli.voxcpm.network.transformer import Stack


class LocalEncoder(nn.Module):
    """Reads the frames of a patch together with a token of its own, and answers with that token."""

    def __init__(self, config: StackConfig, latent_dim: int) -> None:
        super().__init__()
        self.special_token = nn.Parameter(torch.empty(1, 1, 1, config.hidden))
        self.in_proj = Linear(latent_dim, config.hidden)
        self.encoder = Stack(config)

    def forward(self, patches: Tensor) -> Tensor:
        """Map patches, (N, P, D), to (N, hidden)."""
        frames = self.in_proj(patches)
        token = self.special_token[0].expand(len(patches), 1, -1)
        encoded: Tensor = self.encoder(torch.cat((token, frames), 1))
        return encoded[:, 0]


@dataclass(slots=True, eq=False)
class LMState:
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


@dataclass(slots=True, eq=False)
class Batch:
    """Where streams stand that make one step together: as `LMState`, with B rows."""

    base_memory: Memory
    residual_memory: Memory
    base: Tensor
    residual: Tensor
    previous: Tensor

    @classmethod
    def of(cls, states: list[LMState]) -> "Batch":
        return cls(
            JoinedCaches(state.base_cache for state in states),
            JoinedCaches(state.residual_cache for state in states),
            torch.cat([state.base for state in states]),
            torch.cat([state.residual for state in states]),
            torch.cat([state.previous for state in states]),
        )

    def part(self, states: list[LMState]) -> None:
        """Let each stream know where it stands now. Their caches do so already."""
        for row, state in enumerate(states):
            mine = slice(row, row + 1)
            state.base, state.residual, state.previous = self.base[mine], self.residual[mine], self.previous[mine]


@dataclass(frozen=True, slots=True, eq=False)
class Solver:
    """How the flow of B rows is solved: when it is evaluated, how far that carries, how much the guides count."""

    times: Tensor
    """(evaluations, B, hidden): what the local DiT makes of the points of time."""
    spans: Tensor
    """(evaluations, B)."""
    guidance: Tensor
    """(B,), in float32."""

    @classmethod
    def of(cls, solvers: list["Solver"]) -> "Solver":
        """Join rows. Those that need fewer evaluations than others stand still at the end."""
        longest = max(len(solver.spans) for solver in solvers)
        times = [_padded(solver.times, longest) for solver in solvers]
        spans = [_padded(solver.spans, longest) for solver in solvers]
        return cls(torch.cat(times, 1), torch.cat(spans, 1), torch.cat([solver.guidance for solver in solvers]))


class Backbone(nn.Module):
    """The network without its codec."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self._v2 = config.architecture is Architecture.V2
        hidden, dit = config.base_lm.hidden, config.local_dit.hidden
        # Of a tensor, for else it draws numbers, for which torch loads a compiler where there is no memory to fill.
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
        if steps not in self._grids:
            grid = new_time_grid(steps, self.device, self.dtype)
            times = self.feat_decoder.embed_times(grid.times, grid.spans)
            self._grids[steps] = times.unsqueeze(1), grid.spans.unsqueeze(1)
        return Solver(*self._grids[steps], torch.full((1,), guidance, dtype=torch.float32, device=self.device))

    def hear(self, patches: Tensor) -> AudioSegment:
        """Take in speech, (N, P, D), that is to be read in one sequence or in many."""
        return AudioSegment(patches, self._encode(patches))

    def prefill(self, sequence: Sequence, begun: LMState | None = None) -> LMState:
        """Read a sequence, and stand before its first new patch.

        Args:
            begun: where another sequence has led to, which this one goes on from. It stays as it is.
        """
        base_cache = begun.base_cache.copy() if begun else self._new_cache(self.base_lm)
        residual_cache = begun.residual_cache.copy() if begun else self._new_cache(self.residual_lm)
        base, residual = self.read(*self.embed(sequence), base_cache, residual_cache)
        return LMState(base_cache, residual_cache, base[-1:], residual[-1:], self.last_patch(sequence))

    def embed(self, sequence: Sequence) -> tuple[Tensor, Tensor | None]:
        """Return what the language models read, (T, hidden), and where it is speech, (T, 1); None if it is nowhere."""
        embedded = torch.cat([self._embed(segment) for segment in sequence])
        spoken = [isinstance(segment, AudioSegment) for segment in sequence]
        if not any(spoken):
            return embedded, None
        lengths = torch.tensor([len(segment) for segment in sequence])
        return embedded, self._sent(torch.tensor(spoken).repeat_interleave(lengths).unsqueeze(1))

    def read(
        self, embedded: Tensor, is_speech: Tensor | None, base_memory: Memory, residual_memory: Memory
    ) -> tuple[Tensor, Tensor]:
        """Have both language models read what `embed` returns, and return what each says at every position."""
        base = self.base_lm(embedded.unsqueeze(0), base_memory)[0]
        speech = torch.zeros_like(embedded)
        if is_speech is not None:
            base = torch.where(is_speech, self.fsq_layer(base), base)
            speech = torch.where(is_speech, embedded, speech)
        return base, self.residual_lm(self._fused(base, speech).unsqueeze(0), residual_memory)[0]

    def last_patch(self, sequence: Sequence) -> Tensor:
        """Return the patch that the first new one follows, (1, P, D): silence if it is not speech."""
        if isinstance(sequence[-1], AudioSegment):
            return sequence[-1].patches[-1:]
        shape = (1, self.config.patch_size, self.config.latent_dim)
        return torch.zeros(shape, device=self.device, dtype=self.dtype)

    def wants_to_stop(self, base: Tensor) -> Tensor:
        """Tell from what the text language model said, (B, hidden), whether the next patch shall be the last, (B,)."""
        logits: Tensor = self.stop_head(functional.silu(self.stop_proj(base)))
        return logits.argmax(-1) == 1

    def next_patches(self, batch: Batch, noise: Tensor, solver: Solver) -> Tensor:
        """Make the next patch of each row, (B, P, D), from noise of that shape. The batch stays as it is."""
        guides = self._guides(batch)
        previous = self.feat_decoder.embed_previous(batch.previous)
        # The second half of the rows does not know the guides.
        condition = Condition(torch.cat((guides, torch.zeros_like(guides))), previous.repeat(2, 1, 1))
        times = solver.times.repeat(1, 2, 1).unsqueeze(2)

        def velocity(x: Tensor, number: int) -> Tensor:
            towards: Tensor = self.feat_decoder(x, condition, times[number])
            return towards

        return solve_euler(velocity, noise, solver.spans, solver.guidance)

    def advance(self, batch: Batch, patches: Tensor) -> None:
        """Hear the patches that were made, (B, P, D), and go on to the next position."""
        heard = self._encode(patches).unsqueeze(1)
        base = self.fsq_layer(self.base_lm(heard, batch.base_memory))
        residual = self.residual_lm(self._fused(base, heard), batch.residual_memory)
        batch.base, batch.residual, batch.previous = base[:, 0], residual[:, 0], patches

    def _embed(self, segment: Segment) -> Tensor:
        if isinstance(segment, TextSegment):
            ids = self._sent(torch.tensor(segment.ids))
            embedded: Tensor = self.embed_tokens(ids)
            return embedded * self.config.embedding_scale
        return segment.embeddings

    def _sent(self, tensor: Tensor) -> Tensor:
        """Send something to the device, without waiting for what that is doing."""
        return (
            tensor.pin_memory().to(self.device, non_blocking=True)
            if self.device.type == "cuda"
            else tensor.to(self.device)
        )

    def _encode(self, patches: Tensor) -> Tensor:
        encoded: Tensor = self.enc_to_lm_proj(self.feat_encoder(patches))
        return encoded

    def _fused(self, base: Tensor, speech: Tensor) -> Tensor:
        """Join what the text language model says with what was heard, (..., hidden) each."""
        if not self._v2:
            return base + speech
        fused: Tensor = self.fusion_concat_proj(torch.cat((base, speech), -1))
        return fused

    def _guides(self, batch: Batch) -> Tensor:
        base, residual = self.lm_to_dit_proj(batch.base), self.res_to_dit_proj(batch.residual)
        return torch.stack((base, residual), 1) if self._v2 else (base + residual).unsqueeze(1)

    def _new_cache(self, stack: Stack) -> KVCache:
        return KVCache(stack.config, self.config.max_length, self.device, self.dtype)


class _ScalarQuantizer(nn.Module):
    """Rounds to a grid in a narrower space (finite scalar quantization, arXiv 2309.15505)."""

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


def _padded(evaluations: Tensor, count: int) -> Tensor:
    missing = count - len(evaluations)
    return torch.cat((evaluations, evaluations.new_zeros(missing, *evaluations.shape[1:]))) if missing else evaluations
