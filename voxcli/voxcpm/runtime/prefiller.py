"""Prefiller: prefills sequences with CUDA graphs of a few lengths."""

from functools import partial

import torch

from voxcli.voxcpm.network.backbone import Backbone, LMState
from voxcli.voxcpm.network.kv_cache import KVCache
from voxcli.voxcpm.network.sequence import Sequence, length_of
from voxcli.voxcpm.runtime.cuda_graphs import GraphStream, Launch

_LENGTHS = (16, 32, 64, 128, 256, 512)
"""Positions of the captured prefill graphs. A shorter sequence is padded, which is safe under causal attention; a
longer one is prefilled without a graph."""


class Prefiller:
    """Prefills sequences, with a graph for each of a few lengths."""

    def __init__(self, backbone: Backbone, stream: GraphStream) -> None:
        config, device, dtype = backbone.config, backbone.device, backbone.dtype
        longest = min(_LENGTHS[-1], config.max_length)
        hidden = config.base_lm.hidden
        self._backbone, self._stream = backbone, stream
        self.lengths = [length for length in _LENGTHS if length <= longest]
        self._embeddings = torch.zeros(longest, hidden, device=device, dtype=dtype)
        self._is_speech = torch.zeros(longest, 1, device=device, dtype=torch.bool)
        self._last = torch.zeros(1, device=device, dtype=torch.int64)
        self._hidden = torch.zeros(2, 1, hidden, device=device, dtype=dtype)
        self._base_cache, self._residual_cache = (
            KVCache(stack, config.max_length, device, dtype, capacity=longest)
            for stack in (config.base_lm, config.residual_lm)
        )
        self._graphs: dict[int, Launch] = {}

    def prefill(self, sequence: Sequence) -> LMState:
        """Prefill a sequence. The result is valid until the next call."""
        length = length_of(sequence)
        padded = next((captured for captured in self.lengths if captured >= length), None)
        if padded is None:
            return self._backbone.prefill(sequence)
        self._embeddings[:length], is_speech = self._backbone.embed(sequence)
        self._is_speech[:length] = False if is_speech is None else is_speech
        self._last.fill_(length - 1)
        self.capture(padded)()
        self._base_cache.length = self._residual_cache.length = length
        base, residual = self._hidden
        return LMState(self._base_cache, self._residual_cache, base, residual, self._backbone.last_patch(sequence))

    def capture(self, length: int) -> Launch:
        """Return the graph for sequences of this length, captured if it has not been."""
        if length not in self._graphs:
            self._graphs[length] = self._stream.capture(partial(self._forward, length), ())
        return self._graphs[length]

    def _forward(self, length: int) -> None:
        self._base_cache.length = self._residual_cache.length = 0
        hidden = self._backbone.forward_lms(
            self._embeddings[:length], self._is_speech[:length], self._base_cache, self._residual_cache
        )
        for last, positions in zip(self._hidden, hidden, strict=True):
            last.copy_(positions.index_select(0, self._last))
