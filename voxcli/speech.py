"""What a request for speech is, and what an engine and a voice are."""

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from voxcli.audio.chunk import AudioChunk
from voxcli.errors import RequestError

SLOWEST, FASTEST = 0.25, 4.0
"""The range of `SynthesisRequest.speed`, the same as in OpenAI's speech API."""


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
class SynthesisRequest:
    """One text to be spoken. The form in which the sound leaves is not part of it."""

    text: str
    voice: Voice = Voice()
    language: str | None = None
    """Such as "zh" or "en"; None leaves it to the text."""
    speed: float = 1.0
    """Of speech, with its pitch kept; 2 is twice as fast."""

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise RequestError("The text is empty: there is nothing to say.")
        try:
            self.text.encode()
        except UnicodeEncodeError as error:
            raise RequestError("The text is not valid Unicode: it holds half of a character.") from error
        if not SLOWEST <= self.speed <= FASTEST:
            raise RequestError(f"The speed {self.speed:g} is outside {SLOWEST:g} to {FASTEST:g}.")


Speech: TypeAlias = Generator[AudioChunk]
"""Chunks as they come. A generator and not any iterator: closing it cancels the work."""


class Engine(Protocol):
    """Turns requests into sound. An engine that exists is ready to speak."""

    slots: int
    """How many streams run at once; further callers wait their turn."""

    def stream(self, request: SynthesisRequest) -> Speech:
        """Yield chunks as soon as they exist. May be called from several threads.

        The caller closes what it gets. Raises VoxError on the first `next` if the request cannot be
        served, later if the work fails half way; what was yielded before stays good.
        """
        ...

    def close(self) -> None: ...
