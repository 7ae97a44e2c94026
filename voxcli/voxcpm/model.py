"""A model that speaks: from a text to a stream, from a clip to a segment, and when speech has gone too far."""

import logging
from collections.abc import Generator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from voxcli.errors import RequestError
from voxcli.voxcpm.codec.audio_vae import AudioVAE
from voxcli.voxcpm.network.backbone import Backbone
from voxcli.voxcpm.network.config import ModelConfig
from voxcli.voxcpm.network.sequence import AudioSegment, Sequence, build_sequence, length_of
from voxcli.voxcpm.runtime.scheduler import Runner, Scheduler
from voxcli.voxcpm.runtime.stream import Samples, Stream
from voxcli.voxcpm.tokenizer import Tokenizer, on_one_line

_log = logging.getLogger(__name__)

PATCHES_PER_ID, MORE_PATCHES = 6.0, 10
"""More speech than this for a text is a runaway; the bound of the `voxcpm` package."""

_SPLIT = "Split the text, or use a shorter clip."


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
    """A loaded model. Several threads may listen at once: their streams are made together."""

    def __init__(
        self,
        config: ModelConfig,
        tokenizer: Tokenizer,
        backbone: Backbone,
        codec: AudioVAE,
        runner: Runner,
        slots: int,
    ) -> None:
        """slots: streams at once; others wait."""
        self.config = config
        self.runner = runner
        self.slots = slots
        self._tokenizer = tokenizer
        self._backbone = backbone
        self._codec = codec
        self._scheduler = Scheduler(runner, slots)

    @property
    def sample_rate(self) -> int:
        """Hz, of what it speaks."""
        return self.config.codec.output_rate

    @property
    def device(self) -> torch.device:
        return self.runner.device

    def stream(self, utterance: Utterance) -> Generator[Samples]:
        """Yield the samples of each patch as soon as it exists; the very first ones may come in two pieces.

        Raises:
            RequestError: the text is empty, or too long; or, after all the sound that fits, its speech is.
        """
        text = on_one_line(utterance.text)
        count = len(self._tokenizer.ids(text))
        ids = self._tokenizer.ids(utterance.transcript + text)
        sequence = build_sequence(ids, utterance.prompt, utterance.reference)
        room = self._room_after(sequence)
        bound = int(PATCHES_PER_ID * count) + MORE_PATCHES
        limit = bound if utterance.max_patches is None else min(bound, utterance.max_patches)
        stream = Stream(
            sequence=sequence,
            reference=utterance.reference,
            heard=_spoken_before(utterance),
            steps=utterance.steps,
            guidance=utterance.guidance,
            seed=utterance.seed,
            min_patches=utterance.min_patches,
            limit=min(limit, room),
        )
        yield from self._scheduler.speak(stream)
        if stream.ended:
            return
        if room < limit:
            raise RequestError(f"The speech filled all {self.config.max_length} positions of the model. {_SPLIT}")
        if limit == bound:
            _log.warning("The model did not come to an end by itself: stopped after %d patches, %d ids", limit, count)

    def stream_whole(self, utterance: Utterance, retries: int) -> Generator[Samples]:
        """Yield the samples when all are there. A runaway is started again so often, with the next seed."""
        ids = len(self._tokenizer.ids(on_one_line(utterance.text)))
        for attempt in range(retries + 1):
            attempted = replace(utterance, seed=utterance.seed + attempt)
            spoken = list(self.stream(attempted))
            patches = sum(map(len, spoken)) // self.config.patch_samples
            if patches < PATCHES_PER_ID * ids:
                break
            _log.warning("Seed %d said far too much: %d patches for %d ids", attempted.seed, patches, ids)
        yield from spoken

    def encode_clip(self, samples: Samples, *, pad_left: bool) -> AudioSegment:
        """Encode samples at the codec's input rate, filled up with silence on one side to whole patches."""
        config = self.config
        missing = -len(samples) % (config.patch_size * config.codec.input_hop)
        audio = functional.pad(torch.from_numpy(samples), (missing, 0) if pad_left else (0, missing))
        pieces = self._codec.encoded(self._scheduler.call(lambda: audio.to(self.device).unsqueeze(0)))
        # One by one, for others speak meanwhile.
        encoded = list(iter(lambda: self._scheduler.call(lambda: next(pieces, None)), None))
        return self._scheduler.call(lambda: self._heard(torch.cat(encoded, dim=2)[0]))

    def close(self) -> None:
        """Speak no more. Streams that still run go on to their end."""
        self._scheduler.close()

    def _room_after(self, sequence: Sequence) -> int:
        """Count the patches that fit behind a sequence. The last needs no position."""
        length, longest = length_of(sequence), self.config.max_length
        if length > longest:
            raise RequestError(f"The text and the clips need {length} positions, and the model has {longest}. {_SPLIT}")
        return longest - length + 1

    def _heard(self, latents: Tensor) -> AudioSegment:
        """Cut latents, (D, frames), into patches, and take them in."""
        patches = latents.view(len(latents), -1, self.config.patch_size).permute(1, 2, 0)
        return self._backbone.hear(patches.to(self._backbone.dtype))


def _spoken_before(utterance: Utterance) -> tuple[Tensor, ...]:
    """Name the clips that the codec has heard: those that the speech carries on from."""
    if utterance.prompt is None:
        return ()
    return tuple(clip.patches for clip in (utterance.reference, utterance.prompt) if clip is not None)
