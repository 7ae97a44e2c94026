"""What a request for speech is, and what an engine and a voice are."""

import math
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, runtime_checkable

from voxcli.audio.chunk import AudioChunk
from voxcli.errors import RequestError

SLOWEST, FASTEST = 0.25, 4.0
"""The range of `SynthesisRequest.speed`, the same as in OpenAI's speech API."""

MOST_STEPS = 100
"""Ten are usual; far beyond, nothing changes but the time."""
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
    """Speech to carry on from, with the words it says."""

    clip: Clip
    transcript: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """Who speaks. An empty voice leaves the choice to the model."""

    name: str | None = None
    """Known to the engine, such as "alloy"."""
    style: str | None = None
    """In words: "an old man, unhurried"."""
    reference: Clip | None = None
    """Timbre to imitate, no transcript."""
    prompt: Prompt | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How a model draws a sample of speech."""

    steps: int = 10
    """Evaluations per patch on the way from noise to sound."""
    guidance: float = 2.0
    """How strictly the text and the voice are followed."""
    seed: int | None = None
    """The same seed makes the same sound; None takes a new one each time."""
    min_patches: int = 2
    """The model may not stop before it has gone beyond this."""
    max_patches: int | None = None
    """It stops here in any case; None leaves it to the length of the text."""
    retries: int = 0
    """How often speech far too long for its text is made anew. More than 0 holds all sound back until it is whole."""

    def __post_init__(self) -> None:
        _check("number of steps", self.steps, 1, MOST_STEPS)
        _check("guidance", self.guidance, LEAST_GUIDANCE, MOST_GUIDANCE)
        _check("seed", self.seed or 0, 0, 2**63 - 1)
        _check("smallest number of patches", self.min_patches, 0, 2**31)
        _check("largest number of patches", 1 if self.max_patches is None else self.max_patches, 1, 2**31)
        _check("number of retries", self.retries, 0, MOST_RETRIES)


def _check(what: str, value: float, least: float, most: float) -> None:
    """Refuse what is out of range, or not a number."""
    if not (math.isfinite(value) and least <= value <= most):
        raise RequestError(f"The {what} {value:g} is outside {least:g} to {most:g}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthesisRequest:
    """One text to be spoken. The form in which the sound leaves is not part of it."""

    text: str
    voice: Voice = Voice()
    sampling: Sampling = Sampling()
    language: str | None = None
    """Such as "zh" or "en"; None leaves it to the text."""
    speed: float = 1.0
    """Of speech, with its pitch kept; 2 is twice as fast."""
    normalize: bool = False
    """Spell out numbers, dates and units before the model reads them."""
    denoise: bool = False
    """Take the noise out of the voice's clips before they are imitated."""

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise RequestError("The text is empty: there is nothing to say.")
        try:
            self.text.encode()
        except UnicodeEncodeError as error:
            raise RequestError("The text is not valid Unicode: it holds half of a character.") from error
        _check("speed", self.speed, SLOWEST, FASTEST)


Speech: TypeAlias = Generator[AudioChunk]
"""Chunks as they come. A generator and not any iterator: closing it cancels the work."""


class Engine(Protocol):
    """Turns requests into sound. An engine that exists is ready to speak."""

    slots: int
    """How many streams run at once; further callers wait their turn."""
    draws_voices: bool
    """Whether a request for no voice in particular is spoken by another one each time."""

    def stream(self, request: SynthesisRequest) -> Speech:
        """Yield chunks as soon as they exist. May be called from several threads.

        The caller closes what it gets. Raises VoxError on the first `next` if the request cannot be
        served, later if the work fails half way; what was yielded before stays good.
        """
        ...

    def close(self) -> None: ...


@runtime_checkable
class WantsSentences(Protocol):
    """An engine that may do badly with more than a few sentences at once."""

    wants_sentences: bool


@dataclass(frozen=True, slots=True)
class GpuMemory:
    """What this process takes of a graphics card."""

    name: str
    """Of the card."""
    allocated_bytes: int
    reserved_bytes: int


@runtime_checkable
class MayUseGpu(Protocol):
    """An engine that may run on a graphics card."""

    def gpu_memory(self) -> GpuMemory | None:
        """Return what it takes there; None if it runs elsewhere."""
        ...
