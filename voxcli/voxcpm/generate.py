"""A model that speaks: the loop from a text to samples, the noise, and the only place that waits for the device."""

import logging
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from voxcli.errors import RequestError
from voxcli.voxcpm.audio_vae import AudioVAE, DecoderState
from voxcli.voxcpm.backbone import Backbone, Solver, StreamState
from voxcli.voxcpm.config import ModelConfig
from voxcli.voxcpm.memory import shortage_told
from voxcli.voxcpm.sequence import AudioSegment, Sequence, build_sequence, length_of, split_shared
from voxcli.voxcpm.threads import ThreadGovernor, count_cores
from voxcli.voxcpm.tokenizer import Tokenizer, on_one_line

_log = logging.getLogger(__name__)

PATCHES_PER_ID, MORE_PATCHES = 6.0, 10
"""More speech than this for a text is a runaway; the bound of the `voxcpm` package."""

_SPLIT = "Split the text, or use a shorter clip."

Samples: TypeAlias = NDArray[np.float32]
"""Mono samples in [-1, 1], shape (n,)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Utterance:
    """One text to be spoken, as the model needs it."""

    text: str
    transcript: str = ""
    """The words of the prompt."""
    prompt: AudioSegment | None = None
    """To carry on from."""
    reference: AudioSegment | None = None
    """Whose voice to imitate."""
    steps: int
    guidance: float
    seed: int
    min_patches: int
    max_patches: int | None


class Model:
    """A loaded model. Its streams take turns, one patch at a time, so several threads may listen at once."""

    def __init__(
        self,
        config: ModelConfig,
        tokenizer: Tokenizer,
        backbone: Backbone,
        codec: AudioVAE,
        threads: int | None = None,
    ) -> None:
        """threads: of the CPU; None takes as many as are of use, which changes with what else runs."""
        self.config = config
        self._tokenizer = tokenizer
        self._backbone = backbone
        self._codec = codec
        self._lock = threading.Lock()
        self._threads = threads
        self._governor = ThreadGovernor(count_cores())
        self._begun: WeakKeyDictionary[AudioSegment, StreamState] = WeakKeyDictionary()

    @property
    def sample_rate(self) -> int:
        """Hz, of what it speaks."""
        return self.config.codec.output_rate

    @property
    def device(self) -> torch.device:
        return self._backbone.device

    def stream(self, utterance: Utterance) -> Generator[Samples]:
        """Yield the samples of each patch as soon as it exists; of the first one, the first frame by itself.

        Raises:
            RequestError: the text is empty, or too long; or, after all the sound that fits, its speech is.
        """
        yield from self._decoded(self._patches(utterance), utterance)

    def stream_whole(self, utterance: Utterance, retries: int) -> Generator[Samples]:
        """Yield the samples when all patches exist. A runaway is started again so often, with the next seed."""
        ids = len(self._tokenizer.ids(on_one_line(utterance.text)))
        for attempt in range(retries + 1):
            attempted = replace(utterance, seed=utterance.seed + attempt)
            patches = list(self._patches(attempted))
            if len(patches) < PATCHES_PER_ID * ids:
                break
            _log.warning("Seed %d said far too much: %d patches for %d ids", attempted.seed, len(patches), ids)
        yield from self._decoded(patches, utterance)

    @torch.inference_mode()
    def encode_clip(self, samples: Samples, *, pad_left: bool) -> AudioSegment:
        """Encode samples at the codec's input rate, filled up with silence on one side to whole patches."""
        config = self.config
        missing = -len(samples) % (config.patch_size * config.codec.input_hop)
        audio = functional.pad(torch.from_numpy(samples), (missing, 0) if pad_left else (0, missing))
        with self._turn():
            latents = self._codec.encode(audio.to(self._backbone.device).unsqueeze(0))[0]
            patches = latents.view(config.latent_dim, -1, config.patch_size).permute(1, 2, 0)
            return self._backbone.hear(patches.to(self._backbone.dtype))

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Have the device to oneself, for one piece of work."""
        with self._lock, shortage_told(self._backbone.device):
            if self._backbone.device.type == "cpu":
                # A setting of the thread that works, and streams come from several.
                torch.set_num_threads(self._threads or self._governor.threads)
            yield

    def _patches(self, utterance: Utterance) -> Generator[Tensor]:
        """Yield patches, (1, P, D), up to the one at which the model stops."""
        text = on_one_line(utterance.text)
        count = len(self._tokenizer.ids(text))
        ids = self._tokenizer.ids(utterance.transcript + text)
        sequence = build_sequence(ids, utterance.prompt, utterance.reference)
        room = self._room_after(sequence)
        bound = int(PATCHES_PER_ID * count) + MORE_PATCHES
        limit = bound if utterance.max_patches is None else min(bound, utterance.max_patches)
        noise = torch.Generator(self._backbone.device).manual_seed(utterance.seed)
        state, solver = self._begin(sequence, utterance)
        for number in range(min(limit, room)):
            patch, last = self._next_patch(state, solver, noise)
            yield patch
            if last and number > utterance.min_patches:
                return
            if number + 1 < min(limit, room):
                self._advance(state, patch)
        if room < limit:
            raise RequestError(f"The speech filled all {self.config.max_length} positions of the model. {_SPLIT}")
        if limit == bound:
            _log.warning("The model did not come to an end by itself: stopped after %d patches, %d ids", limit, count)

    def _room_after(self, sequence: Sequence) -> int:
        """Count the patches that fit behind a sequence. The last needs no position."""
        length, longest = length_of(sequence), self.config.max_length
        if length > longest:
            raise RequestError(f"The text and the clips need {length} positions, and the model has {longest}. {_SPLIT}")
        return longest - length + 1

    @torch.inference_mode()
    def _begin(self, sequence: Sequence, utterance: Utterance) -> tuple[StreamState, Solver]:
        with self._turn():
            solver = self._backbone.new_solver(utterance.steps, utterance.guidance)
            shared, rest = split_shared(sequence)
            return self._backbone.prefill(rest, self._prefilled(shared, utterance.reference)), solver

    def _prefilled(self, shared: Sequence, reference: AudioSegment | None) -> StreamState | None:
        """Read what is the same for all texts in the voice of a reference, or remember it."""
        if reference is None:
            return None
        if reference not in self._begun:
            self._begun[reference] = self._backbone.prefill(shared)
        return self._begun[reference]

    @torch.inference_mode()
    def _next_patch(self, state: StreamState, solver: Solver, generator: torch.Generator) -> tuple[Tensor, bool]:
        """Return a patch, and whether it shall be the last."""
        # Drawn as the reference draws it, latents first.
        shape = (1, self.config.latent_dim, self.config.patch_size)
        with self._turn():
            noise = torch.randn(
                shape, generator=generator, device=self._backbone.device, dtype=self._backbone.dtype
            ).transpose(1, 2)
            started = time.perf_counter()
            stop = self._backbone.wants_to_stop(state)
            patch = self._backbone.next_patch(state, noise, solver)
            self._governor.measured(time.perf_counter() - started)
            return patch, bool(stop.item())

    @torch.inference_mode()
    def _advance(self, state: StreamState, patch: Tensor) -> None:
        with self._turn():
            self._backbone.advance(state, patch)

    def _decoded(self, patches: Iterable[Tensor], utterance: Utterance) -> Generator[Samples]:
        """Yield the samples of each patch. What a prompt ends with is heard first, and not yielded."""
        state = self._codec.new_decoder_state(1)
        context = self.config.context_patches
        if utterance.prompt is not None:
            clips = [clip.patches for clip in (utterance.reference, utterance.prompt) if clip is not None]
            self._decode(torch.cat(clips)[-context:], state)
        for number, patch in enumerate(patches):
            # Somebody waits for the first: its first frame alone is decoded in half the time.
            cut = 1 if number == 0 else patch.size(1)
            for frames in (patch[:, :cut], patch[:, cut:]):
                if frames.size(1):
                    yield self._decode(frames, state)

    @torch.inference_mode()
    def _decode(self, patches: Tensor, state: DecoderState) -> Samples:
        latents = patches.float().flatten(0, 1).T.unsqueeze(0)
        with self._turn():
            samples: Samples = self._codec.decode(latents, state)[0].cpu().numpy()
        return samples
