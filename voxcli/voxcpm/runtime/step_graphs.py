"""StepGraphs: the CUDA graphs of a step, for several batch sizes."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from voxcli.synthesis.loading import StageCounter
from voxcli.voxcpm.runtime.cuda_graphs import GraphStream, Launch, tf32_matmuls
from voxcli.voxcpm.runtime.slots import Slots


class StepParts(NamedTuple):
    """The graphs of a step, in the order in which they are launched."""

    start: Launch
    evaluate: Launch
    """Launched as often as the flow is to be evaluated."""
    decode: Launch
    advance: Launch


class StepGraphs:
    """The graphs of the parts of a step for a few batch sizes, each captured when it is first asked for."""

    def __init__(self, slots: Slots, count: int, network: GraphStream, codec: GraphStream, *, exact: bool) -> None:
        """
        Args:
            count: of the slots, the largest batch.
            network: the CUDA stream of the network.
            codec: the CUDA stream of the codec.
            exact: whether the codec multiplies in float32 rather than TF32.
        """
        self._slots, self._network, self._codec, self._exact = slots, network, codec, exact
        self.buckets = [1 << power for power in range((count - 1).bit_length())] + [count]
        """Batch sizes."""
        self._graphs: dict[tuple[str, int], Launch] = {}

    @property
    def total(self) -> int:
        """The number of all graphs."""
        return len(self.buckets) * len(StepParts._fields)

    def bucket(self, streams: int) -> int:
        """Choose the batch size to use for a number of streams."""
        return next(rows for rows in self.buckets if rows >= streams)

    def parts(self, rows: int) -> StepParts:
        """Return the graphs of a batch size."""
        slots, network = self._slots, self._network
        start, evaluate, advance = (
            self._part(rows, network, fn) for fn in (slots.start, slots.evaluate, slots.advance)
        )
        with tf32_matmuls(not self._exact):
            decode = self._part(rows, self._codec, slots.decode)
        return StepParts(start, evaluate, decode, advance)

    def capture(self, graphs: StageCounter) -> None:
        """Capture all graphs, the largest first: the others fit into their memory."""
        for rows in reversed(self.buckets):
            graphs.advance(len(self.parts(rows)))

    def _part(self, rows: int, stream: GraphStream, fn: Callable[[int], None]) -> Launch:
        key = fn.__name__, rows
        if key not in self._graphs:
            self._graphs[key] = stream.capture(partial(fn, rows), self._slots.state)
        return self._graphs[key]
