"""Runs streams by CUDA graphs: everything has its place in memory, and a step is three launches.

The network is in one lane, the codec in another: it decodes a patch while the language models hear it. Whether a patch
was the last is read while that goes on, so the device never waits for us. Sound is handed over one step late, behind
the launch of the next.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor

from voxcli.synthesis.request import Sampling
from voxcli.voxcpm.codec.audio_vae import AudioVAE
from voxcli.voxcpm.network.backbone import Backbone, LMState
from voxcli.voxcpm.network.kv_cache import KVCache
from voxcli.voxcpm.network.sequence import Sequence, length_of
from voxcli.voxcpm.runtime.cuda_graphs import GraphStream, Mark, Work, tf32_matmuls
from voxcli.voxcpm.runtime.slots import Slots
from voxcli.voxcpm.runtime.stream import Stream
from voxcli.voxcpm.runtime.stream_state import draw_noise, new_stream_state

NewLane: TypeAlias = Callable[[torch.device], GraphStream]

_LENGTHS = (16, 32, 64, 128, 256, 512)
"""Of the sequences that are read by a graph. A shorter one is filled up, for nobody looks ahead; a longer one is read
by plain calls."""

_FLOWS_KEPT = 16
"""Graphs of `make` beyond those of the usual number of steps: for each other number that is asked for, and batch."""


@dataclass(slots=True, eq=False)
class _Row:
    """Who sits in a row."""

    stream: Stream
    noise: torch.Generator
    evaluations: int
    length: int
    """Positions filled."""


@dataclass(slots=True, eq=False)
class _Flight:
    """A step whose sound has not been handed over."""

    streams: list[Stream]
    stops: Tensor
    """On the host, when `made` has passed."""
    samples: Tensor
    """On the host, when `decoded` has passed."""
    made: Mark
    decoded: Mark
    last: list[Stream]
    """Those for which it was the last step."""


class GraphRunner:
    """A `Runner` for CUDA."""

    runs_ahead = True
    positions_between = 2048

    def __init__(
        self, backbone: Backbone, codec: AudioVAE, slots: int, *, lazy: bool = False, new_lane: NewLane = GraphStream
    ) -> None:
        """Record all graphs.

        Args:
            slots: streams at once.
            lazy: record each graph when it is first used instead.
            new_lane: how work is recorded on a device.
        """
        self.device = backbone.device
        self._backbone, self._codec = backbone, codec
        self._slots = Slots(backbone, codec, slots)
        self._network, self._sound = new_lane(self.device), new_lane(self.device)
        self._reader = _Reader(backbone, self._network)
        self._rows: list[_Row] = []
        self._flight: _Flight | None = None
        self._buckets = [1 << power for power in range((slots - 1).bit_length())] + [slots]
        self._usual = len(backbone.new_solver(Sampling().steps, 0).spans)
        self._flows: OrderedDict[tuple[int, int], Work] = OrderedDict()
        self._decodes: dict[int, Work] = {}
        self._advances: dict[int, Work] = {}
        pinned = self.device.type == "cuda"
        # Two of each: one is read while the other is written.
        self._host_stops = torch.zeros(2, slots, dtype=torch.bool, pin_memory=pinned)
        self._host_samples = torch.zeros(2, *self._slots.samples.shape, pin_memory=pinned)
        self._turn = 0
        if not lazy:
            self._record_all()

    @contextmanager
    def on_its_thread(self) -> Iterator[None]:
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
        with self._network.open():
            yield

    @property
    def owes_sound(self) -> bool:
        return self._flight is not None

    def begin(self, stream: Stream) -> None:
        # The codec may still be at work, in rows that are free as well.
        self._network.wait_for(self._sound)
        place = new_stream_state(stream, self._reader.read(stream.sequence), self._backbone, self._codec)
        self._slots.load_slot(len(self._rows), place)
        self._rows.append(_Row(stream, place.noise, len(place.solver.spans), place.state.length))

    def leave(self, stream: Stream) -> None:
        """Free a row. The last one takes its place, so that those in use are always the first."""
        row = next((row for row, sitting in enumerate(self._rows) if sitting.stream is stream), None)
        if row is None:
            return
        last = self._rows.pop()
        if row < len(self._rows):
            self._network.wait_for(self._sound)
            self._slots.move_slot(len(self._rows), row, last.length)
            self._rows[row] = last

    def step(self, streams: Collection[Stream]) -> None:
        flight, self._flight = self._flight, None
        launched = self._launch() if streams else None
        if flight:
            _land(flight)
        if launched:
            self._flight = launched
            _settle(launched)

    def wait(self) -> None:
        self._network.mark().wait()

    def parts(self, streams: int, evaluations: int) -> dict[str, Work]:
        """Return the graphs of a step for so many streams, by name. Each may be launched by itself, to measure it."""
        rows = self._bucket(streams)
        return {
            "make": self._flow(rows, evaluations),
            "codec": self._part(self._decodes, rows, self._sound, self._slots.decode),
            "advance": self._part(self._advances, rows, self._network, self._slots.advance),
        }

    def _launch(self) -> _Flight:
        """Queue a step of all rows."""
        sitting = len(self._rows)
        rows = self._bucket(sitting)
        for row, its in enumerate(self._rows):
            self._slots.noise[row : row + 1] = draw_noise(its.noise, self._slots.noise[row : row + 1])
            its.length += 1
        parts = self.parts(sitting, max(row.evaluations for row in self._rows))
        self._turn = 1 - self._turn
        stops, samples = self._host_stops[self._turn, :sitting], self._host_samples[self._turn, :sitting]
        parts["make"]()
        stops.copy_(self._slots.stops[:sitting], non_blocking=True)
        made = self._network.mark()
        self._sound.wait_for(self._network)
        with self._sound.open():
            self._slots.take_patches(rows)
            self._network.wait_for(self._sound)
            parts["codec"]()
            samples.copy_(self._slots.samples[:sitting], non_blocking=True)
            decoded = self._sound.mark()
        parts["advance"]()
        return _Flight([row.stream for row in self._rows], stops, samples, made, decoded, [])

    def _bucket(self, streams: int) -> int:
        """Choose for how many rows a graph is used."""
        return next(rows for rows in self._buckets if rows >= streams)

    def _flow(self, rows: int, evaluations: int) -> Work:
        key = rows, evaluations
        if key not in self._flows:
            work = partial(self._slots.make, rows, evaluations)
            self._flows[key] = self._network.record(work, self._slots.state)
            others = [kept for kept in self._flows if kept[1] != self._usual]
            if len(others) > _FLOWS_KEPT:
                del self._flows[others[0]]
        self._flows.move_to_end(key)
        return self._flows[key]

    def _part(self, kept: dict[int, Work], rows: int, lane: GraphStream, work: Callable[[int], None]) -> Work:
        if rows not in kept:
            # What float32 is exact in, the codec shall be too.
            with tf32_matmuls(lane is self._sound and self._backbone.dtype != torch.float32):
                kept[rows] = lane.record(partial(work, rows), self._slots.state)
        return kept[rows]

    @torch.inference_mode()
    def _record_all(self) -> None:
        for rows in self._buckets:
            self.parts(rows, self._usual)
        self._reader.record_all()


class _Reader:
    """Reads sequences by a graph for each of some lengths."""

    def __init__(self, backbone: Backbone, lane: GraphStream) -> None:
        config, device, dtype = backbone.config, backbone.device, backbone.dtype
        longest = min(_LENGTHS[-1], config.max_length)
        hidden = config.base_lm.hidden
        self._backbone, self._lane = backbone, lane
        self._lengths = [length for length in _LENGTHS if length <= longest]
        self._embedded = torch.zeros(longest, hidden, device=device, dtype=dtype)
        self._is_speech = torch.zeros(longest, 1, device=device, dtype=torch.bool)
        self._last = torch.zeros(1, device=device, dtype=torch.int64)
        self._said = torch.zeros(2, 1, hidden, device=device, dtype=dtype)
        self._base_cache, self._residual_cache = (
            KVCache(stack, config.max_length, device, dtype, capacity=longest)
            for stack in (config.base_lm, config.residual_lm)
        )
        self._graphs: dict[int, Work] = {}

    def read(self, sequence: Sequence) -> LMState:
        """Read a sequence. What is returned holds until the next is read."""
        length = length_of(sequence)
        fitting = next((fits for fits in self._lengths if fits >= length), None)
        if fitting is None:
            return self._backbone.prefill(sequence)
        self._embedded[:length], is_speech = self._backbone.embed(sequence)
        self._is_speech[:length] = False if is_speech is None else is_speech
        self._last.fill_(length - 1)
        self._graph(fitting)()
        self._base_cache.length = self._residual_cache.length = length
        base, residual = self._said
        return LMState(self._base_cache, self._residual_cache, base, residual, self._backbone.last_patch(sequence))

    def record_all(self) -> None:
        for length in self._lengths:
            self._graph(length)

    def _graph(self, length: int) -> Work:
        if length not in self._graphs:
            self._graphs[length] = self._lane.record(partial(self._read, length), ())
        return self._graphs[length]

    def _read(self, length: int) -> None:
        self._base_cache.length = self._residual_cache.length = 0
        said = self._backbone.read(
            self._embedded[:length], self._is_speech[:length], self._base_cache, self._residual_cache
        )
        for kept, spoken in zip(self._said, said, strict=True):
            kept.copy_(spoken.index_select(0, self._last))


def _settle(flight: _Flight) -> None:
    """Count the patches of a step, when it is known which of them are the last of a stream."""
    flight.made.wait()
    for stream, stop in zip(flight.streams, flight.stops.tolist(), strict=True):
        stream.count_patch(wants_to_stop=stop)
        if stream.over:
            flight.last.append(stream)


def _land(flight: _Flight) -> None:
    """Hand over the sound of a step."""
    flight.decoded.wait()
    for stream, samples in zip(flight.streams, flight.samples, strict=True):
        stream.put(samples.numpy().copy())
    for stream in flight.last:
        stream.finish()
