"""Prefiller: prefills sequences together, with CUDA graphs of a few lengths and numbers of sequences."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TypeAlias

import torch

from voxcli.voxcpm.network.backbone import Backbone, LMState, to_device
from voxcli.voxcpm.network.kv_cache import KVCache
from voxcli.voxcpm.network.sequence import AudioSegment, length_of
from voxcli.voxcpm.network.sequence import Sequence as Positions
from voxcli.voxcpm.runtime.cuda_graphs import GraphStream, Launch

_LENGTHS = (16, 32, 64, 128, 256, 512)
"""Positions of the captured prefill graphs. A shorter sequence is padded, which is safe under causal attention; a
longer one is prefilled without a graph."""

Shape: TypeAlias = tuple[int, int]
"""Sequences and positions of each."""


class Prefiller:
    """Prefills sequences, one or as many together as have the positions of the longest graph."""

    def __init__(self, backbone: Backbone, stream: GraphStream, most: int) -> None:
        """most: sequences at a time."""
        config, device, dtype = backbone.config, backbone.device, backbone.dtype
        longest = min(_LENGTHS[-1], config.max_length)
        self._backbone, self._stream = backbone, stream
        self._lengths = [length for length in _LENGTHS if length <= longest]
        self._most = {length: min(most, longest // length) for length in self._lengths}
        rows, hidden = max(self._most.values()), config.base_lm.hidden
        self._inputs = torch.zeros(2 * longest + rows, device=device, dtype=torch.int64)
        """Text ids, whether a position is speech, and the last position of each sequence. For n positions of k
        sequences, the first 2n + k values."""
        self._embeddings = torch.zeros(longest, hidden, device=device, dtype=dtype)
        """Of speech, at its positions."""
        self._hidden = torch.zeros(2, rows, hidden, device=device, dtype=dtype)
        self._previous = torch.zeros(rows, config.patch_size, config.latent_dim, device=device, dtype=dtype)
        self._caches = [
            KVCache(stack, config.max_length, device, dtype, capacity=longest)
            for stack in (config.base_lm, config.residual_lm)
        ]
        self._graphs: dict[Shape, Launch] = {}

    @property
    def shapes(self) -> list[Shape]:
        """The shapes of all graphs, the largest first."""
        shapes = {(rows, length) for length, most in self._most.items() for rows in (1, most)}
        return sorted(shapes, key=lambda shape: (shape[0] * shape[1], shape), reverse=True)

    def batches(self, sequences: Sequence[Positions]) -> Iterator[list[int]]:
        """Yield the indices of the sequences that are to be prefilled together."""
        waiting: dict[int | None, list[int]] = {}
        for index, sequence in enumerate(sequences):
            waiting.setdefault(self._padded(length_of(sequence)), []).append(index)
        for length, indices in waiting.items():
            most = self._most[length] if length else 1
            yield from (indices[first : first + most] for first in range(0, len(indices), most))

    def prefill(self, sequences: Sequence[Positions]) -> LMState:
        """Prefill one of the `batches`. The result has their rows first, and is valid until the next call.

        Its length is that of the longest sequence, or more.
        """
        length = self._padded(max(map(length_of, sequences)))
        if length is None:
            (sequence,) = sequences
            return self._backbone.prefill(sequence)
        shape = (1 if len(sequences) == 1 else self._most[length], length)
        self._fill(shape, sequences)
        self.capture(shape)()
        base_cache, residual_cache = (cache.divided(shape[0]) for cache in self._caches)
        base_cache.length = residual_cache.length = length
        base, residual = self._hidden[:, : shape[0]]
        return LMState(base_cache, residual_cache, base, residual, self._previous)

    def capture(self, shape: Shape) -> Launch:
        """Return the graph of a shape, captured if it has not been."""
        if shape not in self._graphs:
            self._graphs[shape] = self._stream.capture(partial(self._forward, shape), ())
        return self._graphs[shape]

    def _padded(self, length: int) -> int | None:
        """Return the length of the graph for a sequence; None if there is none."""
        return next((captured for captured in self._lengths if captured >= length), None)

    def _fill(self, shape: Shape, sequences: Sequence[Positions]) -> None:
        """Write the inputs of a graph. All of the host's are one copy."""
        rows, length = shape
        inputs = torch.zeros(2 * rows * length + rows, dtype=torch.int64)
        ids, is_speech, last = inputs.split((rows * length, rows * length, rows))
        speech: list[tuple[int, AudioSegment]] = []
        self._previous.zero_()
        for row, sequence in enumerate(sequences):
            at = row * length
            for segment in sequence:
                if isinstance(segment, AudioSegment):
                    speech.append((at, segment))
                    is_speech[at : at + len(segment)] = 1
                else:
                    ids[at : at + len(segment)] = torch.tensor(segment.ids)
                at += len(segment)
            last[row] = at - 1
            if isinstance(segment, AudioSegment):
                self._previous[row] = segment.patches[-1]
        self._inputs[: len(inputs)] = to_device(inputs, self._inputs.device)
        for at, segment in speech:
            self._embeddings[at : at + len(segment)] = segment.embeddings

    def _forward(self, shape: Shape) -> None:
        rows, length = shape
        count = rows * length
        ids, is_speech, last = self._inputs[: 2 * count + rows].split((count, count, rows))
        mask = is_speech.view(rows, length, 1) > 0
        embedded = torch.where(
            mask, self._embeddings[:count].view(rows, length, -1), self._backbone.embed_ids(ids.view(rows, length))
        )
        caches = (cache.divided(rows) for cache in self._caches)
        hidden = self._backbone.forward_lms(embedded, mask, *caches)
        for newest, positions in zip(self._hidden, hidden, strict=True):
            newest[:rows] = positions.flatten(0, 1).index_select(0, last)
