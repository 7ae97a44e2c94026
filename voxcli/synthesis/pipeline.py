"""Pipeline: an engine and the parts of a text in, chunks of sound and sentence marks out.

Every way to speak goes through `synthesize`: the command line, the HTTP routes, the Python interface and the benchmark.
So the same text, voice and seed give the same samples everywhere.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

from voxcli.audio.chunk import AudioChunk, amplified
from voxcli.synthesis.narration import Narrator, SteadyVoice
from voxcli.synthesis.request import (
    Engine,
    Parameter,
    Piece,
    Sampling,
    SentenceMark,
    Speech,
    SynthesisRequest,
    Voice,
    unused,
)
from voxcli.synthesis.timing import Stopwatch
from voxcli.text.marks import Part, Sentence
from voxcli.text.parts import Silence

_ANY_TEXT = "a"
"""What an engine makes use of does not depend on the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The manner in which a whole text is spoken."""

    voice: Voice = field(default_factory=Voice)
    sampling: Sampling = field(default_factory=Sampling)
    language: str | None = None
    """Such as "zh" or "en"; None detects it from the text."""
    speed: float = 1.0
    """Speaking rate with the pitch kept; 2 is twice as fast."""
    volume: float = 1.0
    """Gain of the samples."""
    gap_seconds: float | None = None
    """Silence between sentences; None leaves what the engine made."""
    normalize: bool = False
    """Spell out numbers, dates and units first."""
    denoise: bool = False
    """Remove noise from the voice's recordings first."""

    @classmethod
    def of(cls, request: SynthesisRequest) -> "Delivery":
        """Return the manner in which a request asks for its text to be spoken."""
        return cls(
            voice=request.voice,
            sampling=request.sampling,
            language=request.language,
            speed=request.speed,
            normalize=request.normalize,
            denoise=request.denoise,
        )

    def unused(self, engine: Engine) -> list[Parameter]:
        """Return what is set and makes no difference to an engine, so that the user can be told."""
        return unused(self.request(_ANY_TEXT), engine)

    def request(self, text: str) -> SynthesisRequest:
        """Return the request for one part of the text."""
        return SynthesisRequest(
            text=text,
            text_language=text.text_language if isinstance(text, Sentence) else None,
            voice=self.voice,
            sampling=self.sampling,
            language=self.language,
            speed=self.speed,
            normalize=self.normalize,
            denoise=self.denoise,
        )


def synthesize(
    engine: Engine,
    parts: Iterable[Part],
    delivery: Delivery,
    *,
    stopwatch: Stopwatch | None = None,
    steps: Callable[[], int] | None = None,
    on_drawn_voice: Callable[[Voice], None] | None = None,
) -> Generator[Piece]:
    """Speak a text part by part, in one voice, each part as soon as it is available.

    Args:
        engine: stays open; the caller closes it.
        parts: sentences and pauses, complete or still arriving.
        stopwatch: measures the engine's work, without the time that the text or the consumer takes.
        steps: asked before each part for its number of solver steps; None leaves those of the delivery.
        on_drawn_voice: called at the end, also if the consumer closes early, with the voice that the engine drew
            because none was named.

    Yields:
        Chunks, and before and after each sentence a mark with its exact position.

    Raises:
        VoxError: the request cannot be served, or generation failed part way.
    """
    voice = SteadyVoice(engine)

    def speak(text: str) -> Speech:
        request = delivery.request(text)
        if steps:
            request = replace(request, sampling=replace(request.sampling, steps=steps()))
        speech = voice.stream(request)
        return stopwatch.timed(speech) if stopwatch else speech

    narrator = Narrator(speak, gap_seconds=delivery.gap_seconds, even=lambda: engine.draws_voices)
    try:
        with closing(narrator.stream(parts)) as pieces:
            for piece in pieces:
                yield _amplified(piece, delivery.volume)
    finally:
        if on_drawn_voice and (drawn := voice.drawn):
            on_drawn_voice(drawn)


class WrittenText(Protocol):
    """A text that is still being written, on its way to an engine that takes it as it comes."""

    @property
    def pieces(self) -> Iterator[str | Silence]:
        """The text, and the pauses of its writer. Read on a thread of its own."""
        ...

    @property
    def markdown(self) -> bool: ...

    def check(self) -> None:
        """Called again and again; raises if the work has to stop."""
        ...

    def waiting(self) -> None:
        """Called again and again while everything written has been spoken."""
        ...

    def playing(self) -> float:
        """Return the seconds of speech that a listener has yet to hear."""
        ...


@runtime_checkable
class TakesText(Protocol):
    """An engine that may take a text while it is being written, and runs the pipeline itself, such as a server."""

    def stream_text(self, text: WrittenText, delivery: Delivery, stopwatch: Stopwatch) -> Generator[Piece] | None:
        """Yield what `synthesize` would; None if this text has to be spoken sentence by sentence."""
        ...


def only_chunks(pieces: Generator[Piece]) -> Speech:
    """Leave out the marks."""
    with closing(pieces):
        for piece in pieces:
            if isinstance(piece, AudioChunk):
                yield piece


def _amplified(piece: Piece, gain: float) -> Piece:
    if isinstance(piece, SentenceMark):
        return piece
    return AudioChunk(amplified(piece.samples, gain), piece.sample_rate)
