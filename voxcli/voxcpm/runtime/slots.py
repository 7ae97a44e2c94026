"""Slots: static tensors that hold the state of all streams on a device, one batch row per stream."""

import torch
from torch import Tensor

from voxcli.synthesis.request import MOST_STEPS
from voxcli.voxcpm.codec.audio_vae import AudioVAE, DecoderState
from voxcli.voxcpm.network.backbone import Backbone, Batch, Solver
from voxcli.voxcpm.network.config import ModelConfig
from voxcli.voxcpm.network.kv_cache import SlotCache
from voxcli.voxcpm.runtime.stream_state import StreamState, as_latents


class Slots:
    """Everything that a step reads and writes. Unused rows are padding: computed with the batch, result ignored."""

    def __init__(self, backbone: Backbone, codec: AudioVAE, count: int) -> None:
        config, device, dtype = backbone.config, backbone.device, backbone.dtype

        def zeros(*shape: int, dtype: torch.dtype = dtype) -> Tensor:
            return torch.zeros(*shape, device=device, dtype=dtype)

        patch = (config.patch_size, config.latent_dim)
        self._backbone, self._codec = backbone, codec
        self._last = config.max_length - 1
        self.lengths = zeros(count, dtype=torch.int64)
        """Positions filled."""
        self._base_cache = SlotCache(config.base_lm, config.max_length, self.lengths, dtype)
        self._residual_cache = SlotCache(config.residual_lm, config.max_length, self.lengths, dtype)
        self._base, self._residual = zeros(count, config.base_lm.hidden), zeros(count, config.residual_lm.hidden)
        self._previous = zeros(count, *patch)
        self._times = zeros(MOST_STEPS, count, config.local_dit.hidden)
        self._spans = zeros(MOST_STEPS, count)
        self._guidance = zeros(count, dtype=torch.float32)
        self._codec_state = codec.new_decoder_state(count)
        self._latents = zeros(count, config.latent_dim, config.patch_size, dtype=torch.float32)
        self.noise = zeros(count, *patch)
        """The noise that the next patches start from. Filled in by the caller."""
        self.patches = zeros(count, *patch)
        self.stops = zeros(count, dtype=torch.bool)
        """Whether these patches are the last of their streams."""
        self.samples = zeros(count, config.patch_samples, dtype=torch.float32)

    @property
    def state(self) -> tuple[Tensor, ...]:
        """The tensors that a step updates from their old values. Keys and values beyond `lengths` are never read."""
        return (self.lengths, self._base, self._residual, self._previous, self.patches, *self._codec_state.histories)

    def generate(self, rows: int, evaluations: int) -> None:
        """Generate the patches of the first rows from their noise."""
        batch = self._batch(rows)
        solver = Solver(self._times[:evaluations, :rows], self._spans[:evaluations, :rows], self._guidance[:rows])
        self.stops[:rows] = self._backbone.wants_to_stop(batch.base_hidden)
        self.patches[:rows] = self._backbone.next_patches(batch, self.noise[:rows], solver)

    def take_patches(self, rows: int) -> None:
        """Copy patches for `decode`, so that the next ones can be generated concurrently."""
        self._latents[:rows] = as_latents(self.patches[:rows])

    def decode(self, rows: int) -> None:
        """Decode the copied patches into samples."""
        codec_state = DecoderState(tuple(history[:rows] for history in self._codec_state.histories))
        self.samples[:rows] = self._codec.decode(self._latents[:rows], codec_state)

    def advance(self, rows: int) -> None:
        """Feed the patches to the language models, and move on to the next position."""
        batch = self._batch(rows)
        self._backbone.advance(batch, self.patches[:rows])
        self._base[:rows], self._residual[:rows] = batch.base_hidden, batch.residual_hidden
        self._previous[:rows] = batch.previous
        # An unused row, or one whose stream is over, must not run past the end of its cache.
        self.lengths[:rows] = (self.lengths[:rows] + 1).clamp(max=self._last)

    def load_slot(self, row: int, stream_state: StreamState) -> None:
        """Copy the state of a stream into a row."""
        state, solver = stream_state.lm_state, stream_state.solver
        self._base_cache.load_slot(row, state.base_cache)
        self._residual_cache.load_slot(row, state.residual_cache)
        self.lengths[row] = min(state.length, self._last)
        self._base[row], self._residual[row] = state.base_hidden[0], state.residual_hidden[0]
        self._previous[row] = state.previous[0]
        self._times[: len(solver.times), row] = solver.times[:, 0]
        self._spans[: len(solver.spans), row], self._spans[len(solver.spans) :, row] = solver.spans[:, 0], 0
        self._guidance[row] = solver.guidance[0]
        for history, loaded in zip(self._codec_state.histories, stream_state.codec_state.histories, strict=True):
            history[row] = loaded[0]

    def move_slot(self, source: int, target: int, length: int) -> None:
        """Move a stream that has filled `length` positions to another row."""
        self._base_cache.move_slot(source, target, length)
        self._residual_cache.move_slot(source, target, length)
        rows = (self.lengths, self._base, self._residual, self._previous, self._guidance, *self._codec_state.histories)
        for tensor in (*rows, self._times.transpose(0, 1), self._spans.T):
            tensor[target] = tensor[source]

    def _batch(self, rows: int) -> Batch:
        return Batch(
            self._base_cache, self._residual_cache, self._base[:rows], self._residual[:rows], self._previous[:rows]
        )


def bytes_per_slot(config: ModelConfig, codec: AudioVAE, dtype: torch.dtype) -> int:
    """Return the device memory that one slot occupies, regardless of the length of its stream."""
    stacks = (config.base_lm, config.residual_lm)
    per_position = sum(2 * stack.layers * stack.kv_heads * stack.head_dim for stack in stacks)
    times = MOST_STEPS * config.local_dit.hidden
    histories = sum(history.numel() for history in codec.new_decoder_state(1).histories)
    return dtype.itemsize * (config.max_length * per_position + times) + 4 * (histories + config.patch_samples)
