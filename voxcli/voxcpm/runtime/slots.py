"""Slots: static tensors that hold the state of all streams on a device, one batch row per stream."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from voxcli.synthesis.request import MOST_STEPS
from voxcli.voxcpm.codec.audio_vae import AudioVAE, DecoderState
from voxcli.voxcpm.kernels.ops import draw_noise
from voxcli.voxcpm.network.backbone import Backbone, Batch, LMState, to_device
from voxcli.voxcpm.network.config import ModelConfig
from voxcli.voxcpm.network.kv_cache import SlotCache
from voxcli.voxcpm.network.local_dit import TimeGrid
from voxcli.voxcpm.network.sequence import length_of
from voxcli.voxcpm.runtime.stream import Stream
from voxcli.voxcpm.runtime.stream_state import as_latents


class Slots:
    """Everything that a step reads and writes. Unused rows are padding: computed with the batch, result ignored.

    Each row integrates its own flow: it may need more evaluations than others, and complete its patch some steps later.
    Until then `decode` and `advance` compute with the row, and leave its state as it is.
    """

    def __init__(self, backbone: Backbone, codec: AudioVAE, count: int, *, draws_noise: bool) -> None:
        """draws_noise: noise is drawn on the device; otherwise the caller fills it in."""
        config, device, dtype = backbone.config, backbone.device, backbone.dtype

        def zeros(*shape: int, dtype: torch.dtype = dtype) -> Tensor:
            return torch.zeros(*shape, device=device, dtype=dtype)

        patch = (config.patch_size, config.latent_dim)
        self._backbone, self._codec = backbone, codec
        self._last = config.max_length - 1
        # Kernels are compiled for addresses that are multiples of 16.
        self._positions = zeros(6, count + count % 2, dtype=torch.int64)[:, :count]
        self._lengths, self._at, self._starts, self._ends, self._seeds, self._draws = self._positions
        """Positions filled; rows of the solver table: of the next evaluation, of the first, and behind the last; the
        seed, and how often noise has been drawn with it."""
        self._base_cache = SlotCache(config.base_lm, config.max_length, self._lengths, dtype)
        self._residual_cache = SlotCache(config.residual_lm, config.max_length, self._lengths, dtype)
        self._base, self._residual = zeros(count, config.base_lm.hidden), zeros(count, config.residual_lm.hidden)
        self._previous = zeros(count, *patch)
        self._condition = backbone.new_condition(count)
        self._guidance = zeros(count, dtype=torch.float32)
        self._table = _SolverTable(backbone)
        shapes = [history.shape[1:] for history in codec.new_decoder_state(1).histories]
        sizes = [shape.numel() for shape in shapes]
        self._histories = zeros(count, sum(sizes), dtype=torch.float32)
        """All of the codec's, one row per stream, so that they are copied as one."""
        parts = zip(self._histories.split(sizes, dim=1), shapes, strict=True)
        self._codec_state = DecoderState(tuple(part.view(count, *shape) for part, shape in parts))
        self._latents = zeros(count, config.latent_dim, config.patch_size, dtype=torch.float32)
        self._completed = zeros(count, dtype=torch.bool)
        self.noise = zeros(count, config.latent_dim, config.patch_size)
        """The noise that the next patches start from."""
        self.draws_noise = draws_noise
        self.patches = zeros(count, *patch)
        """The patches that are being generated, or have been."""
        self.stops = zeros(count, dtype=torch.bool)
        """Whether these patches are the last of their streams."""
        self.samples = zeros(count, config.patch_samples, dtype=torch.float32)

    @property
    def state(self) -> tuple[Tensor, ...]:
        """The tensors that a step updates from their old values. Keys and values beyond a length are never read."""
        return (self._positions, self._base, self._residual, self._previous, self.patches, self.noise, self._histories)

    def count_evaluations(self, steps: int) -> int:
        """Return how many evaluations a patch of a stream with this number of steps takes."""
        start, end = self._table.rows_of(steps)
        return end - start

    def start(self, rows: int) -> None:
        """Start new patches from noise in those of the first rows whose last patch is complete."""
        batch, at = self._batch(rows), self._at[:rows]
        completed = at >= self._ends[:rows]
        self.stops[:rows] = self._backbone.wants_to_stop(batch.base_hidden)
        self._backbone.set_condition(self._condition[:rows], batch)
        patches, noise = self.patches[:rows], self.noise[:rows].transpose(1, 2)
        torch.where(completed[:, None, None], noise, patches, out=patches)
        torch.where(completed, self._starts[:rows], at, out=at)

    def evaluate(self, rows: int) -> None:
        """Evaluate the flow once, and take a step. Rows whose patch is complete take steps of length zero."""
        patches, condition, at, ends = self.patches[:rows], self._condition[:rows], self._at[:rows], self._ends[:rows]
        self._backbone.feat_decoder.take_step(patches, condition, self._table.grid, at, ends, self._guidance[:rows])

    def take_patches(self, rows: int) -> None:
        """Copy patches for `decode`, so that the next ones can be generated concurrently."""
        self._latents[:rows] = as_latents(self.patches[:rows])

    def decode(self, rows: int) -> None:
        """Decode the copied patches into samples."""
        codec_state = DecoderState(tuple(history[:rows] for history in self._codec_state.histories))
        self.samples[:rows] = self._codec.decode(self._latents[:rows], codec_state)

    @contextmanager
    def complete_only(self, rows: int) -> Iterator[None]:
        """Take patches and decode them within the block, but keep the codec's state of those that are not complete."""
        histories, completed = self._histories[:rows], self._completed[:rows]
        torch.ge(self._at[:rows], self._ends[:rows], out=completed)
        before = histories.clone()
        yield
        torch.where(completed[:, None], histories, before, out=histories)

    def advance(self, rows: int) -> None:
        """Feed complete patches to the language models, and move on to the next position."""
        batch, base, residual, previous = self._batch(rows), self._base, self._residual, self._previous
        completed = self._at[:rows] >= self._ends[:rows]
        self._backbone.advance(batch, self.patches[:rows])
        for kept, new in ((base, batch.base_hidden), (residual, batch.residual_hidden), (previous, batch.previous)):
            mask = completed.view(-1, *[1] * (new.ndim - 1))
            torch.where(mask, new, kept[:rows], out=kept[:rows])
        # A row whose stream is over must not run past the end of its cache.
        self._lengths[:rows].add_(completed).clamp_(max=self._last)
        if self.draws_noise:
            draw_noise(self.noise[:rows], self._seeds[:rows], self._draws[:rows], completed)

    def load_slots(self, first: int, state: LMState, streams: Sequence[Stream]) -> None:
        """Copy the states of prefilled streams into consecutive rows, without waiting for the device.

        Args:
            state: of these streams, and maybe of padding behind them.
        """
        count, device = len(streams), self._guidance.device
        rows = slice(first, first + count)
        self._base_cache.load_slots(rows, state.base_cache)
        self._residual_cache.load_slots(rows, state.residual_cache)
        self._base[rows], self._residual[rows] = state.base_hidden[:count], state.residual_hidden[:count]
        self._previous[rows] = state.previous[:count]
        starts, ends = zip(*(self._table.rows_of(stream.steps) for stream in streams), strict=True)
        lengths = [min(length_of(stream.sequence), self._last) for stream in streams]
        seeds = [stream.seed for stream in streams]
        positions = torch.tensor([lengths, ends, starts, ends, seeds, [0] * count])
        self._positions[:, rows] = to_device(positions, device)
        guidance = torch.tensor([stream.guidance for stream in streams], dtype=torch.float32)
        self._guidance[rows] = to_device(guidance, device)
        if self.draws_noise:  # all that have not drawn any, which are these
            draws = self._draws[: rows.stop]
            draw_noise(self.noise[: rows.stop], self._seeds[: rows.stop], draws, draws == 0)

    def load_codec_states(self, first: int, codec_states: Sequence[DecoderState | None]) -> None:
        """Copy the codec's states of streams into consecutive rows; None is the initial state."""
        self._histories[first : first + len(codec_states)].zero_()
        for row, codec_state in enumerate(codec_states, first):
            if codec_state:
                torch.cat([history.flatten() for history in codec_state.histories], out=self._histories[row])

    def move_slot(self, source: int, target: int, length: int) -> None:
        """Move a stream that has filled `length` positions to another row, all but its codec's state."""
        self._base_cache.move_slot(source, target, length)
        self._residual_cache.move_slot(source, target, length)
        rows = (self._base, self._residual, self._previous, self._guidance, self.noise, self.patches)
        for tensor in (*rows, self._positions.T):
            tensor[target] = tensor[source]

    def move_codec_state(self, source: int, target: int) -> None:
        """Move the codec's state of a stream to another row."""
        self._histories[target] = self._histories[source]

    def clear_unused(self, first: int, rows: int) -> None:
        """Let the rows of a batch that no stream uses attend to a single position."""
        self._lengths[first:rows].zero_()

    def _batch(self, rows: int) -> Batch:
        return Batch(
            self._base_cache, self._residual_cache, self._base[:rows], self._residual[:rows], self._previous[:rows]
        )


class _SolverTable:
    """Embedded times and step lengths of all numbers of steps, one row per evaluation.

    Each number of steps has a range of rows, which is filled when it is first asked for. A last row with a step of
    length zero ends it.
    """

    def __init__(self, backbone: Backbone) -> None:
        size = _first_row(MOST_STEPS + 1)
        self._backbone = backbone
        like = backbone.embed_tokens.weight
        self.grid = TimeGrid(like.new_zeros(size, backbone.config.local_dit.hidden), like.new_zeros(size))
        self._evaluations: dict[int, int] = {}

    def rows_of(self, steps: int) -> tuple[int, int]:
        """Return the row of the first evaluation, and the one behind the last."""
        start = _first_row(steps)
        if steps not in self._evaluations:
            solver = self._backbone.new_solver(steps, 0)
            count = self._evaluations[steps] = len(solver.spans)
            self.grid.times[start : start + count] = solver.times[:, 0]
            self.grid.spans[start : start + count] = solver.spans[:, 0]
        return start, start + self._evaluations[steps]


def _first_row(steps: int) -> int:
    """Return how many rows all smaller numbers of steps have. No number has more evaluations than steps, less one."""
    return steps * (steps - 1) // 2


def bytes_per_slot(config: ModelConfig, codec: AudioVAE, dtype: torch.dtype) -> int:
    """Return the device memory that one slot occupies, regardless of the length of its stream."""
    stacks = (config.base_lm, config.residual_lm)
    per_position = sum(2 * stack.layers * stack.kv_heads * stack.head_dim for stack in stacks)
    histories = sum(history.numel() for history in codec.new_decoder_state(1).histories)
    return dtype.itemsize * config.max_length * per_position + 4 * (histories + config.patch_samples)
