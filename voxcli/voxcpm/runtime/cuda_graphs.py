"""CUDA graphs: a fixed-shape piece of work is recorded once, and then started as a whole. Elsewhere it is plain calls.

A graph reads and writes the memory that was there when it was recorded, so whatever changes is in tensors that stay.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TypeAlias

import torch
from torch import Tensor

Work: TypeAlias = Callable[[], None]


class GraphStream:
    """A queue of work on a device: a CUDA stream, and the memory that the graphs in it share.

    On other devices work is done as it is asked for.
    """

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        if self._stream:
            torch.cuda.synchronize(device)  # what was done before, as loading weights, was done in another
        self._pool = torch.cuda.graph_pool_handle() if self._stream else None

    @contextmanager
    def open(self) -> Iterator[None]:
        """Have what is done meanwhile queued here."""
        with torch.cuda.stream(self._stream) if self._stream else nullcontext():
            yield

    def mark(self) -> "Mark":
        """Remember what is queued so far."""
        return Mark(self._stream)

    def wait_for(self, other: "GraphStream") -> None:
        """Begin what comes next when all that is in another lane by now is done. The caller does not wait."""
        if self._stream and other._stream:
            self._stream.wait_stream(other._stream)

    def record(self, work: Work, touched: Iterable[Tensor]) -> Work:
        """Return something that does the same work at once, on the memory it uses now.

        Args:
            work: of fixed shapes, that never waits for the device.
            touched: what it changes and would not write anew the next time. It is left as it was.
        """
        if self._stream is None:
            return work
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize(self._stream.device)
        with self.open():
            kept = [(tensor, tensor.clone()) for tensor in touched]
            work()  # compiles kernels and makes workspaces, which must not happen while it is recorded
            for tensor, before in kept:
                tensor.copy_(before)
        torch.cuda.synchronize(self._stream.device)
        with self.open():
            graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
            try:
                work()
            finally:
                graph.capture_end()
        return graph.replay


class Mark:
    """A point in a lane."""

    def __init__(self, stream: "torch.cuda.Stream | None") -> None:
        self._event = stream.record_event() if stream else None

    def wait(self) -> None:
        """Wait until all that was queued before it is done."""
        if self._event:
            self._event.synchronize()


@contextmanager
def tf32_matmuls(allowed: bool) -> Iterator[None]:
    """Let float32 matrix products meanwhile round their factors to 10 bits, as cuDNN's convolutions do by default."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if allowed else before)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
