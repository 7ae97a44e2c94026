"""Model: text to audio streams, clips to segments, and retries of runaway speech."""

import logging
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from voxcli.audio.chunk import Samples
from voxcli.errors import RequestError
from voxcli.voxcpm.codec.audio_vae import AudioVAE
from voxcli.voxcpm.memory import release_freed_memory
from voxcli.voxcpm.network.backbone import Backbone
from voxcli.voxcpm.network.config import Architecture, ModelConfig
from voxcli.voxcpm.network.sequence import AudioSegment, Sequence, build_sequence, length_of
from voxcli.voxcpm.runtime.device_thread import DeviceThread
from voxcli.voxcpm.runtime.eager_runner import EagerRunner
from voxcli.voxcpm.runtime.runner import Runner
from voxcli.voxcpm.runtime.scheduler import Scheduler
from voxcli.voxcpm.runtime.stream import Stream
from voxcli.voxcpm.tokenizer import Tokenizer, on_one_line
from voxcli.voxcpm.weights.prepared import Keeping

_log = logging.getLogger(__name__)

T = TypeVar("T")


class _Call(Protocol):
    """Runs a function on the device thread, and returns its result."""

    def __call__(self, fn: Callable[[], T], /) -> T: ...


PATCHES_PER_TOKEN, EXTRA_PATCHES = 6.0, 10
"""Limit of the patches for a text, as in the `voxcpm` package. A model that reaches it has failed to stop."""

_ALONE_THREADS = 4
"""CPU threads of what has to be the same on all machines: their number determines the order of sums."""

_ADVICE = "Split the text, or use a shorter clip."


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Utterance:
    """One text to speak, with encoded clips."""

    text: str
    transcript: str = ""
    """Of the prompt."""
    prompt: AudioSegment | None = None
    """The clip to continue from."""
    reference: AudioSegment | None = None
    """The clip whose voice to imitate."""
    steps: int
    guidance: float
    seed: int
    min_patches: int
    max_patches: int | None


class Model:
    """A loaded model. Streams of several threads are generated as one batch."""

    def __init__(
        self,
        config: ModelConfig,
        tokenizer: Tokenizer,
        backbone: Backbone,
        codec: AudioVAE,
        runner: Runner,
        slots: int,
        keeping: Keeping | None = None,
        thread: DeviceThread | None = None,
    ) -> None:
        """
        Args:
            slots: maximum number of concurrent streams; the others wait.
            keeping: writes the weights, from when a text has been spoken.
            thread: on which the model was loaded, and which is its own from now on; None starts one.
        """
        self.config = config
        self.runner = runner
        self.slots = slots
        self._tokenizer = tokenizer
        self._backbone = backbone
        self._codec = codec
        self._device = runner.device
        self._keeping = keeping
        self._scheduler = Scheduler(runner, slots, self._release, thread)

    @property
    def sample_rate(self) -> int:
        """Hz, of the output."""
        return self.config.codec.output_rate

    @property
    def device(self) -> torch.device:
        return self._device

    def stream(self, utterance: Utterance) -> Generator[Samples]:
        """Yield the samples of each patch as soon as it is decoded; those of the first may come in two chunks.

        Raises:
            RequestError: the text is empty or too long; or the speech is too long, raised after everything that fits.
            DeviceError: memory ran out, or the model is closed.
        """
        limit, longest, count = self._limit_of(utterance)
        stream, room = self._new_stream(utterance, limit)
        try:
            yield from self._scheduler.speak(stream)
        except GeneratorExit:
            if self._keeping:  # so that a program that is interrupted ends at once
                self._keeping.cancel()
            raise
        if self._keeping:  # not earlier, so that no sound waits for it
            self._keeping.begin()
        if stream.ended:
            return
        if room < limit:
            raise RequestError(f"The speech fills all {self.config.max_length} positions of the model. {_ADVICE}")
        if limit == longest:
            _log.warning(
                "No stop token: generation truncated at the limit of %d patches (%d text tokens)", limit, count
            )

    def stream_whole(self, utterance: Utterance, retries: int) -> Generator[Samples]:
        """Yield the samples once all are generated. Runaway speech is generated again, with the next seed.

        Args:
            retries: how many times at most.
        """
        tokens = len(self._tokenizer.ids(on_one_line(utterance.text)))
        for attempt in range(retries + 1):
            attempted = replace(utterance, seed=utterance.seed + attempt)
            chunks = list(self.stream(attempted))
            patches = self._counted_context(utterance) + sum(map(len, chunks)) // self.config.patch_samples
            if patches < PATCHES_PER_TOKEN * tokens:
                break
            _log.warning(
                "Seed %d generated too much speech: %d patches (%d text tokens)", attempted.seed, patches, tokens
            )
        yield from chunks

    def generate_alone(self, utterance: Utterance) -> tuple[Samples, bool]:
        """Return the speech, and whether the model ended it, however many threads and streams there are.

        It is computed apart from the other streams, which go on between its patches, and with a fixed number of CPU
        threads. So the samples are the same on every machine of a kind.
        """
        runner = EagerRunner(self._backbone, self._codec, _ALONE_THREADS)
        stream, _ = self._new_stream(utterance, self._limit_of(utterance)[0])
        self._call_alone(runner, lambda: runner.begin([stream]))
        chunks: list[Samples] = []
        while not stream.over:
            self._call_alone(runner, lambda: runner.step([stream]))
            while stream.has_audio and (samples := stream.next_audio(lambda: None)) is not None:
                chunks.append(samples)
        return np.concatenate(chunks), stream.ended

    def encode_clip_alone(self, samples: Samples, *, pad_left: bool) -> AudioSegment:
        """Encode samples as `encode_clip` does, however many threads there are."""
        runner = EagerRunner(self._backbone, self._codec, _ALONE_THREADS)
        return self._encode(samples, pad_left, lambda fn: self._call_alone(runner, fn))

    def encode_clip(self, samples: Samples, *, pad_left: bool) -> AudioSegment:
        """Encode samples, at the codec's input rate, padded with silence on one side to whole patches."""
        return self._encode(samples, pad_left, self.call)

    def call(self, fn: Callable[[], T]) -> T:
        """Run a function that computes with torch on the device thread, between two steps, and return its result."""
        return self._scheduler.call(fn)

    def _encode(self, samples: Samples, pad_left: bool, call: "_Call") -> AudioSegment:
        config = self.config
        missing = -len(samples) % (config.patch_size * config.codec.input_hop)
        padded = np.pad(samples, (missing, 0) if pad_left else (0, missing))
        pieces = call(lambda: self._codec.encoded(torch.from_numpy(padded).to(self.device).unsqueeze(0)))
        # A call for each piece, so that running streams are not held up.
        encoded = list(iter(lambda: call(lambda: next(pieces, None)), None))
        return call(lambda: self._segment(torch.cat(encoded, dim=2)[0]))

    def close(self) -> None:
        """Accept no more streams, and free the memory as soon as all running streams have ended."""
        self._scheduler.close()
        if self._keeping:
            self._keeping.finish()
            self._keeping = None

    def _release(self) -> None:
        self.runner.close()
        del self._backbone, self._codec
        release_freed_memory(self._device)

    def _call_alone(self, runner: EagerRunner, fn: Callable[[], T]) -> T:
        """Run a function on the device thread, with the number of threads of a runner of its own."""

        def call() -> T:
            with runner.device_context():
                return fn()

        return self._scheduler.call(call)

    def _limit_of(self, utterance: Utterance) -> tuple[int, int, int]:
        """Return the limit of the patches, the one that the text sets, and the number of its tokens."""
        count = len(self._tokenizer.ids(on_one_line(utterance.text)))
        longest = int(PATCHES_PER_TOKEN * count) + EXTRA_PATCHES
        limit = longest if utterance.max_patches is None else min(longest, utterance.max_patches)
        return limit, longest, count

    def _new_stream(self, utterance: Utterance, limit: int) -> tuple[Stream, int]:
        """Return a stream of at most `limit` patches, and how many the model has positions for."""
        ids = self._tokenizer.ids(utterance.transcript + on_one_line(utterance.text))
        sequence = build_sequence(ids, utterance.prompt, utterance.reference)
        room = self._room_after(sequence)
        stream = Stream(
            sequence=sequence,
            reference=utterance.reference,
            prompt_patches=_prompt_patches(utterance),
            steps=utterance.steps,
            guidance=utterance.guidance,
            seed=utterance.seed,
            min_patches=utterance.min_patches,
            limit=min(limit, room),
        )
        return stream, room

    def _room_after(self, sequence: Sequence) -> int:
        """Return how many patches fit after a sequence. The last one needs no position."""
        length, longest = length_of(sequence), self.config.max_length
        if length > longest:
            raise RequestError(
                f"The text and the clips need {length} positions, and the model has {longest}. {_ADVICE}"
            )
        return longest - length + 1

    def _segment(self, latents: Tensor) -> AudioSegment:
        """Split latents, (D, frames), into patches, and embed them."""
        patches = latents.view(len(latents), -1, self.config.patch_size).permute(1, 2, 0)
        # Contiguous, as it is written to the cache by another thread.
        return self._backbone.encode_patches(patches.to(self._backbone.dtype).contiguous())

    def _counted_context(self, utterance: Utterance) -> int:
        """Return how many prompt patches count as generated ones.

        In voxcpm 2.0.3, the VoxCPM-0.5B and 1.5 models return the last patches of the prompt along with the generated
        ones and compare their sum with the retry threshold. VoxCPM2 removes them first.
        """
        if utterance.prompt is None or self.config.architecture is Architecture.V2:
            return 0
        return min(self.config.context_patches, len(utterance.prompt))


def _prompt_patches(utterance: Utterance) -> tuple[Tensor, ...]:
    """Return the clips that the codec decodes first: those that the speech continues from."""
    if utterance.prompt is None:
        return ()
    return tuple(clip.patches for clip in (utterance.reference, utterance.prompt) if clip is not None)
