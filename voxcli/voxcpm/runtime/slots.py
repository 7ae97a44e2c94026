"""The memory of all streams on one device, in tensors that stay where they are: a row for each, and room to spare."""

import torch
from torch import Tensor

from voxcli.synthesis.request import MOST_STEPS
from voxcli.voxcpm.codec.audio_vae import AudioVAE, DecoderState
from voxcli.voxcpm.network.backbone import Backbone, Batch, Solver
from voxcli.voxcpm.network.config import ModelConfig
from voxcli.voxcpm.network.kv_cache import SlotCache
from voxcli.voxcpm.runtime.stream_state import StreamState, as_latents


class Slots:
    """What a step reads and writes. Rows that nobody sits in may be computed with; what comes of it means nothing."""

    def __init__(self, backbone: Backbone, codec: AudioVAE, count: int) -> None:
        config, device, dtype = backbone.config, backbone.device, backbone.dtype

        def room(*shape: int, dtype: torch.dtype = dtype) -> Tensor:
            return torch.zeros(*shape, device=device, dtype=dtype)

        patch = (config.patch_size, config.latent_dim)
        self._backbone, self._codec = backbone, codec
        self._last = config.max_length - 1
        self.lengths = room(count, dtype=torch.int64)
        """Positions filled."""
        self._base_cache = SlotCache(config.base_lm, config.max_length, self.lengths, dtype)
        self._residual_cache = SlotCache(config.residual_lm, config.max_length, self.lengths, dtype)
        self._base, self._residual = room(count, config.base_lm.hidden), room(count, config.residual_lm.hidden)
        self._previous = room(count, *patch)
        self._times = room(MOST_STEPS, count, config.local_dit.hidden)
        self._spans = room(MOST_STEPS, count)
        self._guidance = room(count, dtype=torch.float32)
        self._heard = codec.new_decoder_state(count)
        self._latents = room(count, config.latent_dim, config.patch_size, dtype=torch.float32)
        self.noise = room(count, *patch)
        """What the next patches are made from. The caller fills it in."""
        self.patches = room(count, *patch)
        self.stops = room(count, dtype=torch.bool)
        """Whether these patches shall be the last."""
        self.samples = room(count, config.patch_samples, dtype=torch.float32)

    @property
    def state(self) -> tuple[Tensor, ...]:
        """All that a step changes in place. Keys and values of a position that is not counted yet count for nothing."""
        return (self.lengths, self._base, self._residual, self._previous, self.patches, *self._heard.histories)

    def make(self, rows: int, evaluations: int) -> None:
        """Make the patches of the first rows from their noise."""
        batch = self._batch(rows)
        solver = Solver(self._times[:evaluations, :rows], self._spans[:evaluations, :rows], self._guidance[:rows])
        self.stops[:rows] = self._backbone.wants_to_stop(batch.base)
        self.patches[:rows] = self._backbone.next_patches(batch, self.noise[:rows], solver)

    def take_patches(self, rows: int) -> None:
        """Put patches aside for `decode`, so that the next ones may be made meanwhile."""
        self._latents[:rows] = as_latents(self.patches[:rows])

    def decode(self, rows: int) -> None:
        """Turn the patches that were taken into samples."""
        heard = DecoderState(tuple(history[:rows] for history in self._heard.histories))
        self.samples[:rows] = self._codec.decode(self._latents[:rows], heard)

    def advance(self, rows: int) -> None:
        """Hear the patches, and go on to the next position."""
        batch = self._batch(rows)
        self._backbone.advance(batch, self.patches[:rows])
        self._base[:rows], self._residual[:rows] = batch.base, batch.residual
        self._previous[:rows] = batch.previous
        # A row that nobody sits in, or that has made its last patch, must not run out of its room.
        self.lengths[:rows] = (self.lengths[:rows] + 1).clamp(max=self._last)

    def load_slot(self, row: int, place: StreamState) -> None:
        """Give a row to a stream that stands before its next patch."""
        state, solver = place.state, place.solver
        self._base_cache.load_slot(row, state.base_cache)
        self._residual_cache.load_slot(row, state.residual_cache)
        self.lengths[row] = min(state.length, self._last)
        self._base[row], self._residual[row] = state.base[0], state.residual[0]
        self._previous[row] = state.previous[0]
        self._times[: len(solver.times), row] = solver.times[:, 0]
        self._spans[: len(solver.spans), row], self._spans[len(solver.spans) :, row] = solver.spans[:, 0], 0
        self._guidance[row] = solver.guidance[0]
        for history, heard in zip(self._heard.histories, place.heard.histories, strict=True):
            history[row] = heard[0]

    def move_slot(self, source: int, target: int, length: int) -> None:
        """Put a stream that has filled so many positions into another row."""
        self._base_cache.move_slot(source, target, length)
        self._residual_cache.move_slot(source, target, length)
        rows = (self.lengths, self._base, self._residual, self._previous, self._guidance, *self._heard.histories)
        for tensor in (*rows, self._times.transpose(0, 1), self._spans.T):
            tensor[target] = tensor[source]

    def _batch(self, rows: int) -> Batch:
        return Batch(
            self._base_cache, self._residual_cache, self._base[:rows], self._residual[:rows], self._previous[:rows]
        )


def bytes_per_slot(config: ModelConfig, codec: AudioVAE, dtype: torch.dtype) -> int:
    """Count the memory that one stream takes of a device, however much it says."""
    stacks = (config.base_lm, config.residual_lm)
    per_position = sum(2 * stack.layers * stack.kv_heads * stack.head_dim for stack in stacks)
    times = MOST_STEPS * config.local_dit.hidden
    histories = sum(history.numel() for history in codec.new_decoder_state(1).histories)
    return dtype.itemsize * (config.max_length * per_position + times) + 4 * (histories + config.patch_samples)
