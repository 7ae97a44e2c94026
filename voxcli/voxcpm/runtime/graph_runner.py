"""GraphRunner: runs streams with CUDA graphs on static memory. A step is a few graph launches.

The network has one CUDA stream and the codec another, so that a patch is decoded while the language models process it.
Stop flags are copied to the host meanwhile, so the device never waits for Python. Audio is delivered one step late,
after the next step has been launched.

A single evaluation of the flow is captured, and launched as often as is needed. So any number of solver steps runs from
the same graphs, and a stream with many does not hold up the others: its patch takes several steps of the runner.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from voxcli.synthesis.loading import LoadingStage, OnLoading, StageCounter, ignore_loading
from voxcli.voxcpm.codec.audio_vae import AudioVAE
from voxcli.voxcpm.network.backbone import Backbone
from voxcli.voxcpm.network.sequence import length_of
from voxcli.voxcpm.runtime.cuda_graphs import Event, GraphStream, Launch
from voxcli.voxcpm.runtime.prefiller import Prefiller
from voxcli.voxcpm.runtime.slots import Slots
from voxcli.voxcpm.runtime.step_graphs import StepGraphs
from voxcli.voxcpm.runtime.stream import Stream
from voxcli.voxcpm.runtime.stream_state import PromptContexts, can_draw_noise, draw_noise, new_generator


class NewGraphStream(Protocol):
    """Creates a CUDA stream, as `GraphStream` does."""

    def __call__(self, device: torch.device, *, urgent: bool = False) -> GraphStream: ...


_LEAST_EVALUATIONS = 4
"""Evaluations that a step of the runner does at least, if a stream needs more: decoding and the language models, which
are computed in every step, take as long as about five."""

_USUAL_STEPS = range(4, 11)
"""Numbers of solver steps that are prepared for when the graphs are captured. Others are when they are first used."""

_WAITED_FOR = 1.25
"""Share of the fewest evaluations up to which a stream with more is waited for."""


@dataclass(slots=True, eq=False)
class _ActiveSlot:
    """The stream assigned to a batch row."""

    stream: Stream
    generator: torch.Generator | None
    """The source of its noise, unless that is drawn in the slots."""
    evaluations: int
    """Of each patch."""
    left: int
    """Of the current patch."""
    length: int
    """Positions filled."""


@dataclass(slots=True, eq=False)
class _InFlightStep:
    """A launched step whose audio has not been delivered."""

    streams: dict[int, Stream]
    """The streams whose patch is complete, by row."""
    stops: Tensor
    """Of all rows, on the host, valid after `generated`."""
    samples: Tensor
    """Of all rows, on the host, valid after `decoded`."""
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
        config = backbone.config
        drawn_here = can_draw_noise(self.device, backbone.dtype, (config.latent_dim, config.patch_size))
        self._slots = Slots(backbone, codec, slots, draws_noise=drawn_here)
        self._network_stream = new_stream(self.device)
        # A patch is to be heard before the network has finished with it.
        self._codec_stream = new_stream(self.device, urgent=True)
        self._prefiller = Prefiller(backbone, self._network_stream, slots)
        self._contexts = PromptContexts(codec, backbone.config.context_patches)
        self._active: list[_ActiveSlot] = []
        self._in_flight: _InFlightStep | None = None
        self._graphs = StepGraphs(
            self._slots, slots, self._network_stream, self._codec_stream, exact=backbone.dtype == torch.float32
        )
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

    def begin(self, streams: Sequence[Stream]) -> None:
        for batch in self._prefiller.batches([stream.sequence for stream in streams]):
            self._load([streams[index] for index in batch])

    def _load(self, streams: Sequence[Stream]) -> None:
        """Prefill streams together, and load them into the next rows, without waiting for the device."""
        state = self._prefiller.prefill([stream.sequence for stream in streams])
        first = len(self._active)
        self._slots.load_slots(first, state, streams)
        with self._codec_stream.activate():
            self._slots.load_codec_states(first, [self._contexts.state_after(stream) for stream in streams])
        for stream in streams:
            evaluations, length = self._slots.count_evaluations(stream.steps), length_of(stream.sequence)
            generator = None if self._slots.draws_noise else new_generator(stream.seed, self.device)
            self._active.append(_ActiveSlot(stream, generator, evaluations, evaluations, length))
            self._draw_noise(len(self._active) - 1)

    def leave(self, stream: Stream) -> None:
        """Free a row. The last one moves into it, so that the rows in use are always the first."""
        row = next((row for row, slot in enumerate(self._active) if slot.stream is stream), None)
        if row is None:
            return
        last = self._active.pop()
        if row < len(self._active):
            self._slots.move_slot(len(self._active), row, last.length)
            with self._codec_stream.activate():
                self._slots.move_codec_state(len(self._active), row)
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
        del self._graphs, self._prefiller, self._contexts, self._slots, self._host_stops, self._host_samples
        del self._network_stream, self._codec_stream, self._backbone, self._codec

    def parts(self, streams: int, evaluations: int) -> dict[str, Launch]:
        """Return the parts of a step for that many streams, by name. Benchmarks launch them one by one."""
        start, evaluate, decode, advance = self._graphs.parts(self._graphs.bucket(streams))

        def generate() -> None:
            start()
            for _ in range(evaluations):
                evaluate()

        return {"generate": generate, "codec": decode, "advance": advance}

    @torch.inference_mode()
    def _capture_all(self, on_loading: OnLoading) -> None:
        shapes = self._prefiller.shapes
        graphs = StageCounter(on_loading, LoadingStage.CAPTURING, self._graphs.total + len(shapes))
        with self._network_stream.activate():
            for steps in _USUAL_STEPS:
                self._slots.count_evaluations(steps)
        self._graphs.capture(graphs)
        for shape in shapes:
            self._prefiller.capture(shape)
            graphs.advance()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()  # every graph has been run once without its memory

    def _launch(self) -> _InFlightStep:
        """Queue a step of all rows in use."""
        active = len(self._active)
        rows = self._graphs.bucket(active)
        start, evaluate, decode, advance = self._graphs.parts(rows)
        evaluations = evaluations_of_step([(slot.evaluations, slot.left) for slot in self._active])
        self._slots.clear_unused(active, rows)
        start()
        for _ in range(evaluations):
            evaluate()
        complete = {row: slot for row, slot in enumerate(self._active) if slot.left <= evaluations}
        for slot in self._active:
            slot.left -= evaluations
        self._buffer = 1 - self._buffer
        stops, samples = self._host_stops[self._buffer, :active], self._host_samples[self._buffer, :active]
        self._codec_stream.wait_stream(self._network_stream)
        stops.copy_(self._slots.stops[:active], non_blocking=True)
        generated = self._network_stream.record_event()
        with self._codec_stream.activate():
            with self._slots.complete_only(rows) if len(complete) < active else nullcontext():
                self._slots.take_patches(rows)
                self._network_stream.wait_stream(self._codec_stream)
                decode()
            samples.copy_(self._slots.samples[:active], non_blocking=True)
            decoded = self._codec_stream.record_event()
        advance()
        for row, slot in complete.items():
            slot.left = slot.evaluations
            slot.length += 1
            self._draw_noise(row)
        streams = {row: slot.stream for row, slot in complete.items()}
        return _InFlightStep(streams, stops, samples, generated, decoded, [])

    def _draw_noise(self, row: int) -> None:
        """Draw what the next patch of a row starts from."""
        if generator := self._active[row].generator:
            draw_noise(self._slots.noise[row : row + 1], generator)


def evaluations_of_step(needs: Sequence[tuple[int, int]]) -> int:
    """Choose how often a step of the runner evaluates the flow, so that those who need few need not wait for others.

    Streams complete their patches in this step if they need about as few evaluations as the one that needs the fewest.
    The others go on with theirs in the next steps.

    Args:
        needs: of each stream, the evaluations of a whole patch, and those that are left of the current one.
    """
    fewest = max(_LEAST_EVALUATIONS, min(whole for whole, _ in needs))
    return max(left if whole <= _WAITED_FOR * fewest else min(left, fewest) for whole, left in needs)


def _read_stop_flags(step: _InFlightStep) -> None:
    """Count the patches of a step, once it is known which of them are the last of their streams."""
    step.generated.synchronize()
    stops = step.stops.tolist()
    for row, stream in step.streams.items():
        stream.count_patch(wants_to_stop=stops[row])
        if stream.over:
            step.finished.append(stream)


def _deliver_audio(step: _InFlightStep) -> None:
    """Deliver the audio of a step. If that fails, its streams fail: those that are over get no other chance."""
    try:
        step.decoded.synchronize()
        for row, stream in step.streams.items():
            stream.put(step.samples[row].numpy().copy())
    except BaseException as error:
        for stream in step.streams.values():
            stream.finish(error)
        raise
    for stream in step.finished:
        stream.finish()
