"""Core types: voices, requests, engines, and the pieces of sound and marks they produce."""

import math
from collections.abc import Generator
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Protocol, TypeAlias, runtime_checkable

from voxcli.audio.chunk import AudioChunk
from voxcli.errors import RequestError
from voxcli.text.marks import Sentence, manner_of
from voxcli.text.phonemes import Alphabet

SLOWEST, FASTEST = 0.25, 4.0
"""The range of `SynthesisRequest.speed`, the same as in OpenAI's speech API."""

MOST_STEPS = 100
"""Ten are usual; more than that mostly costs time."""
LEAST_GUIDANCE, MOST_GUIDANCE = 0.0, 10.0
MOST_RETRIES = 3


@dataclass(frozen=True, slots=True)
class Clip:
    """An audio file held in memory, still encoded."""

    data: bytes = field(repr=False)
    name: str = "clip"
    """For messages; its suffix names the container."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A recording to continue from, with its transcript."""

    clip: Clip
    transcript: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """The voice to speak with. An empty one leaves the choice to the model."""

    name: str | None = None
    """A name the engine knows, such as "alloy"."""
    style: str | None = None
    """A description: "an old man, unhurried"."""
    reference: Clip | None = None
    """A recording to imitate, without a transcript."""
    prompt: Prompt | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Sampling parameters of a model."""

    steps: int = 10
    """Solver steps per patch."""
    guidance: float = 2.0
    """Classifier-free guidance scale."""
    seed: int | None = None
    """The same seed gives the same samples; None draws a new one each time."""
    min_patches: int = 2
    """Stop predictions are ignored until more patches than this have been generated."""
    max_patches: int | None = None
    """Hard limit on the number of patches; None derives it from the length of the text."""
    retries: int = 0
    """How often to regenerate speech that is far too long for its text. Above 0, no sound is released until it is
    complete."""

    def __post_init__(self) -> None:
        _check("number of steps", self.steps, 1, MOST_STEPS)
        _check("guidance", self.guidance, LEAST_GUIDANCE, MOST_GUIDANCE)
        _check("seed", self.seed or 0, 0, 2**63 - 1)
        _check("smallest number of patches", self.min_patches, 0, 2**31)
        _check("largest number of patches", 1 if self.max_patches is None else self.max_patches, 1, 2**31)
        _check("number of retries", self.retries, 0, MOST_RETRIES)


def _check(what: str, value: float, least: float, most: float) -> None:
    """Raise RequestError if a value is out of range or not a number."""
    if not (math.isfinite(value) and least <= value <= most):
        raise RequestError(f"The {what} {value:g} is outside {least:g} to {most:g}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthesisRequest:
    """One text to speak. The output format is not part of it."""

    text: str
    voice: Voice = Voice()
    sampling: Sampling = Sampling()
    language: str | None = None
    """Such as "zh" or "en"; None detects it from the text."""
    text_language: str | None = field(default=None, compare=False)
    """Language of the whole text, if this is a sentence of one: it tells how a number alone is read. Where a sentence
    comes from makes no other request of it."""
    speed: float = 1.0
    """Speaking rate with the pitch kept; 2 is twice as fast."""
    normalize: bool = False
    """Spell out numbers, dates and units before the model reads them."""
    denoise: bool = False
    """Remove noise from the voice's recordings before they are encoded."""

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise RequestError("The text is empty: there is nothing to say.")
        try:
            self.text.encode()
        except UnicodeEncodeError as error:
            raise RequestError("The text is not valid Unicode: it holds half of a character.") from error
        _check("speed", self.speed, SLOWEST, FASTEST)


Speech: TypeAlias = Generator[AudioChunk]
"""Chunks in the order they are spoken. A generator rather than any iterator: closing it cancels the work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceMark:
    """The position of one sentence in the sound. It comes twice: before the first chunk and after the last."""

    text: str
    start: float
    """Seconds from the beginning of the sound."""
    end: float | None = None
    """Seconds; None while the sentence is still being spoken."""

    @property
    def span(self) -> tuple[int, int] | None:
        """Where the sentence begins and ends in the whole text, in characters, if that is known."""
        return self.text.span if isinstance(self.text, Sentence) else None

    @property
    def speaker(self) -> str | None:
        """Name of the speaker, where a text has several; None for the voice of the whole text."""
        return manner_of(self.text).speaker


Piece: TypeAlias = AudioChunk | SentenceMark
"""What the pipeline yields."""


class Engine(Protocol):
    """Turns requests into sound. Once created, it is ready to speak."""

    @property
    def slots(self) -> int:
        """Number of streams that run at once; further callers wait."""
        ...

    @property
    def draws_voices(self) -> bool:
        """Whether a request without a voice is spoken in a new random voice each time."""
        ...

    def stream(self, request: SynthesisRequest) -> Speech:
        """Yield chunks as soon as they are generated. May be called from several threads.

        The caller closes the generator. Raises VoxError on the first `next` if the request cannot be
        served, later if generation fails part way; chunks yielded before that remain valid.
        """
        ...

    def close(self) -> None: ...


LEAST_SYLLABLES = 5
"""For VoxCPM, which may go on after an utterance of one to three words, or say something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """Which parts of a request an engine makes use of."""

    sampling: bool = True
    """Steps, guidance, seed, limits and retries; False where the same text always gives the same samples."""
    styles: bool = True
    """Descriptions of a voice."""
    clips: bool = True
    """Recordings to imitate."""
    bare_clips: bool = True
    """Recordings without their transcript."""
    least_syllables: int = 0
    """Of one request: shorter ones are spoken badly, so short sentences are joined."""
    tags: frozenset[str] = frozenset()
    """Tags in square brackets that it performs, such as "laughing": in lower case, without the brackets."""
    phonemes: frozenset[Alphabet] = frozenset()
    """What the phonemes in braces may be written in that it reads."""


@runtime_checkable
class HasAbilities(Protocol):
    """An engine that says what it makes use of."""

    @property
    def abilities(self) -> Abilities: ...


@runtime_checkable
class HasVoices(Protocol):
    """An engine with voices of its own, which a `Voice` names."""

    voice_names: frozenset[str]
    """In lower case. "default" is among them if the engine draws voices: one that stays the same."""


@runtime_checkable
class HasSampleRate(Protocol):
    """An engine whose sound always has the same sample rate, known before it speaks."""

    @property
    def sample_rate(self) -> int: ...


def abilities_of(engine: Engine) -> Abilities:
    """Return what an engine makes use of: everything but tags, unless it says otherwise."""
    return engine.abilities if isinstance(engine, HasAbilities) else Abilities()


class Parameter(StrEnum):
    """The parts of a request that not every engine has a use for. Those of `Sampling` are named as its fields."""

    STEPS = "steps"
    GUIDANCE = "guidance"
    SEED = "seed"
    LEAST_PATCHES = "min_patches"
    MOST_PATCHES = "max_patches"
    RETRIES = "retries"
    STYLE = "style"
    DENOISE = "denoise"


@runtime_checkable
class LeavesOut(Protocol):
    """An engine that may be unable to pass on a parameter, such as a server with a protocol that has none like it."""

    def left_out(self, request: SynthesisRequest) -> frozenset[Parameter]:
        """Return the parameters that are set to something unusual, and that it leaves out of this request."""
        ...


_OF_SAMPLING = tuple(Parameter(name.name) for name in fields(Sampling))


def without_effect(voice: Voice, abilities: Abilities) -> frozenset[Parameter]:
    """Return the parameters that make no difference to an engine when it speaks with this voice.

    Engines pass over them. What the user set of them is named: in an HTTP header, in a warning elsewhere.
    """
    idle: set[Parameter] = set()
    if not abilities.sampling:
        idle.update(_OF_SAMPLING)
    if not abilities.styles:
        idle.add(Parameter.STYLE)
    if not (voice.reference or voice.prompt or voice.name):
        idle.add(Parameter.DENOISE)
    return frozenset(idle)


def unused(request: SynthesisRequest, engine: Engine) -> list[Parameter]:
    """Return the parameters that are set to something unusual and make no difference to an engine."""
    sampling, usual = request.sampling, Sampling()
    changed = [name for name in _OF_SAMPLING if getattr(sampling, name) != getattr(usual, name)]
    if request.voice.style:
        changed.append(Parameter.STYLE)
    if request.denoise:
        changed.append(Parameter.DENOISE)
    idle = without_effect(request.voice, abilities_of(engine))
    if isinstance(engine, LeavesOut):
        idle |= engine.left_out(request)
    return [name for name in changed if name in idle]


def can_speak_with(voice: Voice, abilities: Abilities) -> bool:
    """Tell whether an engine can speak with a voice that is kept, as far as its abilities tell."""
    if voice.prompt or voice.reference:
        return abilities.clips and (abilities.bare_clips or bool(voice.prompt and not voice.reference))
    return abilities.styles or not voice.style


def is_lost_description(voice: Voice, abilities: Abilities) -> bool:
    """Tell whether a voice is a description alone, and an engine follows none, so that another would be heard."""
    return bool(voice.style) and not (abilities.styles or voice.reference or voice.prompt or voice.name)


def check_description(voice: Voice, abilities: Abilities) -> None:
    """Check that an engine can speak with a voice that is kept as a description.

    Raises:
        RequestError: it follows none, so that another voice would be heard.
    """
    if is_lost_description(voice, abilities):
        raise RequestError("This voice is a description, and this model cannot follow one. Choose another voice.")


@dataclass(frozen=True, slots=True)
class GpuMemory:
    """GPU memory used by this process."""

    name: str
    """Model name of the GPU."""
    allocated_bytes: int
    reserved_bytes: int


@runtime_checkable
class MayUseGpu(Protocol):
    """An engine that may run on a GPU."""

    def gpu_memory(self) -> GpuMemory | None:
        """Return the memory in use; None if it does not run on a GPU."""
        ...


@runtime_checkable
class DrawsSeeds(Protocol):
    """An engine that samples at random, from a seed."""

    def draw_seed(self) -> int:
        """Draw a seed for a request that names none."""
        ...


def with_seed(sampling: Sampling, engine: Engine) -> Sampling:
    """Draw the seed before the first request if none is set, so that it can be reported and the speech repeated."""
    if sampling.seed is None and isinstance(engine, DrawsSeeds):
        return replace(sampling, seed=engine.draw_seed())
    return sampling
