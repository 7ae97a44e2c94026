"""EagerRunner: runs streams by direct calls, on any device, with KV caches that grow as needed."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from voxcli.voxcpm.codec.audio_vae import AudioVAE
from voxcli.voxcpm.network.backbone import Backbone, Batch, LMState
from voxcli.voxcpm.network.local_dit import Solver
from voxcli.voxcpm.network.sequence import AudioSegment, split_shared
from voxcli.voxcpm.runtime.cpu_threads import count_cores
from voxcli.voxcpm.runtime.stream import Stream
from voxcli.voxcpm.runtime.stream_state import PromptContexts, StreamState, as_latents, draw_noise, new_generator


@contextmanager
def cpu_threads(device: torch.device, threads: int | None) -> Iterator[None]:
    """Set the number of CPU threads within the block, if the device is a CPU. None uses one per core."""
    if device.type != "cpu":
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(threads or count_cores())
    try:
        yield
    finally:
        torch.set_num_threads(before)


class EagerRunner:
    """A `Runner` that generates on demand and delivers audio in the same step.

    Decoding a patch on a second thread, beside the network of the next patch, was slower on two cores: by 6 to 15 %
    with one or two threads for the codec, and by at least a quarter with one thread for each.
    """

    runs_ahead = False
    prefill_budget = 128
    has_pending_output = False

    def __init__(self, backbone: Backbone, codec: AudioVAE, threads: int | None = None) -> None:
        """
        Args:
            threads: CPU threads; None uses one per core. Their number never changes: it determines the order in which
                matrix products are summed up, and the same seed has to give the same samples.
        """
        self.device = backbone.device
        self._backbone = backbone
        self._codec = codec
        self._threads = threads
        self._states: dict[Stream, StreamState] = {}
        self._prefixes: WeakKeyDictionary[AudioSegment, LMState] = WeakKeyDictionary()
        self._contexts = PromptContexts(codec, backbone.config.context_patches)

    def device_context(self) -> AbstractContextManager[None]:
        return cpu_threads(self.device, self._threads)

    def begin(self, streams: Sequence[Stream]) -> None:
        for stream in streams:
            after = self._contexts.state_after(stream)
            self._states[stream] = StreamState(
                self._prefill(stream),
                self._backbone.new_solver(stream.steps, stream.guidance),
                new_generator(stream.seed, self.device),
                after.copy() if after else self._codec.new_decoder_state(1),
            )

    def leave(self, stream: Stream) -> None:
        self._states.pop(stream, None)

    def synchronize(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def close(self) -> None:
        self._states.clear()
        self._prefixes.clear()
        del self._backbone, self._codec, self._contexts

    def step(self, streams: Collection[Stream]) -> None:
        if not streams:
            return
        states = [self._states[stream] for stream in streams]
        patches, stops = self._generate(states)
        self._deliver_audio(streams, states, patches)
        for stream, stop in zip(streams, stops, strict=True):
            stream.count_patch(wants_to_stop=stop)
            if stream.over:
                stream.finish()
        self._advance(states, patches, [row for row, stream in enumerate(streams) if not stream.over])

    def _prefill(self, stream: Stream) -> LMState:
        """Prefill a sequence. The prefix that all texts with the same reference share is computed once."""
        prefix, rest = split_shared(stream.sequence)
        reference = stream.reference
        if reference is None:
            return self._backbone.prefill(rest)
        if reference not in self._prefixes:
            self._prefixes[reference] = self._backbone.prefill(prefix)
        return self._backbone.prefill(rest, self._prefixes[reference])

    def _generate(self, states: list[StreamState]) -> tuple[Tensor, list[bool]]:
        """Generate a patch for each stream, and return whether each is the last one."""
        batch = Batch.of([state.lm_state for state in states])
        solver = Solver.of([state.solver for state in states])
        noise = torch.empty_like(batch.previous.transpose(1, 2), memory_format=torch.contiguous_format)
        for row, state in enumerate(states):
            draw_noise(noise[row : row + 1], state.noise)
        stops = self._backbone.wants_to_stop(batch.base_hidden)
        patches = self._backbone.next_patches(batch, noise.transpose(1, 2), solver)
        return patches, stops.tolist()

    def _deliver_audio(self, streams: Collection[Stream], states: list[StreamState], patches: Tensor) -> None:
        """Decode patches. The first frame of a stream is delivered on its own, for a lower latency."""
        rows = list(zip(streams, states, patches.split(1), strict=True))
        cuts = [0 if stream.patches_generated else 1 for stream in streams]
        for (stream, state, patch), cut in zip(rows, cuts, strict=True):
            self._decode(stream, state, patch[:, :cut])
        for (stream, state, patch), cut in zip(rows, cuts, strict=True):
            self._decode(stream, state, patch[:, cut:])

    def _decode(self, stream: Stream, state: StreamState, frames: Tensor) -> None:
        if frames.size(1):
            stream.put(self._codec.decode(as_latents(frames), state.codec_state)[0].cpu().numpy())

    def _advance(self, states: list[StreamState], patches: Tensor, unfinished: list[int]) -> None:
        if unfinished:
            lm_states = [states[row].lm_state for row in unfinished]
            batch = Batch.of(lm_states)
            self._backbone.advance(batch, patches[unfinished])
            batch.write_back(lm_states)
