"""Runs streams by plain calls, on any device: what a stream remembers grows with it."""

from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from time import perf_counter
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from voxcli.voxcpm.codec.audio_vae import AudioVAE
from voxcli.voxcpm.network.backbone import Backbone, Batch, LMState, Solver
from voxcli.voxcpm.network.sequence import AudioSegment, split_shared
from voxcli.voxcpm.runtime.cpu_threads import ThreadGovernor, count_cores
from voxcli.voxcpm.runtime.stream import Stream
from voxcli.voxcpm.runtime.stream_state import StreamState, as_latents, draw_noise, new_stream_state


class EagerRunner:
    """A `Runner` that works when somebody waits for it, and hands over all sound at once.

    The codec of one patch beside the network of the next, on a thread of its own, made both slower on two cores: by 6
    to 15 % with one thread or two for the codec, by a quarter and more with one for each.
    """

    runs_ahead = False
    positions_between = 128
    owes_sound = False

    def __init__(self, backbone: Backbone, codec: AudioVAE, threads: int | None = None) -> None:
        """threads: of the CPU; None takes as many as are of use, which changes with what else runs."""
        self.device = backbone.device
        self._backbone = backbone
        self._codec = codec
        self._threads = threads
        # A batch takes longer than a stream alone, without anybody being in the way.
        self._governors: defaultdict[int, ThreadGovernor] = defaultdict(lambda: ThreadGovernor(count_cores()))
        self._places: dict[Stream, StreamState] = {}
        self._begun: WeakKeyDictionary[AudioSegment, LMState] = WeakKeyDictionary()

    @contextmanager
    def on_its_thread(self) -> Iterator[None]:
        if self.device.type == "cpu":
            torch.set_num_threads(self._threads or count_cores())
        yield

    def begin(self, stream: Stream) -> None:
        self._places[stream] = new_stream_state(stream, self._prefilled(stream), self._backbone, self._codec)

    def leave(self, stream: Stream) -> None:
        self._places.pop(stream, None)

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def step(self, streams: Collection[Stream]) -> None:
        if not streams:
            return
        places = [self._places[stream] for stream in streams]
        patches, stops = self._made(places)
        self._hand_over(streams, places, patches)
        for stream, stop in zip(streams, stops, strict=True):
            stream.count_patch(wants_to_stop=stop)
            if stream.over:
                stream.finish()
        self._advance(places, patches, [row for row, stream in enumerate(streams) if not stream.over])

    def _prefilled(self, stream: Stream) -> LMState:
        """Read a sequence. What is the same for all texts in the voice of a reference is read once."""
        shared, rest = split_shared(stream.sequence)
        reference = stream.reference
        if reference is None:
            return self._backbone.prefill(rest)
        if reference not in self._begun:
            self._begun[reference] = self._backbone.prefill(shared)
        return self._backbone.prefill(rest, self._begun[reference])

    def _made(self, places: list[StreamState]) -> tuple[Tensor, list[bool]]:
        """Make a patch for each, and tell whether it shall be the last."""
        governor = self._governors[len(places)]
        if self.device.type == "cpu" and self._threads is None:
            torch.set_num_threads(governor.threads)
        batch = Batch.of([place.state for place in places])
        solver = Solver.of([place.solver for place in places])
        noise = torch.cat([draw_noise(place.noise, place.state.previous) for place in places])
        started = perf_counter()
        stops = self._backbone.wants_to_stop(batch.base)
        patches = self._backbone.next_patches(batch, noise, solver)
        told: list[bool] = stops.tolist()
        governor.measured(perf_counter() - started)
        return patches, told

    def _hand_over(self, streams: Collection[Stream], places: list[StreamState], patches: Tensor) -> None:
        """Decode patches. Where somebody waits for the very first sound, its first frame comes in half the time."""
        rows = list(zip(streams, places, patches.split(1), strict=True))
        cuts = [0 if stream.made else 1 for stream in streams]
        for (stream, place, patch), cut in zip(rows, cuts, strict=True):
            self._decode(stream, place, patch[:, :cut])
        for (stream, place, patch), cut in zip(rows, cuts, strict=True):
            self._decode(stream, place, patch[:, cut:])

    def _decode(self, stream: Stream, place: StreamState, frames: Tensor) -> None:
        if frames.size(1):
            stream.put(self._codec.decode(as_latents(frames), place.heard)[0].cpu().numpy())

    def _advance(self, places: list[StreamState], patches: Tensor, going: list[int]) -> None:
        if going:
            states = [places[row].state for row in going]
            batch = Batch.of(states)
            self._backbone.advance(batch, patches[going])
            batch.part(states)
