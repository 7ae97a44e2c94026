"""GraphRunner: runs streams with CUDA graphs on static memory. A step is three graph launches.

The network has one CUDA stream and the codec another, so that a patch is decoded while the language models process it.
Stop flags are copied to the host meanwhile, so the device never waits for Python. Audio is delivered one step late,
after the next step has been launched.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from voxcli.synthesis.loading import LoadingStage, OnLoading, StageCounter, ignore_loading
from voxcli.synthesis.request import Sampling
from voxcli.voxcpm.codec.audio_vae import AudioVAE
from voxcli.voxcpm.network.backbone import Backbone
from voxcli.voxcpm.runtime.cuda_graphs import Event, GraphStream, Launch, tf32_matmuls
from voxcli.voxcpm.runtime.prefiller import Prefiller
from voxcli.voxcpm.runtime.slots import Slots
from voxcli.voxcpm.runtime.stream import Stream
from voxcli.voxcpm.runtime.stream_state import draw_noise, new_stream_state


class NewGraphStream(Protocol):
    """Creates a CUDA stream, as `GraphStream` does."""

    def __call__(self, device: torch.device, *, urgent: bool = False) -> GraphStream: ...


_GRAPHS_PER_STEP = 3

_MAX_EXTRA_GRAPHS = 16
"""Graphs of `generate` that are kept for other than the default number of steps."""


@dataclass(slots=True, eq=False)
class _ActiveSlot:
    """The stream assigned to a batch row."""

    stream: Stream
    noise: torch.Generator
    evaluations: int
    length: int
    """Positions filled."""


@dataclass(slots=True, eq=False)
class _InFlightStep:
    """A launched step whose audio has not been delivered."""

    streams: list[Stream]
    stops: Tensor
    """On the host, valid after `generated`."""
    samples: Tensor
    """On the host, valid after `decoded`."""
    generated: Event
    decoded: Event
    finished: list[Stream]
    """The streams for which it was the last step."""


class GraphRunner:
    """A `Runner` for CUDA."""

    runs_ahead = True
    prefill_budget = 2048

    def __init__(
        self,
        backbone: Backbone,
        codec: AudioVAE,
        slots: int,
        *,
        lazy: bool = False,
        new_stream: NewGraphStream = GraphStream,
        on_loading: OnLoading = ignore_loading,
    ) -> None:
        """Capture all graphs.

        Args:
            slots: maximum number of concurrent streams.
            lazy: capture each graph on first use instead.
            new_stream: creates the CUDA streams.
            on_loading: receives the number of graphs captured so far.
        """
        self.device = backbone.device
        self._backbone, self._codec = backbone, codec
        self._slots = Slots(backbone, codec, slots)
        self._network_stream = new_stream(self.device)
        # A patch is to be heard before the network has finished with it.
        self._codec_stream = new_stream(self.device, urgent=True)
        self._prefiller = Prefiller(backbone, self._network_stream)
        self._active: list[_ActiveSlot] = []
        self._in_flight: _InFlightStep | None = None
        self._buckets = [1 << power for power in range((slots - 1).bit_length())] + [slots]
        self._default_evaluations = len(backbone.new_solver(Sampling().steps, 0).spans)
        self._generate_graphs: OrderedDict[tuple[int, int], Launch] = OrderedDict()
        self._decode_graphs: dict[int, Launch] = {}
        self._advance_graphs: dict[int, Launch] = {}
        pinned = self.device.type == "cuda"
        # Double buffers: one is read while the other is written.
        self._host_stops = torch.zeros(2, slots, dtype=torch.bool, pin_memory=pinned)
        self._host_samples = torch.zeros(2, *self._slots.samples.shape, pin_memory=pinned)
        self._buffer = 0
        if not lazy:
            self._capture_all(on_loading)

    @contextmanager
    def device_context(self) -> Iterator[None]:
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
        with self._network_stream.activate():
            yield

    @property
    def has_pending_output(self) -> bool:
        return self._in_flight is not None

    def begin(self, stream: Stream) -> None:
        # The codec may still be writing to unused rows.
        self._network_stream.wait_stream(self._codec_stream)
        lm_state = self._prefiller.prefill(stream.sequence)
        state = new_stream_state(stream, lm_state, self._backbone, self._codec)
        self._slots.load_slot(len(self._active), state)
        self._active.append(_ActiveSlot(stream, state.noise, len(state.solver.spans), lm_state.length))

    def leave(self, stream: Stream) -> None:
        """Free a row. The last one moves into it, so that the rows in use are always the first."""
        row = next((row for row, slot in enumerate(self._active) if slot.stream is stream), None)
        if row is None:
            return
        last = self._active.pop()
        if row < len(self._active):
            self._network_stream.wait_stream(self._codec_stream)
            self._slots.move_slot(len(self._active), row, last.length)
            self._active[row] = last

    def step(self, streams: Collection[Stream]) -> None:
        previous, self._in_flight = self._in_flight, None
        try:
            if streams:
                self._in_flight = self._launch()
        finally:  # the previous step is complete, even if this one cannot be launched
            if previous:
                _deliver_audio(previous)
        if self._in_flight:
            _read_stop_flags(self._in_flight)

    def synchronize(self) -> None:
        self._network_stream.record_event().synchronize()

    def close(self) -> None:
        self._in_flight = None
        self._active.clear()
        for graphs in (self._generate_graphs, self._decode_graphs, self._advance_graphs):
            graphs.clear()
        del self._prefiller, self._slots, self._host_stops, self._host_samples
        del self._network_stream, self._codec_stream, self._backbone, self._codec

    def parts(self, streams: int, evaluations: int) -> dict[str, Launch]:
        """Return the graphs of a step for that many streams, by name. Benchmarks replay them one by one."""
        rows = self._bucket(streams)
        return {
            "generate": self._generate_graph(rows, evaluations),
            "codec": self._part(self._decode_graphs, rows, self._codec_stream, self._slots.decode),
            "advance": self._part(self._advance_graphs, rows, self._network_stream, self._slots.advance),
        }

    def _launch(self) -> _InFlightStep:
        """Queue a step of all rows in use."""
        active = len(self._active)
        parts = self.parts(active, max(slot.evaluations for slot in self._active))
        for row, slot in enumerate(self._active):
            self._slots.noise[row : row + 1] = draw_noise(slot.noise, self._slots.noise[row : row + 1])
            slot.length += 1
        self._buffer = 1 - self._buffer
        stops, samples = self._host_stops[self._buffer, :active], self._host_samples[self._buffer, :active]
        parts["generate"]()
        stops.copy_(self._slots.stops[:active], non_blocking=True)
        generated = self._network_stream.record_event()
        self._codec_stream.wait_stream(self._network_stream)
        with self._codec_stream.activate():
            self._slots.take_patches(self._bucket(active))
            self._network_stream.wait_stream(self._codec_stream)
            parts["codec"]()
            samples.copy_(self._slots.samples[:active], non_blocking=True)
            decoded = self._codec_stream.record_event()
        parts["advance"]()
        return _InFlightStep([slot.stream for slot in self._active], stops, samples, generated, decoded, [])

    def _bucket(self, streams: int) -> int:
        """Choose the batch size of the graph to use."""
        return next(rows for rows in self._buckets if rows >= streams)

    def _generate_graph(self, rows: int, evaluations: int) -> Launch:
        graphs, key = self._generate_graphs, (rows, evaluations)
        if key not in graphs:
            graphs[key] = self._network_stream.capture(
                partial(self._slots.generate, rows, evaluations), self._slots.state
            )
            extra = [kept for kept in graphs if kept[1] != self._default_evaluations]
            if len(extra) > _MAX_EXTRA_GRAPHS:
                del graphs[extra[0]]
        graphs.move_to_end(key)
        return graphs[key]

    def _part(self, graphs: dict[int, Launch], rows: int, stream: GraphStream, fn: Callable[[int], None]) -> Launch:
        if rows not in graphs:
            # With a float32 network, the codec is exact as well.
            with tf32_matmuls(stream is self._codec_stream and self._backbone.dtype != torch.float32):
                graphs[rows] = stream.capture(partial(fn, rows), self._slots.state)
        return graphs[rows]

    @torch.inference_mode()
    def _capture_all(self, on_loading: OnLoading) -> None:
        total = _GRAPHS_PER_STEP * len(self._buckets) + len(self._prefiller.lengths)
        graphs = StageCounter(on_loading, LoadingStage.CAPTURING, total)
        for rows in self._buckets:
            graphs.advance(len(self.parts(rows, self._default_evaluations)))
        for length in self._prefiller.lengths:
            self._prefiller.capture(length)
            graphs.advance()


def _read_stop_flags(step: _InFlightStep) -> None:
    """Count the patches of a step, once it is known which of them are the last of their streams."""
    step.generated.synchronize()
    for stream, stop in zip(step.streams, step.stops.tolist(), strict=True):
        stream.count_patch(wants_to_stop=stop)
        if stream.over:
            step.finished.append(stream)


def _deliver_audio(step: _InFlightStep) -> None:
    """Deliver the audio of a step. If that fails, its streams fail: those that are over get no other chance."""
    try:
        step.decoded.synchronize()
        for stream, samples in zip(step.streams, step.samples, strict=True):
            stream.put(samples.numpy().copy())
    except BaseException as error:
        for stream in step.streams:
            stream.finish(error)
        raise
    for stream in step.finished:
        stream.finish()
