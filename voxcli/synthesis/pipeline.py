"""Pipeline: an engine and the parts of a text in, chunks of sound and sentence marks out.

Every way to speak goes through `synthesize`: the command line, the HTTP routes, the Python interface and the benchmark.
So the same text, voice and seed give the same samples everywhere.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Protocol, TypeAlias, runtime_checkable

from voxcli.audio.chunk import AudioChunk, amplified
from voxcli.errors import RequestError
from voxcli.synthesis.narration import Narrator, SteadyVoice
from voxcli.synthesis.request import (
    Engine,
    Parameter,
    Piece,
    Sampling,
    Speech,
    SynthesisRequest,
    Voice,
    abilities_of,
    can_speak_with,
    is_lost_description,
    unused,
)
from voxcli.synthesis.servers import SharesTexts
from voxcli.synthesis.timing import Stopwatch
from voxcli.text.marks import Part, Sentence, manner_of
from voxcli.text.parts import Silence

_SEEDS = 2**63
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
        """Return the request for one part of the text, in its manner."""
        manner = manner_of(text)
        return SynthesisRequest(
            text=text.said if isinstance(text, Sentence) else text,
            text_language=text.text_language if isinstance(text, Sentence) else None,
            voice=_directed(self.voice, manner.style),
            sampling=self.sampling,
            language=manner.language or self.language,
            speed=self.speed * manner.speed,
            normalize=self.normalize,
            denoise=self.denoise,
        )


Speakers: TypeAlias = Mapping[str, Delivery]
"""How each of the named speakers of a text speaks."""
NO_SPEAKERS: Speakers = MappingProxyType({})


def _directed(voice: Voice, direction: str | None) -> Voice:
    """Add the direction of a part to the description of a voice."""
    return replace(voice, style=", ".join(filter(None, [voice.style, direction]))) if direction else voice


def delivery_of(part: str, delivery: Delivery, speakers: Speakers = NO_SPEAKERS) -> Delivery:
    """Return the delivery of the speaker of a part; that of the whole text if it names none.

    Raises:
        RequestError: there is no such speaker.
    """
    speaker = manner_of(part).speaker
    if speaker is None:
        return delivery
    if speaker not in speakers:
        raise RequestError(f"The text has a speaker {speaker!r}, for whom there is no voice.")
    return speakers[speaker]


@runtime_checkable
class _KnowsVoices(Protocol):
    """An engine that can tell whether it has a voice, such as a server."""

    def knows_voice(self, name: str) -> bool: ...


def _problem(voice: Voice, engine: Engine) -> str | None:
    """Return why an engine cannot speak with a voice, as far as it tells before it speaks."""
    abilities = abilities_of(engine)
    if (voice.prompt or voice.reference) and not can_speak_with(replace(voice, style=None), abilities):
        return "this model cannot imitate the recording"
    if is_lost_description(voice, abilities):
        return "the voice is a description, and this model cannot follow one"
    if voice.name and isinstance(engine, _KnowsVoices) and not engine.knows_voice(voice.name):
        return f"there is no voice {voice.name!r}"
    return None


def prepared_speakers(speakers: Speakers, engine: Engine, seed: int | None) -> Speakers:
    """Return the speakers as an engine is to speak them, each with a seed of its own.

    With one seed, voices that an engine draws would resemble each other.

    Args:
        seed: of the whole text; None if the engine has no use for one.

    Raises:
        RequestError: the engine cannot speak with some of the voices; the message names all of them.
    """
    problems, prepared = [], {}
    for number, (name, delivery) in enumerate(speakers.items(), 1):
        if problem := _problem(delivery.voice, engine):
            problems.append(f"{name}: {problem}.")
        sampling = delivery.sampling
        if seed is not None and sampling.seed is None:
            sampling = replace(sampling, seed=(seed + number) % _SEEDS)
        prepared[name] = replace(delivery, sampling=sampling)
    if problems:
        raise RequestError(f"These speakers cannot be heard as they should. {' '.join(problems)}")
    return prepared


def synthesize(
    engine: Engine,
    parts: Iterable[Part],
    delivery: Delivery,
    *,
    speakers: Speakers = NO_SPEAKERS,
    stopwatch: Stopwatch | None = None,
    steps: Callable[[], int] | None = None,
    on_drawn_voice: Callable[[Voice], None] | None = None,
    through: Callable[[Engine, SynthesisRequest], Speech] | None = None,
) -> Generator[Piece]:
    """Speak a text part by part, in one voice for each speaker, each part as soon as it is available.

    Args:
        engine: stays open; the caller closes it.
        parts: sentences and pauses, complete or still arriving.
        delivery: of the text, but for the parts of named speakers.
        speakers: those that parts name. The gap between sentences is that of `delivery` everywhere.
        stopwatch: measures the engine's work, without the time that the text or the consumer takes.
        steps: asked before each part for its number of solver steps; None leaves those of the delivery.
        on_drawn_voice: called at the end, also if the consumer closes early, with the voice that the engine drew
            because none was named.
        through: streams a request in place of the engine, such as `SpeechCache.stream`.

    Yields:
        Chunks, and before and after each sentence a mark with its exact position.

    Raises:
        VoxError: the request cannot be served, or generation failed part way.
    """
    shared = engine.for_one_text() if isinstance(engine, SharesTexts) else None
    speaker = shared or engine
    voices: dict[str | None, SteadyVoice] = {}

    def speak(text: str) -> Speech:
        request = delivery_of(text, delivery, speakers).request(text)
        if steps:
            request = replace(request, sampling=replace(request.sampling, steps=steps()))
        speech = voices.setdefault(manner_of(text).speaker, SteadyVoice(speaker, through)).stream(request)
        return stopwatch.timed(speech) if stopwatch else speech

    narrator = Narrator(speak, gap_seconds=delivery.gap_seconds, even=lambda: speaker.draws_voices)
    try:
        with closing(narrator.stream(parts)) as pieces:
            gain = delivery.volume
            for piece in pieces:
                if isinstance(piece, AudioChunk):
                    yield AudioChunk(amplified(piece.samples, gain), piece.sample_rate)
                    continue
                if piece.end is None:
                    gain = delivery_of(piece.text, delivery, speakers).volume * manner_of(piece.text).volume
                yield piece
    finally:
        if shared:
            shared.close()
        if on_drawn_voice and (whole := voices.get(None)) and (drawn := whole.drawn):
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
