"""Tempo: speech made faster or slower at the same pitch, piece by piece."""

from collections.abc import Generator, Iterator
from itertools import pairwise

import av
import numpy as np
from av.filter import Graph

from voxcli.audio.chunk import AudioChunk, Samples, transformed

_BLOCK_SECONDS = 0.02
_TAIL_SECONDS = 0.5
"""Longer than the delay of all filters of a chain."""

_SLOWEST, _FASTEST = 0.5, 2.0
"""The range of one `atempo`: it rejects lower factors, and skips samples at higher ones (FFmpeg's filter manual)."""


class Tempo:
    """Makes a stream `factor` times as fast; the output does not depend on the cuts.

    Uses FFmpeg's `atempo`, which overlaps windows of 0.04 to 0.07 s at a different distance. The first samples come
    out after 0.1 s of input, or 0.3 s with a chain of two (factors below 0.5 and above 2).
    """

    def __init__(self, sample_rate: int, factor: float) -> None:
        self.sample_rate = sample_rate
        self.factor = factor
        self._graph = None if factor == 1 else _build_graph(sample_rate, factor)
        self._block = round(_BLOCK_SECONDS * sample_rate)
        self._held: Samples = np.zeros(0, np.float32)
        self._fed = 0
        self._returned = 0

    def feed(self, samples: Samples) -> Samples:
        """Return what is ready, which may be nothing."""
        if self._graph is None:
            return samples
        self._fed += len(samples)
        return self._push(self._graph, samples)

    def finish(self) -> Samples:
        """Return the rest, so that n samples give round(n / factor). Cannot be used again."""
        if self._graph is None:
            return np.zeros(0, np.float32)
        missing = round(self._fed / self.factor) - self._returned
        # The filter keeps back up to 0.08 s at the end; silence after the end flushes it.
        rest = self._push(self._graph, np.zeros(round(_TAIL_SECONDS * self.sample_rate), np.float32))
        return rest[: max(missing, 0)]

    def _push(self, graph: Graph, samples: Samples) -> Samples:
        """Push whole blocks only: the output of the filter depends, a little, on where its input is cut."""
        self._held = np.concatenate([self._held, samples])
        whole = len(self._held) - len(self._held) % self._block
        blocks, self._held = np.split(self._held, [whole])
        ready = [np.zeros(0, np.float32)]
        for block in blocks.reshape(-1, self._block):
            frame = av.AudioFrame.from_ndarray(block[np.newaxis], format="flt", layout="mono")
            frame.sample_rate = self.sample_rate
            graph.push(frame)
            ready += _pulled(graph)
        out = np.concatenate(ready)
        self._returned += len(out)
        return out


def retimed(chunks: Iterator[AudioChunk], factor: float) -> Generator[AudioChunk]:
    """Yield a stream `factor` times as fast; see `transformed`."""
    return transformed(chunks, lambda sample_rate: Tempo(sample_rate, factor))


def _build_graph(sample_rate: int, factor: float) -> Graph:
    if not _SLOWEST**2 <= factor <= _FASTEST**2:
        raise ValueError(f"a tempo must be between {_SLOWEST**2:g} and {_FASTEST**2:g}, not {factor:g}")
    factors = [factor] if _SLOWEST <= factor <= _FASTEST else [factor**0.5] * 2
    graph = Graph()
    graph.threads = 1  # the default is one per core for each graph
    nodes = [
        graph.add_abuffer(sample_rate=sample_rate, format="flt", layout="mono"),
        *(graph.add("atempo", tempo=repr(each)) for each in factors),
        graph.add("abuffersink"),
    ]
    for node, following in pairwise(nodes):
        node.link_to(following)
    graph.configure()
    return graph


def _pulled(graph: Graph) -> Iterator[Samples]:
    """Yield the samples that the filters have ready."""
    while True:
        try:
            frame = graph.pull()
        except (BlockingIOError, EOFError):
            return
        assert isinstance(frame, av.AudioFrame)
        yield frame.to_ndarray()[0].astype(np.float32)
