"""CUDA streams and graphs: a function of fixed shapes is captured once and then replayed as a whole.

A graph reads and writes the memory that it was captured with, so everything that changes lives in static tensors. On
other devices nothing is captured: functions are called directly.
"""

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TypeAlias

import torch
from torch import Tensor

Launch: TypeAlias = Callable[[], None]
"""A call that queues work of fixed shapes on the device."""


class GraphStream:
    """A CUDA stream with its graph memory pool. On other devices, calls run at once."""

    def __init__(self, device: torch.device, *, urgent: bool = False) -> None:
        """urgent: its work goes before that of other streams, wherever both have work to do."""
        self._stream = torch.cuda.Stream(device, priority=-1 if urgent else 0) if device.type == "cuda" else None
        if self._stream:
            torch.cuda.synchronize(device)  # earlier work, such as loading weights, ran on another stream
        self._pool = torch.cuda.graph_pool_handle() if self._stream else None

    @contextmanager
    def activate(self) -> Iterator[None]:
        """Make this the current stream."""
        with torch.cuda.stream(self._stream) if self._stream else nullcontext():
            yield

    def record_event(self) -> "Event":
        """Record an event behind all work queued so far."""
        return Event(self._stream)

    def wait_stream(self, other: "GraphStream") -> None:
        """Start later work only after all work queued on another stream so far. The caller does not block."""
        if self._stream and other._stream:
            self._stream.wait_stream(other._stream)

    def warm_up(self, fn: Launch, mutated_state: Iterable[Tensor]) -> None:
        """Call a function that is to be captured, and wait until it is done. Does nothing on other devices.

        It allocates workspaces, and compiles what has not been compiled, which is not allowed during capture.

        Args:
            fn, mutated_state: as for `capture`.
        """
        if self._stream is None:
            return
        torch.cuda.synchronize(self._stream.device)
        with self.activate():
            saved = [(tensor, tensor.clone()) for tensor in mutated_state]
            fn()
            for tensor, before in saved:
                tensor.copy_(before)
        torch.cuda.synchronize(self._stream.device)

    def capture(self, fn: Launch, mutated_state: Iterable[Tensor]) -> Launch:
        """Capture a function as a graph, and return the call that replays it.

        Args:
            fn: has fixed shapes and never synchronizes with the device. Called once to warm up and once to capture.
            mutated_state: the tensors that `fn` updates from their old values. The warm-up leaves them unchanged.
        """
        self.warm_up(fn, mutated_state)
        with _paused_collector():
            return self._captured(fn, mutated_state)

    def _captured(self, fn: Launch, mutated_state: Iterable[Tensor]) -> Launch:
        if self._stream is None:
            return fn
        graph = torch.cuda.CUDAGraph()
        with self.activate():
            graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
            try:
                fn()
            finally:
                graph.capture_end()
        return graph.replay


class Event:
    """A point in the work queued on a `GraphStream`."""

    def __init__(self, stream: "torch.cuda.Stream | None") -> None:
        self._event = stream.record_event() if stream else None

    def synchronize(self) -> None:
        """Block until all work queued before the event is done."""
        if self._event:
            self._event.synchronize()


@contextmanager
def _paused_collector() -> Iterator[None]:
    """Collect no garbage: an old graph or pinned tensor that is freed during a capture can void it."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def tf32_matmuls(allowed: bool) -> Iterator[None]:
    """Let float32 matrix products round their factors to TF32, as cuDNN's convolutions do by default."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if allowed else before)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
